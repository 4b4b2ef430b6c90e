/* The loader's side: queue, batches, attempts, retries, deadlines, as core/load/load.c and
 * admission.c.
 *
 * Loads go to the source in batches, most of them of one: read at one moment, answered at a later
 * one; each has its own token and its own end. What a load does not get through ends by its
 * deadline, and its batch's answer is then too late for it. */
#include "sim.h"

#include "load/jitter.h"

#include <stdlib.h>

static void pump(struct sim *s, void *arg, uint32_t stamp);
static void attempt(struct sim *s, struct load *ld, struct batch *b);

static void pump_in(struct sim *s, int64_t ms)
{
    if (s->pump_due)
        return;
    s->pump_due = true;
    task_in(s, ms, pump, NULL, 0);
}

static void forget_stored(struct load *ld)
{
    entry_unref(ld->stored);
    ld->stored = NULL;
}

static void load_over(struct sim *s, struct load *ld)
{
    forget_stored(ld);
    ld->running = false;
    ld->stamp++;
    s->in_flight--;
    flight_unref(ld->flight);
    ld->flight = NULL;
    pump_in(s, 0);
}

/* false: it is below the floor, and nothing has ended. */
static bool end(struct sim *s, struct load *ld, struct outcome *o)
{
    struct verdict v;
    o->load_us = (uint32_t)ld->read;
    o->generation = s->loader_generation;
    int64_t had = sim_stored_version(s, ld->key);
    flights_end(s->flights, ld->flight, o, s->now_ms, &v);
    struct event e = {
        .kind = v.below ? DID_BELOW : DID_END,
        .key = ld->key,
        .id = ld->id,
        .read = ld->read,
        .version = o->version,
        .had = had,
        .ttl_ms = o->ttl_ms,
        .dead_ms = o->stale_ttl_ms > o->keep_ms ? o->stale_ttl_ms : o->keep_ms,
        .flags = (o->end == END_ABSENT ? F_ABSENT : 0) | (o->has_version ? F_VERSIONED : 0) |
                 (v.stored ? F_STORED : 0),
        .code = o->err ? o->err->code : 0,
    };
    sim_note(s, e);
    if (v.below)
        return false;
    gets_deliver(s, ld->flight);
    load_over(s, ld);
    return true;
}

static void fail(struct sim *s, struct load *ld, int code)
{
    struct err err;
    err_set(&err, code, "simulated");
    struct outcome o = {.end = END_FAILED, .err = &err, .backoff_base_ms = 5, .backoff_cap_ms = 80};
    (void)end(s, ld, &o); /* a failure is below nothing */
}

static struct batch *batch_new(struct sim *s)
{
    if (s->batch_count == SIM_LOADS * 2)
        return NULL;
    struct batch *b = &s->batches[s->batch_count++];
    b->count = 0;
    return b;
}

static void attempt_alone(struct sim *s, struct load *ld);

static void on_retry(struct sim *s, void *arg, uint32_t stamp)
{
    struct load *ld = arg;
    if (ld->running && stamp == ld->stamp)
        attempt_alone(s, ld);
}

static bool waits(struct sim *s, struct load *ld, unsigned n)
{
    int64_t ms = jitter_backoff_ms(n, 4, 40, &s->rng);
    if (s->now_ms + ms >= ld->deadline_ms)
        return false;
    task_in(s, ms, on_retry, ld, ++ld->stamp);
    return true;
}

static void below(struct sim *s, struct load *ld)
{
    bool has_primary = s->rows[ld->key].kind == SOURCE_REPLICA;
    bool first = has_primary && !ld->from_primary;
    ld->from_primary = has_primary;
    ld->belows++;
    if (first)
        attempt_alone(s, ld);
    else if (!waits(s, ld, (unsigned)ld->belows))
        fail(s, ld, ERR_STALE_SOURCE);
}

static uint8_t tags_of(struct sim *s, const struct load *ld, uint32_t *slots, unsigned *count)
{
    *count = 0;
    uint8_t tags = ld->state.absent ? 0 : ld->state.tags;
    for (int i = 0; i < HISTORY_TAGS; i++) {
        char name[2] = {(char)('0' + i), 0};
        if (tags & 1 << i)
            slots[(*count)++] = marks_slot(s->marks, slice_str(name));
    }
    return tags;
}

