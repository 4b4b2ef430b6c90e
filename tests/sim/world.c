/* The world of one run: a configuration, the store and the flights, a loader thread and the loops
 * of those that ask it. */
#include "sim.h"

#include "base/log.h"

#define FOR_EVER 1000000000 /* references of what the world keeps itself */
#define MAIN_BOX SIM_SLOTS

/* By kind of source, and by whether writes go through. */
static const char *const patterns[SIM_LOADERS] = {"pi:*", "pt:*", "ri:*", "rt:*", "li:*", "lt:*"};
static const char *const names[SIM_BACKENDS] = {"primary", "replica", "lone"};

static void must(int rc, const struct err *e)
{
    if (rc == 0)
        return;
    fprintf(stderr, "sim: %s\n", e->text);
    abort();
}

static struct policy policy_of(const struct knobs *k)
{
    return (struct policy){
        .ttl_ms = k->ttl_ms,
        .stale_ttl_ms = k->stale_ttl_ms,
        .negative_ttl_ms = k->negative_ttl_ms,
        .stale_if_error_ms = k->keep_ms,
        .jitter = 0.1,
        .stale_wait_ms = k->stale_wait_ms,
        .wait_timeout_ms = k->wait_timeout_ms,
        .load_timeout_ms = k->load_timeout_ms,
        .retries = k->retries,
        .retry_base_ms = 4,
        .retry_cap_ms = 40,
        .backoff_base_ms = 5,
        .backoff_cap_ms = 80,
        .max_loads = k->max_loads,
        .max_queue = k->max_queue,
        .max_waiters = k->max_waiters,
        .batch_max = k->batch_max,
        .batch_window_us = k->batch_window_us,
        .max_writes = k->max_writes,
        .max_write_queue = k->max_write_queue,
        .write_timeout_ms = k->write_timeout_ms,
        .breaker_failures = k->breaker_failures,
        .breaker_open_ms = 50,
        .refresh_ahead = 0.5,
        .prefetch_min_reads = 1,
        .prefetch_max_concurrent = 2,
        .prefetch_max_queue = 2,
    };
}

static void make_conf(struct sim *s)
{
    struct policy policy = policy_of(&s->k);
    s->conf = (struct conf){
        .loader_threads = 1,
        .floor_ttl_ms = s->k.floor_ttl_ms,
        .retry_budget = 0.2,
        .defaults = policy,
        .loaders = s->loaders,
        .loader_count = SIM_LOADERS,
        .backends = s->backends,
        .backend_count = SIM_BACKENDS,
    };
    atomic_init(&s->conf.refs, FOR_EVER);
    for (int i = 0; i < SIM_BACKENDS; i++)
        s->backends[i] =
            (struct conf_backend){.name = names[i],
                                  .primary = i == SOURCE_REPLICA ? names[SOURCE_PRIMARY] : NULL,
                                  .min_loads = 1,
                                  .max_loads = 100};
    for (int i = 0; i < SIM_LOADERS; i++)
        s->loaders[i] = (struct conf_loader){
            .pattern = patterns[i],
            .script = "simulated",
            .backend = names[i / 2],
            .write = i % 2 ? "through" : "invalidate",
            .file = "simulated",
            .policy = policy,
        };
}

static void open_memory(struct sim *s)
{
    struct err err;
    struct store_options so = {
        .memory_bytes = s->k.little_memory ? 49152 : 1 << 20,
        .shards = 1,
        .seed = rng_next(&s->rng),
        .now_ms = s->now_ms,
    };
    struct flights_options fo = {
        .shards = 1,
        .slots = SIM_SLOTS,
        .failed_max = 2,
        .floors_max = s->k.floors_max,
        .lossy_until_ms = s->now_ms + s->k.floor_ttl_ms,
        .seed = rng_next(&s->rng),
        .deliver = gets_deliver,
    };
    must(marks_new(&s->marks, 64, rng_next(&s->rng), &err), &err);
    so.marks = fo.marks = s->marks;
    must(store_new(&s->store, &so, &err), &err);
    fo.store = s->store;
    must(flights_new(&s->flights, &fo, &err), &err);
    s->changes = (struct changes){.store = s->store, .flights = s->flights, .marks = s->marks};
}

