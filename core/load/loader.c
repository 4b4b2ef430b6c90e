#include "load/loader_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"

#include <stdlib.h>

#define TELL_SECONDS .5

/* Answers that are held back, so that an I/O thread wakes once for them: so many, and so long. */
#define ANSWERS_HELD    256
#define ANSWERS_HELD_US 250

/* ---- flights ---- */

void loader_end(struct loader *l, struct flight *f, struct outcome *o, int64_t now_ms,
                struct verdict *v)
{
    o->generation = l->current ? l->current->snapshot->generation : 0;
    flights_end(l->options.flights, f, o, now_ms, v);
    bool lasts = o->end == END_FOUND || (o->end == END_ABSENT && o->ttl_ms > 0);
    if (!v->below && !v->stored && !v->wasted && v->too_large == 0 && o->store && lasts)
        metrics_inc(l->metrics, M_LOADS_VOIDED);
}

/* ---- the waiters of ended flights ---- */

static void tell_all(struct loader *l)
{
    if (l->answers.held == 0)
        return;
    l->answers.held = 0;
    for (unsigned i = 0; i < l->options.slot_count; i++)
        outbox_flush(&l->answers.boxes[i], l->options.slots[i]);
}

void loader_wake(struct loader *l, struct flight *f)
{
    for (unsigned i = 0; i < l->options.slot_count; i++)
        if (!list_empty(&f->slots[i].waiters))
            outbox_add(&l->answers.boxes[i], &f->slots[i].message);
    flight_unref(f);
    if (l->answers.held++ == 0)
        l->answers.since_us = clock_us();
    if (l->answers.held == ANSWERS_HELD)
        tell_all(l);
}

void loader_tell(struct loader *l)
{
    if (l->answers.held > 0 && clock_us() - l->answers.since_us > ANSWERS_HELD_US)
        tell_all(l);
}

/* The loop is about to sleep, and what this turn asks of backends is sent. */
static void loader_on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    tell_all(watcher->data);
}

void loader_refuse_flight(struct loader *l, struct flight *f, const struct err *err)
{
    struct err with_key = *err;
    char key[SHOW_KEY_TEXT];
    err_prefix(&with_key, "%s", show_key(key, flight_key(f)));
    struct outcome o = {.end = END_REFUSED, .err = &with_key};
    struct verdict v;
    loader_end(l, f, &o, clock_ms(), &v);
    loader_wake(l, f);
}

static void admit(struct loader *l, struct flight *f)
{
    struct err err;
    int index = routes_match(l->current->snapshot->routes, flight_key(f), NULL);
    if (index >= 0) {
        gate_admit(&l->current->gates[index], f);
        return;
    }
    if (route_is_misfit(index)) { /* since a reload; it can be no row */
        struct outcome o = {.end = END_ABSENT};
        struct verdict v;
        loader_end(l, f, &o, clock_ms(), &v);
        loader_wake(l, f);
        return;
    }
    err_set(&err, ERR_NO_LOADER, "no loader's pattern matches");
    loader_refuse_flight(l, f, &err);
}

static void loader_recv_flight(struct message *m, void *owner)
{
    struct loader *l = owner;
    struct flight *f = container_of(m, struct flight, message);
    if (!l->stopping)
        admit(l, f);
    else
        flight_unref(f); /* it came after the stop: nobody is left to be told */
}

void loader_submit(struct loader *l, struct flight *f, struct outbox *out)
{
    f->message.recv = loader_recv_flight;
    if (out)
        outbox_add(out, &f->message);
    else
        mailbox_send(&l->worker.mailbox, &f->message);
}

static void loader_recv_promotion(struct message *m, void *owner)
{
    (void)owner;
    struct flight *f = container_of(m, struct flight, promote);
    f->urgent = true;
    if (f->seat)
        gate_promote(f->seat);
    flight_unref(f);
}

void loader_promote(struct loader *l, struct flight *f, struct outbox *out)
{
    (void)l;
    f->promote.recv = loader_recv_promotion;
    outbox_add(out, &f->promote);
}

void loader_flush(struct loader *l, struct outbox *out)
{
    outbox_flush(out, &l->worker.mailbox);
}

/* ---- changes and life ---- */

/* Loads in the air end where they began; queued ones go over to the new set. */
static void commit(struct loader *l)
{
    struct loader_set *before = l->current;
    loader_set_carry(l->prepared, before);
    l->current = l->prepared;
    l->prepared = NULL;
    if (!before)
        return;
    struct seat *seat;
    for (size_t i = 0; i < before->snapshot->conf->loader_count; i++)
        while ((seat = gate_pop_queued(&before->gates[i]))) {
            struct flight *f = seat_take_flight(seat);
            seat_free(seat);
            admit(l, f);
        }
    for (size_t i = 0; i < before->snapshot->conf->loader_count; i++)
        writes_move(l, &before->gates[i]);
    loader_set_unref(before);
}

