/*
 * load_world: what is on a loader thread, in the test's own: an edition of three loaders and two
 * backends, whose loads ask a source that answers when the test says so.
 *
 *   world_get --> flight --> admission --world_step--> load --> asked[] --world_answer--> told
 *
 * Loaders 0 and 1 ask backend 0, loader 2 asks backend 1. Their script has a `save` that waits for
 * w->bench.main. Time is the real one, but nothing waits for it unless the test does.
 */
#ifndef RTCACHE_TESTS_LOAD_WORLD_H
#define RTCACHE_TESTS_LOAD_WORLD_H

#include "bind/fake.h"

#include "load/admission.h"
#include "load/capacity.h"
#include "load/load.h"
#include "load/schedule.h"

#define WORLD_LOADERS  3
#define WORLD_BACKENDS 2
#define WORLD_ASKED    200
#define WORLD_KEYS     8 /* of one load */
#define WORLD_HELD     1000

/* One attempt, as the source has it. */
struct world_asked {
    const struct binding *binding;
    char keys[WORLD_KEYS][32];
    int64_t shown[WORLD_KEYS]; /* the version of what it was shown as stored; -1: nothing */
    uint32_t count;
    bool many, primary, in_air;
    enum { ASKED_GOES_ON, ASKED_CANCELLED, ASKED_TIMED_OUT } stopped;
    int attempt;
    void (*done)(struct run *run, struct run_result *result, void *arg);
    void *arg;
};

/* Somebody who waits for a key, and what was told. */
struct world_get {
    struct waiter waiter;
    struct flight *flight; /* for the test to promote it; one reference */
    bool told;
    enum flight_end end;
    int code;
    int32_t retry_after_ms;
    struct err why; /* of an error */
};

struct load_world {
    struct bench bench;
    struct marks *marks;
    struct store *store;
    struct flights *flights;
    struct changes changes;
    struct mailbox box, *slots[1];
    struct thread_state thread;
    struct schedule schedule;
    struct conf conf;
    struct conf_loader loaders[WORLD_LOADERS];
    struct conf_backend backends[WORLD_BACKENDS];
    struct edition edition;
    struct capacity capacities[WORLD_BACKENDS + 1];
    struct admission admissions[WORLD_LOADERS];
    int ended;              /* editions */
    int refuse;             /* so many starts fail for lack of memory */
    enum run_health health; /* as a load that was cut off says it */
    struct world_asked asked[WORLD_ASKED];
    int asked_count;
};

static struct load_world *the_world; /* for a source, which is given none */

static inline int world_source_start(const struct binding *b, const struct source_request *q,
                                     struct run **run, struct err *e)
{
    struct load_world *w = the_world;
    if (w->refuse > 0) {
        w->refuse--;
        return err_set(e, ERR_NOMEM, "no memory for a script");
    }
    assert_in_range(w->asked_count, 0, WORLD_ASKED - 1);
    assert_in_range(q->count, 1, WORLD_KEYS);
    struct world_asked *a = &w->asked[w->asked_count++];
    *a = (struct world_asked){
        .binding = b,
        .count = q->count,
        .many = q->many,
        .primary = q->primary,
        .in_air = true,
        .attempt = q->attempt,
        .done = q->done,
        .arg = q->arg,
    };
    for (uint32_t i = 0; i < q->count; i++) {
        a->shown[i] = q->keys[i].stored ? q->keys[i].version : -1;
        snprintf(a->keys[i], sizeof a->keys[i], "%.*s", (int)q->keys[i].key.size,
                 (const char *)q->keys[i].key.data);
    }
    *run = (struct run *)a;
    return 0;
}

static inline void world_source_cancel(struct run *run)
{
    struct world_asked *a = (struct world_asked *)run;
    assert_true(a->in_air);
    a->in_air = false;
    a->stopped = ASKED_CANCELLED;
}

static inline enum run_health world_source_time_out(struct run *run)
{
    world_source_cancel(run);
    ((struct world_asked *)run)->stopped = ASKED_TIMED_OUT;
    return the_world->health;
}

static const struct source world_source = {world_source_start, world_source_cancel,
                                           world_source_time_out};

/* A slot's message: who waits is told. */
static inline void world_deliver(struct message *m, void *owner)
{
    (void)owner;
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    struct list *link;
    while ((link = list_pop_front(&slot->waiters))) {
        struct world_get *g =
            container_of(container_of(link, struct waiter, link), struct world_get, waiter);
        g->told = true;
        g->end = slot->flight->outcome.end;
        g->code = slot->flight->outcome.err_code;
        g->retry_after_ms = slot->flight->outcome.retry_after_ms;
        if (slot->flight->outcome.err)
            g->why = *slot->flight->outcome.err;
    }
    flight_unref(slot->flight);
}

static inline void world_end(struct edition *edition)
{
    container_of(edition, struct load_world, edition)->ended++;
}

