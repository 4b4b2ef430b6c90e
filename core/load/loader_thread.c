#include "load/loader_thread.h"

#include "base/clock.h"
#include "load/admission.h"
#include "load/load.h"
#include "load/schedule.h"
#include "load/tiered.h"
#include "load/writes.h"
#include "sys/worker.h"

#include <stdlib.h>

#define TELL_SECONDS .5

struct loader_thread {
    struct worker worker;
    struct loader_thread_options options;
    struct thread_state state;
    struct changes changes;
    struct journal_lane lane;
    struct schedule schedule;
    struct writes writes;
    struct edition *current, *prepared;
    struct message begin, stop;
    ev_prepare turn_end; /* waiters of flights that ended in the turn are told at the latest */
    ev_timer telling;    /* its backends' and scripts' numbers, to who reads them */
};

/* ---- flights and writes ---- */

/* Its loader in the current edition, or what route.h says instead. */
static int index_of(const struct loader_thread *t, const struct flight *f)
{
    const struct snapshot *s = t->current->snapshot;
    bool known = f->token.generation == s->generation; /* else a reload has overtaken it */
    return known ? f->token.loader : routes_match(s->routes, flight_key(f), NULL);
}

/* No loader takes it: how it ends. */
static void turn_away(struct loader_thread *t, struct flight *f, int index)
{
    struct err err;
    if (route_is_misfit(index)) { /* since a reload; it can be no row */
        struct outcome o = {.end = END_ABSENT};
        struct verdict v;
        answers_end(&t->state.answers, f, &o, clock_ms(), &v);
        answers_wake(&t->state.answers, f);
        return;
    }
    err_set(&err, ERR_NO_LOADER, "no loader's pattern matches");
    answers_refuse(&t->state.answers, f, &err);
}

static void admit(struct loader_thread *t, struct flight *f)
{
    int index = index_of(t, f);
    if (index >= 0)
        admission_admit(&t->current->admissions[index], f);
    else
        turn_away(t, f, index);
}

/* It was queued at an edition that is not current any more. */
static void admit_again(struct loader_thread *t, struct seat *seat)
{
    int index = index_of(t, seat->flight);
    if (index >= 0) {
        admission_readmit(&t->current->admissions[index], seat);
        return;
    }
    struct flight *f = seat_take_flight(seat);
    seat_free(seat);
    turn_away(t, f, index);
}

/* It came after the stop. Who waits for it hears of that now, for no turn ends any more. */
static void refuse_late(struct loader_thread *t, struct flight *f)
{
    struct err err;
    err_set(&err, ERR_SHUTDOWN, "the server is going down");
    answers_refuse(&t->state.answers, f, &err);
    answers_tell_all(&t->state.answers);
}

static void loader_thread_recv_flight(struct message *m, void *owner)
{
    struct loader_thread *t = owner;
    struct flight *f = container_of(m, struct flight, message);
    if (t->state.stopping)
        refuse_late(t, f);
    else
        admit(t, f);
}

void loader_thread_submit(struct loader_thread *t, struct flight *f, struct outbox *out)
{
    f->message.recv = loader_thread_recv_flight;
    if (out)
        outbox_add(out, &f->message);
    else
        mailbox_send(&t->worker.mailbox, &f->message);
}

static void loader_thread_recv_promotion(struct message *m, void *owner)
{
    (void)owner;
    struct flight *f = container_of(m, struct flight, promote);
    f->urgent = true;
    if (f->seat)
        admission_promote(f->seat);
    flight_unref(f);
}

void loader_thread_promote(struct loader_thread *t, struct flight *f, struct outbox *out)
{
    (void)t;
    f->promote.recv = loader_thread_recv_promotion;
    outbox_add(out, &f->promote);
}

void loader_thread_flush(struct loader_thread *t, struct outbox *out)
{
    outbox_flush(out, &t->worker.mailbox);
}

static void loader_thread_recv_write(struct message *m, void *owner)
{
    struct loader_thread *t = owner;
    writes_take(&t->writes, container_of(m, struct write, message));
}

