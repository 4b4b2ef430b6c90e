/* One run: what the seed decides, the world, and its end. */
#include "sim.h"

#include <stdlib.h>

#define START_MS 1000000

struct sim *sim_new(void)
{
    struct sim *s = calloc(1, sizeof *s);
    if (!s) {
        fputs("sim: no memory\n", stderr);
        abort();
    }
    buf_init(&s->out, 0);
    s->metrics = metrics_mine();
    return s;
}

void sim_free(struct sim *s)
{
    buf_fini(&s->out);
    history_free(&s->history);
    free(s);
}

void sim_note(struct sim *s, struct event e)
{
    e.at_ms = s->now_ms - START_MS;
    if (e.until_ms)
        e.until_ms -= START_MS;
    history_add(&s->history, &e);
}

void sim_note_dropped(struct sim *s)
{
    struct flights_stats stats;
    flights_read_stats(s->flights, &stats);
    if (stats.floors_dropped > s->floors_dropped)
        sim_note(s, (struct event){.kind = DID_DROPPED, .key = -1});
    s->floors_dropped = stats.floors_dropped;
}

int64_t sim_stored_version(struct sim *s, int key)
{
    struct hit hit;
    enum lookup found =
        store_get(s->store, sim_key(s, key), s->hashes[key], s->now_ms, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return found != LOOKUP_MISS && hit.has_version ? hit.version : -1;
}

int sim_key_of(const struct sim *s, struct slice name)
{
    for (int key = 0; key < s->k.keys; key++)
        if (slice_eq(name, sim_key(s, key)))
            return key;
    fputs("sim: a key of nobody's\n", stderr);
    abort();
}

int sim_next_read(struct sim *s)
{
    if (s->read_count + 1 >= HISTORY_READS) {
        fputs("sim: too many attempts\n", stderr);
        abort();
    }
    return ++s->read_count;
}

static int64_t one_of(struct sim *s, int64_t a, int64_t b, int64_t c)
{
    uint64_t i = rng_below(&s->rng, 3);
    return i == 0 ? a : i == 1 ? b : c;
}

static void choose(struct sim *s)
{
    struct knobs *k = &s->k;
    *k = (struct knobs){
        .keys = (int)one_of(s, 1, 3, 6),
        .ops = 60 + (int)sim_up_to(s, 60),
        .pace_ms = (int)one_of(s, 4, 12, 30),
        .floors_max = (size_t)one_of(s, 1, 3, 100),
        .little_memory = sim_chance(s, 20),
        .strong = !sim_chance(s, 10),
        .lag_ms = one_of(s, 5, 40, 150),
        .unseen_ms = one_of(s, 0, 20, 60),
        .ttl_ms = one_of(s, 40, 200, 100000),
        .stale_ttl_ms = one_of(s, 0, 100, 500),
        .keep_ms = one_of(s, 0, 100, 800),
        .negative_ttl_ms = one_of(s, 20, 200, 100000),
        .stale_wait_ms = one_of(s, 0, 0, 10),
        .load_timeout_ms = one_of(s, 40, 80, 150),
        .wait_timeout_ms = one_of(s, 30, 100, 300),
        .write_timeout_ms = one_of(s, 40, 80, 200),
        .max_loads = (int)one_of(s, 1, 3, 100),
        .max_queue = (int)one_of(s, 2, 100, 100),
        .max_waiters = (int)one_of(s, 2, 50, 50),
        .max_writes = (int)one_of(s, 1, 2, 100),
        .max_write_queue = (int)one_of(s, 1, 100, 100),
        .batch_max = (int)one_of(s, 1, 1, SIM_BATCH),
        .batch_window_us = one_of(s, 0, 1000, 3000),
        .alike = sim_chance(s, 60),
        .breaker_failures = (int)one_of(s, 0, 0, 3),
        .retries = (int)one_of(s, 0, 1, 2),
        .fail_percent = (int)one_of(s, 0, 5, 20),
        .slow_percent = (int)one_of(s, 5, 20, 50),
        .unchanged_percent = (int)one_of(s, 0, 40, 90),
        .told_percent = (int)one_of(s, 30, 80, 95),
        .plain_percent = (int)one_of(s, 0, 20, 60),
        .lost_percent = (int)one_of(s, 2, 15, 40),
    };
    k->floor_ttl_ms = k->strong ? k->lag_ms + 2 * k->unseen_ms + k->load_timeout_ms + 10 : 30;
}

static void choose_row(struct sim *s, int key)
{
    struct row *r = &s->rows[key];
    int luck = (int)rng_below(&s->rng, 100);
    r->head = r->shown = r->applied = 0;
    r->kind = luck < 45 ? SOURCE_PRIMARY : luck < 90 ? SOURCE_REPLICA : SOURCE_LONE;
    r->versioned = sim_chance(s, 85);
    r->through = sim_chance(s, 70);
    if (s->k.alike && key > 0) {
        r->kind = s->rows[0].kind;
        r->through = s->rows[0].through;
    }
    snprintf(s->names[key], sizeof s->names[key], "%c%c:%u", "prl"[r->kind], "it"[r->through],
             (unsigned)key & 15);
    r->tagged = sim_chance(s, 60);
    r->states[0] = (struct state){.absent = sim_chance(s, 30), .tags = r->tagged};
    s->hashes[key] = store_hash(s->store, sim_key(s, key));
    sim_note(s,
             (struct event){
                 .kind = DID_KEY,
                 .key = key,
                 .code = (int)r->kind,
                 .flags = (r->versioned ? F_VERSIONED : 0) | (r->states[0].absent ? F_ABSENT : 0),
             });
}

/* The server was there before, and promised what it knows nothing of any more. */
static void live_before(struct sim *s)
{
    for (int key = 0; key < s->k.keys; key++) {
        struct row *r = &s->rows[key];
        for (int64_t n = sim_up_to(s, 3); n > 0; n--)
            source_commit(s, &(struct commit){.key = key, .absent = sim_chance(s, 25)});
        if (r->head == 0)
            continue;
        sim_note(s, (struct event){
                        .kind = DID_INVALIDATE,
                        .key = key,
                        .version = r->head,
                        .flags = F_HAS_VERSION | (r->states[r->head].absent ? F_GONE : 0),
                    });
    }
    sim_note(s, (struct event){.kind = DID_DROPPED, .key = -1});
}

static void begin_anew(struct sim *s, uint64_t seed, enum plant plant)
{
    the_sim = s;
    s->rng.state = seed * 0x9E3779B97F4A7C15U + 1;
    s->plant = plant;
    s->now_ms = START_MS;
    s->floors_dropped = 0;
    s->last_apply_ms = 0;
    s->healing = s->stopping = false;
    s->get_count = s->load_count = s->run_count = s->write_count = s->read_count = 0;
    s->sent_count = s->timer_count = 0;
    s->task_count = 0;
    history_clear(&s->history);
}

void sim_run(struct sim *s, uint64_t seed, enum plant plant)
{
    begin_anew(s, seed, plant);
    choose(s);
    s->healing = true; /* its first configuration comes at once */
    world_open(s);
    s->healing = false;
    sim_note(s, (struct event){
                    .kind = DID_FLOOR_TTL,
                    .key = -1,
                    .ttl_ms = s->k.floor_ttl_ms,
                    .until_ms = START_MS + s->k.write_timeout_ms,
                    .flags = s->k.strong ? F_STRONG : 0,
                });
    for (int key = 0; key < s->k.keys; key++)
        choose_row(s, key);
    if (sim_chance(s, 70)) /* what was before the start is over */
        s->now_ms += s->k.write_timeout_ms + s->k.floor_ttl_ms;
    else
        live_before(s);
    clients_start(s);
    tasks_run(s, INT64_MAX);
    clients_finish(s);
    clients_stop(s);
    world_close(s);
}