static inline void world_conf(struct load_world *w)
{
    static const char *const patterns[] = {"a:*", "b:*", "c:*"}, *const names[] = {"main", "other"};
    atomic_init(&w->conf.refs, WORLD_HELD);
    w->conf.loader_threads = 1;
    w->conf.loaders = w->loaders;
    w->conf.loader_count = WORLD_LOADERS;
    w->conf.backends = w->backends;
    w->conf.backend_count = WORLD_BACKENDS;
    w->conf.floor_ttl_ms = 60000;
    for (int i = 0; i < WORLD_BACKENDS; i++)
        w->backends[i] =
            (struct conf_backend){.name = names[i], .min_loads = 100, .max_loads = 100};
    for (int i = 0; i < WORLD_LOADERS; i++)
        w->loaders[i] = (struct conf_loader){
            .pattern = patterns[i],
            .script = "all.lua",
            .backend = names[i == 2],
            .write = "through",
            .file = "/etc/rtcache.conf",
            .policy = {.ttl_ms = 60000,
                       .load_timeout_ms = 10000,
                       .write_timeout_ms = 10000,
                       .max_loads = 100,
                       .max_queue = 100,
                       .max_waiters = 10,
                       .max_writes = 10,
                       .max_write_queue = 10,
                       .prefetch_max_concurrent = 10,
                       .prefetch_max_queue = 10,
                       .backoff_base_ms = 1,
                       .backoff_cap_ms = 1,
                       .retry_base_ms = 1,
                       .retry_cap_ms = 1},
        };
}

/* Before world_open the test may change w->loaders and w->backends. */
static inline struct load_world *world_new(void)
{
    struct load_world *w = calloc(1, sizeof *w);
    the_world = w;
    bench_start(&w->bench, (struct bench_bounds){0});
    world_conf(w);
    assert_int_equal(marks_new(&w->marks, 1024, 3, NULL), 0);
    struct store_options so = {
        .memory_bytes = 16 << 20, .shards = 4, .seed = 1, .now_ms = clock_ms(), .marks = w->marks};
    assert_int_equal(store_new(&w->store, &so, NULL), 0);
    struct flights_options fo = {
        .store = w->store,
        .marks = w->marks,
        .shards = 1,
        .slots = 1,
        .failed_max = 100,
        .floors_max = 100,
        .seed = 7,
        .deliver = world_deliver,
    };
    assert_int_equal(flights_new(&w->flights, &fo, NULL), 0);
    w->changes = (struct changes){.store = w->store, .flights = w->flights, .marks = w->marks};
    mailbox_init(&w->box, w->bench.loop, w);
    w->slots[0] = &w->box;
    return w;
}

static inline void world_open(struct load_world *w)
{
    struct err e;
    struct thread_state *t = &w->thread;
    *t = (struct thread_state){
        .loop = w->bench.loop,
        .store = w->store,
        .flights = w->flights,
        .changes = &w->changes,
        .metrics = metrics_mine(),
        .rng = {.state = 5},
        .turn = 1,
    };
    list_init(&t->running);
    budget_init(&t->budget, clock_ms());
    assert_int_equal(answers_init(&t->answers, w->flights, w->slots, 1, &e), 0);
    t->answers.metrics = t->metrics;
    t->answers.generation = 1;
    schedule_init(&w->schedule, t);
    schedule_start(&w->schedule);
    struct edition *edition = &w->edition;
    *edition = (struct edition){.thread = t, .refs = 1, .end = world_end};
    edition->runtime = w->bench.rt;
    edition->capacities = w->capacities;
    edition->admissions = w->admissions;
    if (snapshot_new(&edition->snapshot, &w->conf, 1, NULL, &e) != 0)
        fail_msg("%s", e.text);
    list_push_back(&w->schedule.editions, &edition->link);
    for (int i = 0; i <= WORLD_BACKENDS; i++) {
        const struct conf_backend *b = &w->backends[i < WORLD_BACKENDS ? i : 0];
        capacity_init(&w->capacities[i], &w->schedule.startable, (uint32_t)b->min_loads,
                      (uint32_t)b->max_loads);
    }
    int script = bench_script(&w->bench, "all.lua",
                              "return {\n"
                              "  load = function() return 1 end,\n"
                              "  save = function(key, value, ctx)\n"
                              "    ctx.db:value 'SELECT 1'\n"
                              "    return value, { version = 1 }\n"
                              "  end,\n"
                              "}\n");
    /* Reading it may have taken long on a busy machine: it has no time to make up for. */
    struct ending end;
    do {
        bench_run(&w->bench, script, &end);
        ending_fini(&end);
    } while (runtime_ahead_us(w->bench.rt, script) > 0);
    for (int i = 0; i < WORLD_LOADERS; i++) {
        admission_init(&w->admissions[i], edition, (size_t)i);
        binding_know_script(&w->admissions[i].binding, w->bench.rt, script);
        w->admissions[i].binding.source = &world_source;
    }
}

