#include "load/loader_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"

#include <stdlib.h>

#define TELL_SECONDS .5

/* ---- sets: a snapshot made ready on this thread ---- */

struct loader_set *loader_set_ref(struct loader_set *set)
{
    set->refs++;
    return set;
}

void loader_set_unref(struct loader_set *set)
{
    if (!set || --set->refs > 0)
        return;
    list_remove(&set->link);
    runtime_unref(set->runtime);
    if (set->backends)
        for (size_t i = 0; i < set->snapshot->conf->backend_count; i++)
            if (set->backends[i])
                backend_unref(set->backends[i]);
    free(set->backends);
    free(set->gates);
    snapshot_unref(set->snapshot);
    free(set);
}

/* An unchanged backend keeps its connections. */
static struct backend *backend_kept(struct loader *l, const struct conf_backend *wanted)
{
    if (!l->current)
        return NULL;
    const struct conf *conf = l->current->snapshot->conf;
    for (size_t i = 0; i < conf->backend_count; i++)
        if (conf_backend_same(&conf->backends[i], wanted))
            return backend_ref(l->current->backends[i]);
    return NULL;
}

static int open_backends(struct loader_set *set, struct err *e)
{
    const struct conf *conf = set->snapshot->conf;
    set->backends = calloc(conf->backend_count + 1, sizeof *set->backends);
    if (!set->backends)
        return err_set(e, ERR_NOMEM, "no memory for %zu backends", conf->backend_count);
    for (size_t i = 0; i < conf->backend_count; i++) {
        const struct conf_backend *b = &conf->backends[i];
        set->backends[i] = backend_kept(set->loader, b);
        if (set->backends[i])
            continue;
        int64_t share = (b->pool + conf->loader_threads - 1) / conf->loader_threads;
        int rc = backend_new(&set->backends[i], set->loader->worker.loop, b,
                             (unsigned)(share > 0 ? share : 1), e);
        if (rc != 0) {
            err_prefix(e, "%s:%d: backend \"%s\"", b->file, b->line, b->name);
            return rc;
        }
    }
    return 0;
}

static int open_runtime(struct loader_set *set, struct err *e)
{
    const struct conf *conf = set->snapshot->conf;
    const char **names = calloc(conf->backend_count + 1, sizeof *names);
    if (!names)
        return err_set(e, ERR_NOMEM, "no memory for %zu backends", conf->backend_count);
    for (size_t i = 0; i < conf->backend_count; i++)
        names[i] = conf->backends[i].name;
    struct runtime_options o = {
        .loop = set->loader->worker.loop,
        .scripts_dir = conf->scripts_dir,
        .lua_dir = conf->lua_dir,
        .memory_max = (size_t)conf->script_memory,
        .run_cpu_ms = conf->script_cpu_ms,
        .value_max = (size_t)conf->max_value,
        .backends = set->backends,
        .backend_names = names,
        .backend_count = conf->backend_count,
    };
    int rc = runtime_new(&set->runtime, &o, e);
    free(names);
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++) {
        struct gate *g = &set->gates[i];
        gate_init(g, set, i);
        rc = runtime_add_script(set->runtime, g->conf->script, &g->script, e);
    }
    return rc;
}

/* A loader whose pattern and backend stay the same keeps its breaker. */
static void carry_breakers(struct loader_set *set, const struct loader_set *before)
{
    if (!before)
        return;
    for (size_t i = 0; i < set->snapshot->conf->loader_count; i++)
        for (size_t k = 0; k < before->snapshot->conf->loader_count; k++)
            if (strcmp(set->gates[i].conf->pattern, before->gates[k].conf->pattern) == 0 &&
                set->gates[i].backend >= 0 && before->gates[k].backend >= 0 &&
                set->backends[set->gates[i].backend] == before->backends[before->gates[k].backend])
                set->gates[i].breaker = before->gates[k].breaker;
}

static int set_new(struct loader *l, struct snapshot *snapshot, struct err *e)
{
    struct loader_set *set = calloc(1, sizeof *set);
    if (!set)
        return err_set(e, ERR_NOMEM, "no memory for a configuration");
    list_init(&set->link);
    set->loader = l;
    set->refs = 1;
    set->snapshot = snapshot_ref(snapshot);
    set->gates = calloc(snapshot->conf->loader_count + 1, sizeof *set->gates);
    int rc = set->gates
                 ? open_backends(set, e)
                 : err_set(e, ERR_NOMEM, "no memory for %zu loaders", snapshot->conf->loader_count);
    if (rc == 0)
        rc = open_runtime(set, e);
    if (rc != 0) {
        loader_set_unref(set);
        return rc;
    }
    list_push_back(&l->sets, &set->link);
    l->prepared = set;
    return 0;
}