void loader_thread_write(struct loader_thread *t, struct write *w)
{
    w->message.recv = loader_thread_recv_write;
    mailbox_send(&t->worker.mailbox, &w->message);
}

static void loader_thread_recv_give_up(struct message *m, void *owner)
{
    struct loader_thread *t = owner;
    struct write *w = container_of(m, struct write, give_up);
    writes_give_up(&t->writes, w);
    writes_tell_all(&t->writes); /* its answer goes before this */
    m->recv = w->heard;
    mailbox_send(w->answer_to, m);
}

void loader_thread_give_up(struct loader_thread *t, struct write *w)
{
    w->give_up.recv = loader_thread_recv_give_up;
    mailbox_send(&t->worker.mailbox, &w->give_up);
}

/* ---- changes and life ---- */

static void make_current(struct loader_thread *t, struct edition *edition)
{
    t->current = t->writes.current = edition;
    t->state.answers.generation = edition ? edition->snapshot->generation : 0;
}

static int prepare(struct loader_thread *t, struct snapshot *snapshot, struct err *e)
{
    struct edition_wanted w = {
        .thread = &t->state,
        .snapshot = snapshot,
        .before = t->current,
        .startable = &t->schedule.startable,
    };
    int rc = edition_new(&t->prepared, &w, e);
    if (rc == 0)
        list_push_back(&t->schedule.editions, &t->prepared->link);
    return rc;
}

/* Loads in the air end where they began; queued ones go over to the new edition. Nothing of it
 * takes memory. */
static void commit(struct loader_thread *t)
{
    struct edition *before = t->current;
    edition_carry(t->prepared, before);
    tiered_attach(t->state.tiered, t->prepared, before);
    make_current(t, t->prepared);
    t->prepared = NULL;
    if (!before)
        return;
    struct seat *seat;
    for (size_t i = 0; i < before->snapshot->conf->loader_count; i++)
        while ((seat = admission_pop_queued(&before->admissions[i])))
            admit_again(t, seat);
    for (size_t i = 0; i < before->snapshot->conf->loader_count; i++)
        writes_move(&t->writes, &before->admissions[i]);
    edition_unref(before);
}

static void loader_thread_recv_change(struct message *m, void *owner)
{
    struct loader_thread *t = owner;
    struct edition_change *c = container_of(m, struct edition_change, message);
    c->rc = 0;
    err_clear(&c->err);
    switch (c->step) {
    case EDITION_PREPARE: c->rc = prepare(t, c->snapshot, &c->err); break;
    case EDITION_ABORT:
        edition_unref(t->prepared);
        t->prepared = NULL;
        break;
    case EDITION_COMMIT: commit(t); break;
    }
    c->message.recv = c->answered;
    mailbox_send(c->answer_to, &c->message);
}

void loader_thread_change(struct loader_thread *t, struct edition_change *c)
{
    c->thread = t;
    c->message.recv = loader_thread_recv_change;
    mailbox_send(&t->worker.mailbox, &c->message);
}