static void succeed(struct sim *s, struct load *ld)
{
    const struct row *row = &s->rows[ld->key];
    uint32_t slots[HISTORY_TAGS];
    unsigned count;
    s->gave_tags |= tags_of(s, ld, slots, &count) != 0;
    bool absent = ld->state.absent;
    int wrong = s->plant == PLANT_WRONG && ld->version > 0 && sim_chance(s, 2);
    struct outcome o = {
        .end = absent ? END_ABSENT : END_FOUND,
        .value = source_value(s, ld->key, ld->version - wrong),
        .has_version = !absent && row->versioned,
        .version = absent ? 0 : ld->version,
        .store = s->healing || !sim_chance(s, 2),
        .ttl_ms = jitter_ms(absent ? s->k.negative_ttl_ms : s->k.ttl_ms, 0.1, &s->rng),
        .stale_ttl_ms = jitter_ms(s->k.stale_ttl_ms, 0.1, &s->rng),
        .keep_ms = s->k.keep_ms,
        .replica = row->kind == SOURCE_REPLICA && !ld->from_primary,
        .refresh = {.ahead_ms = s->k.ttl_ms / 2 + 1, .owner = 1},
        .tags = slots,
        .tag_count = count,
    };
    if (ld->unchanged) {
        o.value = entry_value(ld->stored);
        o.unchanged = ld->stored;
    }
    if (!end(s, ld, &o))
        below(s, ld);
}

static bool is_there(const struct batch *b, int i)
{
    return b->loads[i]->running && b->loads[i]->stamp == b->stamps[i];
}

/* Each load of the batch hears for itself; one that was retried meanwhile is another attempt. */
static void on_answer(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    const struct batch *b = arg;
    for (int i = 0; i < b->count; i++) {
        struct load *ld = b->loads[i];
        if (!is_there(b, i))
            continue;
        bool retries = ld->attempt - ld->belows <= s->k.retries;
        if (!ld->fails)
            succeed(s, ld);
        else if (!retries || !waits(s, ld, (unsigned)ld->attempt))
            fail(s, ld, ERR_BACKEND_DOWN);
    }
}

/* The source is read: one moment for the whole batch. */
static void on_read(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct batch *b = arg;
    for (int i = 0; i < b->count; i++) {
        struct load *ld = b->loads[i];
        if (!is_there(b, i))
            continue;
        const struct row *r = &s->rows[ld->key];
        bool primary = r->kind == SOURCE_PRIMARY || ld->from_primary;
        ld->version = primary ? r->shown : r->applied;
        ld->state = r->states[ld->version];
        buf_clear(&s->out);
        ld->unchanged = ld->stored && !ld->state.absent && !s->healing &&
                        source_version_of(s, ld->key, entry_value(ld->stored)) == ld->version &&
                        sim_chance(s, s->k.unchanged_percent);
        sim_note(s, (struct event){
                        .kind = DID_READ,
                        .key = ld->key,
                        .id = ld->id,
                        .read = ld->read,
                        .version = ld->version,
                        .tags = ld->state.absent ? 0 : ld->state.tags,
                        .flags = (primary ? F_PRIMARY : 0) | (ld->state.absent ? F_ABSENT : 0) |
                                 (ld->unchanged ? F_UNCHANGED : 0) |
                                 (r->versioned ? F_VERSIONED : 0) | (b->count > 1 ? F_BATCH : 0),
                    });
    }
    task_in(s, b->answer_ms, on_answer, b, 0);
}

static int64_t some_time(struct sim *s)
{
    if (s->healing)
        return 1;
    if (sim_chance(s, s->k.slow_percent))
        return sim_up_to(s, s->k.load_timeout_ms);
    return sim_up_to(s, 6);
}

static void send(struct sim *s, struct batch *b)
{
    bool fails = !s->healing && sim_chance(s, s->k.fail_percent);
    for (int i = 0; i < b->count; i++)
        b->loads[i]->fails = fails;
    b->answer_ms = some_time(s);
    task_in(s, some_time(s), on_read, b, 0);
}