/* ---- flights ---- */

void loader_end(struct loader *l, struct flight *f, struct outcome *o, struct verdict *v)
{
    o->generation = l->current ? l->current->snapshot->generation : 0;
    flights_end(l->options.flights, f, o, clock_ms(), v);
    bool lasts = o->end == END_FOUND || (o->end == END_ABSENT && o->ttl_ms > 0);
    if (!v->below && !v->stored && o->store && lasts)
        metrics_inc(l->metrics, M_LOADS_VOIDED);
}

void loader_wake(struct loader *l, struct flight *f)
{
    for (unsigned i = 0; i < l->options.slot_count; i++)
        if (!list_empty(&f->slots[i].waiters))
            mailbox_send(l->options.slots[i], &f->slots[i].message);
    flight_unref(f);
}

void loader_refuse_flight(struct loader *l, struct flight *f, const struct err *err)
{
    struct err with_key = *err;
    char key[SHOW_KEY_TEXT];
    err_prefix(&with_key, "%s", show_key(key, flight_key(f)));
    struct outcome o = {.end = END_REFUSED, .err = &with_key};
    struct verdict v;
    loader_end(l, f, &o, &v);
    loader_wake(l, f);
}

static void admit(struct loader *l, struct flight *f)
{
    struct err err;
    int index = routes_match(l->current->snapshot->routes, flight_key(f), NULL);
    if (index < 0) {
        err_set(&err, ERR_NO_LOADER, "no loader's pattern matches");
        loader_refuse_flight(l, f, &err);
        return;
    }
    struct load *ld = load_new(&l->current->gates[index], f);
    if (!ld) {
        err_set(&err, ERR_NOMEM, "no memory for a load");
        loader_refuse_flight(l, f, &err);
        return;
    }
    gate_admit(ld->gate, ld);
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

void loader_submit(struct loader *l, struct flight *f)
{
    f->message.recv = loader_recv_flight;
    mailbox_send(&l->worker.mailbox, &f->message);
}

/* ---- changes and life ---- */

/* Loads in the air end where they began; queued ones go over to the new set. */
static void commit(struct loader *l)
{
    struct loader_set *before = l->current;
    carry_breakers(l->prepared, before);
    l->current = l->prepared;
    l->prepared = NULL;
    if (!before)
        return;
    struct load *ld;
    for (size_t i = 0; i < before->snapshot->conf->loader_count; i++)
        while ((ld = gate_pop_queued(&before->gates[i])))
            admit(l, load_give_back(ld));
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
    case LOADER_PREPARE: c->rc = set_new(l, c->snapshot, &c->err); break;
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
    int rc = writes_init(l, e);
    if (rc == 0)
        rc = worker_init(&l->worker, "loader", o->index, l, e);
    if (rc != 0) {
        writes_fini(l);
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
    runtime_read_stats(set->runtime, &now);
    snapshot_tell_scripts(set->snapshot, l->options.index, &now);
}

static void loader_recv_begin(struct message *m, void *owner)
{
    (void)m;
    struct loader *l = owner;
    l->metrics = metrics_mine();
    ev_timer_init(&l->telling, loader_on_telling, TELL_SECONDS, TELL_SECONDS);
    l->telling.data = l;
    ev_timer_start(l->worker.loop, &l->telling);
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
        struct load *ld;
        for (size_t i = 0; i < set->snapshot->conf->loader_count; i++)
            while ((ld = gate_pop_queued(&set->gates[i])))
                load_refuse(ld, &err);
    }
    if (l->current)
        for (size_t i = 0; i < l->current->snapshot->conf->loader_count; i++)
            writes_move(l, &l->current->gates[i]);
    writes_shutdown(l);
    struct list *link;
    while ((link = list_pop_front(&l->running)))
        load_shutdown(container_of(link, struct load, link));
    list_for_each_safe (set_link, next, &l->sets) {
        loader_set_unref(container_of(set_link, struct loader_set, link));
    }
    loader_set_unref(l->prepared);
    loader_set_unref(l->current);
    l->prepared = l->current = NULL;
    ev_timer_stop(l->worker.loop, &l->telling);
    l->stopping = true;
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
    free(l);
}