static void loader_recv_change(struct message *m, void *owner)
{
    struct loader *l = owner;
    struct loader_change *c = container_of(m, struct loader_change, message);
    c->rc = 0;
    err_clear(&c->err);
    switch (c->step) {
    case LOADER_PREPARE: c->rc = loader_set_new(&l->prepared, l, c->snapshot, &c->err); break;
    case LOADER_ABORT:
        loader_set_unref(l->prepared);
        l->prepared = NULL;
        break;
    case LOADER_COMMIT: commit(l); break;
    }
    c->message.recv = c->answered;
    mailbox_send(c->answer_to, &c->message);
}

void loader_change(struct loader *l, struct loader_change *c)
{
    c->loader = l;
    c->message.recv = loader_recv_change;
    mailbox_send(&l->worker.mailbox, &c->message);
}

int loader_new(struct loader **out, const struct loader_options *o, struct err *e)
{
    *out = NULL;
    struct loader *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a loader thread");
    l->options = *o;
    l->rng.state = o->seed;
    list_init(&l->sets);
    list_init(&l->running);
    list_init(&l->marked);
    l->answers.boxes = calloc(o->slot_count, sizeof *l->answers.boxes);
    int rc = writes_init(l, e);
    if (rc == 0 && !l->answers.boxes)
        rc = err_set(e, ERR_NOMEM, "no memory for a loader thread");
    if (rc == 0)
        rc = worker_init(&l->worker, "loader", o->index, l, e);
    if (rc != 0) {
        writes_fini(l);
        free(l->answers.boxes);
        free(l);
        return rc;
    }
    *out = l;
    return 0;
}

static void loader_on_telling(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct loader *l = timer->data;
    struct loader_set *set = l->current;
    if (!set)
        return;
    for (size_t i = 0; i < set->snapshot->conf->backend_count; i++) {
        struct backend_stats now = {0};
        set->backends[i]->ops->read_stats(set->backends[i], &now);
        snapshot_tell_backend(set->snapshot, l->options.index, i, &now);
    }
    struct runtime_stats now = {0};
    loader_vm_reap(set);
    loader_vm_read_stats(set, &now);
    snapshot_tell_scripts(set->snapshot, l->options.index, &now);
}

/* The loop is about to sleep: what arrived or ended in this turn is known. */
static void loader_on_starting(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    turns_start_all(watcher->data);
}

/* Keeps the loop from sleeping. */
static void loader_on_unfinished(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
}

static void loader_recv_begin(struct message *m, void *owner)
{
    (void)m;
    struct loader *l = owner;
    l->metrics = metrics_mine();
    l->started_ms = clock_ms();
    ev_timer_init(&l->telling, loader_on_telling, TELL_SECONDS, TELL_SECONDS);
    l->telling.data = l;
    ev_timer_start(l->worker.loop, &l->telling);
    ev_prepare_init(&l->starting, loader_on_starting);
    l->starting.data = l;
    ev_prepare_start(l->worker.loop, &l->starting);
    ev_prepare_init(&l->answers.turn_end, loader_on_turn_end);
    ev_set_priority(&l->answers.turn_end, EV_MINPRI); /* after the backends' */
    l->answers.turn_end.data = l;
    ev_prepare_start(l->worker.loop, &l->answers.turn_end);
    ev_idle_init(&l->unfinished, loader_on_unfinished);
    budget_init(&l->budget, clock_ms());
}

int loader_start(struct loader *l, struct err *e)
{
    l->begin.recv = loader_recv_begin;
    mailbox_send(&l->worker.mailbox, &l->begin);
    return worker_start(&l->worker, e);
}

static void loader_recv_stop(struct message *m, void *owner)
{
    (void)m;
    struct loader *l = owner;
    struct err err;
    err_set(&err, ERR_SHUTDOWN, "the server is going down");
    l->stopping = true;
    list_for_each (link, &l->sets) {
        struct loader_set *set = container_of(link, struct loader_set, link);
        loader_set_ref(set);
        struct seat *seat;
        for (size_t i = 0; i < set->snapshot->conf->loader_count; i++)
            while ((seat = gate_pop_queued(&set->gates[i])))
                gate_refuse(seat, &err);
    }
    if (l->current)
        for (size_t i = 0; i < l->current->snapshot->conf->loader_count; i++)
            writes_move(l, &l->current->gates[i]);
    writes_shutdown(l);
    load_shutdown_all(l);
    list_for_each_safe (set_link, next, &l->sets) {
        loader_set_unref(container_of(set_link, struct loader_set, link));
    }
    loader_set_unref(l->prepared);
    loader_set_unref(l->current);
    l->prepared = l->current = NULL;
    ev_timer_stop(l->worker.loop, &l->telling);
    ev_prepare_stop(l->worker.loop, &l->starting);
    ev_prepare_stop(l->worker.loop, &l->answers.turn_end);
    ev_idle_stop(l->worker.loop, &l->unfinished);
    tell_all(l);
    worker_stop(&l->worker);
}

void loader_stop(struct loader *l)
{
    l->stop.recv = loader_recv_stop;
    mailbox_send(&l->worker.mailbox, &l->stop);
}

void loader_join(struct loader *l)
{
    worker_join(&l->worker);
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    l->stopping = true;
    worker_fini(&l->worker);
    writes_fini(l);
    free(l->answers.boxes);
    free(l);
}