/* An attempt of ld begins, as a part of b. */
static void attempt(struct sim *s, struct load *ld, struct batch *b)
{
    if (ld->attempt++ > 0 && flights_again(s->flights, ld->flight, s->now_ms))
        ld->from_primary |= s->rows[ld->key].kind == SOURCE_REPLICA;
    ld->read = sim_next_read(s);
    sim_note(s,
             (struct event){.kind = DID_ATTEMPT, .key = ld->key, .id = ld->id, .read = ld->read});
    forget_stored(ld);
    enum lookup had = store_get(s->store, sim_key(s, ld->key), s->hashes[ld->key], s->now_ms,
                                WANT_PEEK | WANT_STALE | WANT_KEPT, NULL, &ld->stored_hit);
    if (had == LOOKUP_FRESH || had == LOOKUP_STALE || had == LOOKUP_KEPT)
        ld->stored = ld->stored_hit.entry;
    b->loads[b->count] = ld;
    b->stamps[b->count++] = ++ld->stamp;
}

static void attempt_alone(struct sim *s, struct load *ld)
{
    struct batch *b = batch_new(s);
    if (!b) {
        fail(s, ld, ERR_OVERLOADED);
        return;
    }
    attempt(s, ld, b);
    send(s, b);
}

static void on_deadline(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct load *ld = arg;
    if (ld->running)
        fail(s, ld, ERR_LOAD_TIMEOUT);
}

/* Whether ld begins; else nobody waits for it. */
static bool begin(struct sim *s, struct load *ld, struct batch *b)
{
    struct begun begun;
    struct beginning at = {
        .generation = s->loader_generation, .now_ms = s->now_ms, .queued = ld->waited};
    flights_begin(s->flights, ld->flight, &at, &begun);
    if (!begun.wanted) {
        sim_note(s, (struct event){.kind = DID_ABANDONED, .key = ld->key, .id = ld->id});
        flight_unref(ld->flight);
        ld->flight = NULL;
        return false;
    }
    ld->from_primary = begun.primary && s->rows[ld->key].kind == SOURCE_REPLICA;
    ld->running = true;
    ld->deadline_ms = s->now_ms + s->k.load_timeout_ms;
    s->in_flight++;
    task_in(s, s->k.load_timeout_ms, on_deadline, ld, 0);
    attempt(s, ld, b);
    return true;
}

static void pump(struct sim *s, void *arg, uint32_t stamp)
{
    (void)arg, (void)stamp;
    s->pump_due = false;
    while (s->queued > 0 && s->in_flight < s->k.max_loads) {
        struct batch *b = batch_new(s);
        if (!b)
            break;
        while (s->queued > 0 && s->in_flight < s->k.max_loads && b->count < s->k.batch_max) {
            struct load *ld = s->queue[0];
            memmove(s->queue, s->queue + 1, (size_t)--s->queued * sizeof s->queue[0]);
            begin(s, ld, b);
        }
        if (b->count > 0)
            send(s, b);
    }
}

static void admit(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct load *ld = arg;
    ld->waited = s->queued > 0 || s->in_flight >= s->k.max_loads;
    s->queue[s->queued++] = ld;
    pump_in(s, s->k.batch_max > 1 ? sim_up_to(s, 3) : 0);
}

void load_submit(struct sim *s, int key, struct flight *f)
{
    if (s->load_count == SIM_LOADS) {
        fputs("sim: too many loads\n", stderr);
        abort();
    }
    struct load *ld = &s->loads[s->load_count++];
    *ld = (struct load){.flight = f, .id = s->load_count, .key = key};
    sim_note(s, (struct event){.kind = DID_LOAD, .key = key, .id = ld->id});
    if (s->plant == PLANT_DOUBLE && sim_chance(s, 5))
        sim_note(s, (struct event){.kind = DID_LOAD, .key = key, .id = ld->id + SIM_LOADS});
    task_in(s, sim_up_to(s, 1), admit, ld, 0);
}