/* Nothing may be left but what the test itself holds. */
static inline void world_free(struct load_world *w)
{
    assert_int_equal(w->ended, 0);
    assert_int_equal(w->edition.refs, 1);
    for (int i = 0; i < WORLD_LOADERS; i++)
        admission_fini(&w->admissions[i]);
    for (int i = 0; i <= WORLD_BACKENDS; i++)
        capacity_fini(&w->capacities[i]);
    snapshot_unref(w->edition.snapshot);
    schedule_stop(&w->schedule);
    mailbox_fini(&w->box);
    answers_fini(&w->thread.answers);
    flights_free(w->flights);
    store_free(w->store);
    marks_free(w->marks);
    bench_stop(&w->bench);
    free(w);
}

/* The turn ends: what may begins, and who was woken is told. */
static inline void world_step(struct load_world *w)
{
    schedule_run(&w->schedule);
    answers_tell_all(&w->thread.answers);
    mailbox_drain(&w->box);
}

/* Timers that are due run, until one more attempt has been asked for. */
static inline void world_await_asked(struct load_world *w, int count)
{
    for (int i = 0; w->asked_count < count && i < 5000; i++) {
        usleep(1000);
        ev_run(w->bench.loop, EVRUN_NOWAIT);
    }
    assert_int_equal(w->asked_count, count);
}

/* Joins the key's flight, and admits the one that this starts. how: NULL, or what the request is
 * besides; g NULL: in the background. */
static inline void world_get(struct load_world *w, int loader, const char *key, struct world_get *g,
                             const struct join_request *how)
{
    struct join_result r = {0};
    struct buf room;
    buf_init(&room, 0);
    struct join_request q = how ? *how : (struct join_request){0};
    q.key = slice_str(key);
    q.hash = store_hash(w->store, q.key);
    q.now_ms = clock_ms();
    q.generation = 1;
    q.loader = loader;
    q.max_waiters = 10;
    q.waiter = g ? &g->waiter : NULL;
    q.out = &room;
    if (g)
        *g = (struct world_get){0};
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    buf_fini(&room);
    admission_admit(&w->admissions[loader], r.flight);
}

/* The newest attempt that has this key. */
static inline struct world_asked *world_asked_for(struct load_world *w, const char *key)
{
    for (int i = w->asked_count - 1; i >= 0; i--)
        for (uint32_t k = 0; k < w->asked[i].count; k++)
            if (strcmp(w->asked[i].keys[k], key) == 0)
                return &w->asked[i];
    return NULL;
}

/* r is the answer to a; what it owns is freed. */
static inline void world_answer_with(struct load_world *w, struct world_asked *a,
                                     struct run_result *r)
{
    (void)w;
    assert_true(a->in_air);
    a->in_air = false;
    a->done((struct run *)a, r, a->arg);
    buf_fini(&r->value);
}

static inline struct run_result world_result(enum run_outcome outcome)
{
    struct run_result r = {
        .outcome = outcome, .health = HEALTH_GOOD, .ttl_ms = -1, .stale_ttl_ms = -1};
    buf_init(&r.value, 0);
    if (outcome == RUN_FOUND)
        assert_int_equal(mpw_int(&r.value, 7), 0);
    return r;
}

/* Each key of a has a value. */
static inline void world_answer(struct load_world *w, struct world_asked *a)
{
    struct run_result many[WORLD_KEYS], all = world_result(RUN_DONE), one = world_result(RUN_FOUND);
    if (!a->many) {
        world_answer_with(w, a, &one);
        return;
    }
    for (uint32_t i = 0; i < a->count; i++)
        many[i] = one;
    all.many = many;
    all.many_count = a->count;
    world_answer_with(w, a, &all);
    buf_fini(&one.value);
}

static inline void world_fail(struct load_world *w, struct world_asked *a, int code)
{
    struct run_result r = world_result(RUN_FAILED);
    r.health = code == ERR_BACKEND_DOWN ? HEALTH_BAD : HEALTH_GOOD;
    err_set(&r.err, code, "it fails");
    world_answer_with(w, a, &r);
}

/* The first loader has these bounds. */
static inline struct load_world *world_bounded(int64_t max_loads, int64_t max_queue)
{
    struct load_world *w = world_new();
    w->loaders[0].policy.max_loads = max_loads;
    w->loaders[0].policy.max_queue = max_queue;
    return w;
}

/* Answers whatever is in the air until nothing is, and so ends all that was admitted. */
static inline void world_answer_all(struct load_world *w)
{
    bool any = true;
    while (any) {
        any = false;
        world_step(w);
        for (int i = 0; i < w->asked_count; i++)
            if (w->asked[i].in_air) {
                world_answer(w, &w->asked[i]);
                any = true;
            }
    }
    world_step(w);
}

#endif