/* ---- configurations ---- */

static void ask_loader(struct sim *s, enum edition_step step,
                       void (*answered)(struct message *m, void *owner))
{
    s->change = (struct edition_change){
        .step = step, .snapshot = s->next, .answer_to = &s->boxes[MAIN_BOX], .answered = answered};
    loader_thread_change(s->loader, &s->change);
}

/* stamp: of the I/O thread; with the last of them the main one follows. */
static void on_adopted(struct sim *s, void *arg, uint32_t stamp)
{
    (void)arg;
    snapshot_unref(s->adopted[stamp]);
    s->adopted[stamp] = snapshot_ref(s->next);
    sim_note(s, (struct event){.kind = DID_ADOPT, .key = -1, .id = (int)stamp + 1});
    for (int i = 0; i < SIM_SLOTS; i++)
        if (s->adopted[i] != s->next)
            return;
    snapshot_unref(s->snapshot);
    s->snapshot = s->next;
    s->next = NULL;
}

static void on_committed(struct message *m, void *owner)
{
    (void)m;
    struct sim *s = owner;
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        task_in(s, s->healing ? 0 : sim_up_to(s, 5), on_adopted, NULL, i);
}

static void on_aborted(struct message *m, void *owner)
{
    (void)m;
    struct sim *s = owner;
    snapshot_unref(s->next);
    s->next = NULL;
}

static void on_prepared(struct message *m, void *owner)
{
    (void)m;
    struct sim *s = owner;
    must(s->change.rc, &s->change.err);
    if (s->stopping)
        return;
    if (s->snapshot && sim_chance(s, 20)) /* another thread could not */
        ask_loader(s, EDITION_ABORT, on_aborted);
    else
        ask_loader(s, EDITION_COMMIT, on_committed);
}

/* The loader thread and the I/O threads take a new configuration up one after the other. */
void world_reload(struct sim *s)
{
    struct err err;
    if (s->next || s->stopping)
        return;
    uint64_t generation = s->snapshot ? s->snapshot->generation + 1 : 1;
    atomic_store(&s->conf.refs, FOR_EVER);
    must(snapshot_new(&s->next, &s->conf, generation, s->snapshot, &err), &err);
    ask_loader(s, EDITION_PREPARE, on_prepared);
}

/* ---- its life ---- */

void world_open(struct sim *s)
{
    struct err err;
    log_setup(2, LOG_ERROR);
    make_conf(s);
    open_memory(s);
    for (int i = 0; i <= SIM_SLOTS; i++)
        mailbox_init(&s->boxes[i], platform_loop(), s);
    for (int i = 0; i < SIM_SLOTS; i++)
        s->slots[i] = &s->boxes[i];
    struct loader_thread_options o = {
        .flights = s->flights,
        .store = s->store,
        .changes = &s->changes,
        .slots = s->slots,
        .slot_count = SIM_SLOTS,
        .seed = rng_next(&s->rng),
    };
    must(loader_thread_new(&s->loader, &o, &err), &err);
    must(loader_thread_start(s->loader, &err), &err);
    s->snapshot = s->next = NULL;
    memset(s->adopted, 0, sizeof s->adopted);
    world_reload(s);
    tasks_run(s, INT64_MAX);
}

void world_stop(struct sim *s)
{
    s->stopping = true;
    loader_thread_stop(s->loader);
    tasks_run(s, INT64_MAX);
    loader_thread_join(s->loader);
    loader_thread_free(s->loader); /* it receives what came after its end */
    tasks_run(s, INT64_MAX);
}

void world_close(struct sim *s)
{
    for (int i = 0; i <= SIM_SLOTS; i++) {
        mailbox_fini(&s->boxes[i]);
        platform_loop_free(s->boxes[i].loop);
    }
    for (int i = 0; i < SIM_SLOTS; i++)
        snapshot_unref(s->adopted[i]);
    snapshot_unref(s->snapshot);
    snapshot_unref(s->next);
    flights_free(s->flights);
    store_free(s->store);
    marks_free(s->marks);
}