int loader_thread_new(struct loader_thread **out, const struct loader_thread_options *o,
                      struct err *e)
{
    *out = NULL;
    struct loader_thread *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for a loader thread");
    t->options = *o;
    changes_of_thread(&t->changes, o->changes, &t->lane);
    t->state = (struct thread_state){
        .index = o->index,
        .store = o->store,
        .flights = o->flights,
        .changes = &t->changes,
        .rng = {.state = o->seed},
    };
    list_init(&t->state.running);
    schedule_init(&t->schedule, &t->state);
    int rc = answers_init(&t->state.answers, o->flights, o->slots, o->slot_count, e);
    if (rc == 0)
        rc = writes_init(&t->writes, &t->state, e);
    if (rc == 0)
        rc = worker_init(&t->worker, "loader", o->index, t, e);
    if (rc != 0) {
        writes_fini(&t->writes);
        answers_fini(&t->state.answers);
        free(t);
        return rc;
    }
    t->state.loop = t->worker.loop;
    rc = tiered_new(&t->state.tiered, &t->state, o->tier, e);
    if (rc != 0) {
        loader_thread_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

static void loader_thread_on_telling(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct loader_thread *t = timer->data;
    struct edition *edition = t->current;
    if (!edition)
        return;
    for (size_t i = 0; i < edition->snapshot->conf->backend_count; i++) {
        struct backend_stats now = {0};
        edition->backends[i]->ops->read_stats(edition->backends[i], &now);
        live_backend_tell(edition->snapshot->backends[i], t->options.index, &now);
    }
    struct runtime_stats now = {0};
    edition_vm_reap(edition);
    edition_vm_read_stats(edition, &now);
    live_scripts_tell(edition->snapshot->scripts, t->options.index, &now);
}

/* The loop is about to sleep, and what this turn asks of backends is sent. */
static void loader_thread_on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    struct loader_thread *t = watcher->data;
    answers_tell_all(&t->state.answers);
    writes_tell_all(&t->writes);
}

static void loader_thread_recv_begin(struct message *m, void *owner)
{
    (void)m;
    struct loader_thread *t = owner;
    t->state.metrics = t->state.answers.metrics = metrics_mine();
    t->state.started_ms = clock_ms();
    ev_timer_init(&t->telling, loader_thread_on_telling, TELL_SECONDS, TELL_SECONDS);
    t->telling.data = t;
    ev_timer_start(t->worker.loop, &t->telling);
    schedule_start(&t->schedule);
    ev_prepare_init(&t->turn_end, loader_thread_on_turn_end);
    ev_set_priority(&t->turn_end, EV_MINPRI); /* after the backends' */
    t->turn_end.data = t;
    ev_prepare_start(t->worker.loop, &t->turn_end);
    budget_init(&t->state.budget, clock_ms());
}

int loader_thread_start(struct loader_thread *t, struct err *e)
{
    t->begin.recv = loader_thread_recv_begin;
    mailbox_send(&t->worker.mailbox, &t->begin);
    return worker_start(&t->worker, e);
}

/* What waited to be written to the tier is written, or cannot be. */
static void loader_thread_on_finished(void *arg)
{
    struct loader_thread *t = arg;
    worker_stop(&t->worker);
}

static void loader_thread_recv_stop(struct message *m, void *owner)
{
    (void)m;
    struct loader_thread *t = owner;
    struct err err;
    err_set(&err, ERR_SHUTDOWN, "the server is going down");
    t->state.stopping = true;
    list_for_each (link, &t->schedule.editions) {
        struct edition *edition = container_of(link, struct edition, link);
        edition_ref(edition);
        struct seat *seat;
        for (size_t i = 0; i < edition->snapshot->conf->loader_count; i++)
            while ((seat = admission_pop_queued(&edition->admissions[i])))
                seat_refuse(seat, &err);
    }
    if (t->current)
        for (size_t i = 0; i < t->current->snapshot->conf->loader_count; i++)
            writes_move(&t->writes, &t->current->admissions[i]);
    writes_shutdown(&t->writes);
    writes_tell_all(&t->writes); /* no turn ends any more */
    load_shutdown_all(&t->state);
    list_for_each_safe (link, next, &t->schedule.editions) {
        edition_unref(container_of(link, struct edition, link));
    }
    edition_unref(t->prepared);
    edition_unref(t->current);
    t->prepared = NULL;
    make_current(t, NULL);
    ev_timer_stop(t->worker.loop, &t->telling);
    ev_prepare_stop(t->worker.loop, &t->turn_end);
    schedule_stop(&t->schedule);
    answers_tell_all(&t->state.answers);
    tiered_finish(t->state.tiered, loader_thread_on_finished, t);
}

void loader_thread_stop(struct loader_thread *t)
{
    t->stop.recv = loader_thread_recv_stop;
    mailbox_send(&t->worker.mailbox, &t->stop);
}

void loader_thread_join(struct loader_thread *t)
{
    worker_join(&t->worker);
}

void loader_thread_free(struct loader_thread *t)
{
    if (!t)
        return;
    t->state.stopping = true;
    worker_fini(&t->worker);
    writes_fini(&t->writes);
    answers_fini(&t->state.answers);
    journal_lane_fini(&t->lane);
    tiered_free(t->state.tiered);
    free(t);
}
