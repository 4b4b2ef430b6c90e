/* A store that has aged (overwritten, compacted, expired, evicted) comes back as a fresh one does,
 * into any number of shards and any memory; beside it a map that anyone can read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "dump_world.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS  6000
#define START 50000

/* What was stored last under a key, whether or not it is still there. */
struct last {
    bool put, removed, negative;
    int64_t version, stored, ttl, stale, keep;
    unsigned size;
};

struct world {
    struct store *store;
    struct rng rng;
    int64_t now;
    struct last last[KEYS];
};

static char bytes[6000];

static struct slice key_of(unsigned i, char text[32])
{
    return slice_of(text, (size_t)snprintf(text, 32, "key:%u:%u", i, i % 13 * 1000003));
}

/* Each key has bytes of its own, by which its value is known. */
static struct slice value_of(unsigned i, unsigned size)
{
    memset(bytes, (int)(i * 31 + size), size);
    return slice_of(bytes, size);
}

static struct store *new_store(size_t memory, unsigned shards, uint64_t seed, int64_t now)
{
    struct store *s;
    struct store_options o = {
        .memory_bytes = memory, .shards = shards, .seed = seed, .now_ms = now};
    assert_int_equal(store_new(&s, &o, NULL), 0);
    return s;
}

static void put(struct world *w, unsigned i)
{
    char text[32];
    struct rng *r = &w->rng;
    struct last *l = &w->last[i];
    *l = (struct last){
        .put = true,
        .negative = rng_below(r, 10) == 0,
        .version = (int64_t)rng_below(r, 1000),
        .stored = w->now,
        .ttl = 500 + (int64_t)rng_below(r, 3500),
        .stale = rng_below(r, 2) ? (int64_t)rng_below(r, 4000) : 0,
        .keep = rng_below(r, 4) ? 0 : (int64_t)rng_below(r, 4000),
        .size = (unsigned)(rng_below(r, 100) ? rng_below(r, 300) : rng_below(r, sizeof bytes)),
    };
    struct put p = {
        .key = key_of(i, text),
        .value = value_of(i, l->size),
        .negative = l->negative,
        .has_version = true,
        .version = l->version,
        .ttl_ms = l->ttl,
        .stale_ttl_ms = l->stale,
        .keep_ms = l->keep,
    };
    p.hash = store_hash(w->store, p.key);
    assert_int_equal(store_put(w->store, &p, w->now, NULL), 0);
}

static enum lookup status_at(const struct last *l, int64_t now)
{
    int64_t past = now - l->stored - l->ttl;
    if (!l->put || l->removed)
        return LOOKUP_MISS;
    if (past < 0)
        return l->negative ? LOOKUP_NEGATIVE : LOOKUP_FRESH;
    if (l->negative)
        return LOOKUP_MISS;
    return past < l->stale ? LOOKUP_STALE : past < l->keep ? LOOKUP_KEPT : LOOKUP_MISS;
}

/* What is there of a key has to be what was stored last, unless it was evicted. */
static enum lookup check(struct world *w, unsigned i)
{
    char text[32];
    struct hit hit;
    const struct last *l = &w->last[i];
    struct slice key = key_of(i, text);
    enum lookup found = store_get(w->store, key, store_hash(w->store, key), w->now,
                                  WANT_PEEK | WANT_STALE | WANT_KEPT, NULL, &hit);
    if (found == LOOKUP_MISS)
        return found;
    assert_int_equal(found, status_at(l, w->now));
    assert_int_equal(hit.version, l->version);
    assert_int_equal(hit.age_ms, w->now - l->stored);
    if (found != LOOKUP_NEGATIVE)
        assert_true(slice_eq(entry_value(hit.entry), value_of(i, l->size)));
    entry_unref(hit.entry);
    return found;
}

static void age(struct world *w, unsigned steps)
{
    char text[32];
    struct hit hit;
    for (unsigned n = 0; n < steps; n++) {
        unsigned i = (unsigned)rng_below(&w->rng, KEYS);
        struct slice key = key_of(i, text);
        uint64_t hash = store_hash(w->store, key);
        switch (rng_below(&w->rng, 8)) {
        case 0:
        case 1:
        case 2: put(w, i); break;
        case 3:
            store_remove(w->store, key, hash, w->now);
            w->last[i].removed = true;
            break;
        case 4:
            w->now += (int64_t)rng_below(&w->rng, 3);
            store_tick(w->store, w->now, 100, NULL);
            break;
        case 5: check(w, i); break;
        default: /* some are read more than others */
            key = key_of(i / 8, text);
            store_get(w->store, key, store_hash(w->store, key), w->now, 0, NULL, &hit);
            entry_unref(hit.entry);
        }
    }
}

/* The stores of one run: the aged one, and the one that it comes back into, which goes on. */
struct run {
    const char *name;
    size_t memory, memory_after;
    unsigned shards, shards_after;
    bool other_seed;
    int64_t passed;
};

static size_t bytes_of(struct store *s, size_t *entries)
{
    struct store_stats stats;
    store_read_stats(s, &stats);
    *entries = stats.entries;
    assert_true(stats.bytes <= stats.memory_limit + stats.memory_limit / 20);
    return stats.bytes;
}

static void come_back(struct world *w, const struct run *run)
{
    static enum lookup had[KEYS];
    struct restore how = {.as = RESTORED_PROVEN, .passed_ms = run->passed};
    int64_t later = w->now + run->passed, now = 7000000;
    size_t all, entries, lost = 0, there = 0;
    struct buf out;
    buf_init(&out, 0);
    for (unsigned i = 0; i < KEYS; i++)
        had[i] = check(w, i);
    size_t records = dump_all(w->store, w->now, 1 << 16, &out);
    (void)bytes_of(w->store, &all);
    assert_true(records <= all);
    store_free(w->store);
    w->store = new_store(run->memory_after, run->shards_after, run->other_seed ? 99 : 5, now);
    restore_all(w->store, buf_slice(&out), &how, now);
    /* Its clock is another one. */
    for (unsigned i = 0; i < KEYS; i++)
        w->last[i].stored += now - later;
    w->now = now;
    for (unsigned i = 0; i < KEYS; i++) {
        bool expected = had[i] != LOOKUP_MISS && status_at(&w->last[i], now) != LOOKUP_MISS;
        bool is = check(w, i) != LOOKUP_MISS;
        if (is && !expected)
            fail_msg("%s: key %u was not there before", run->name, i);
        lost += expected && !is;
        there += is;
    }
    (void)bytes_of(w->store, &entries);
    assert_int_equal(entries, there);
    assert_true(there > 100);
    if (run->memory_after >= run->memory)
        assert_int_equal(lost, 0);
    else
        assert_true(lost > 0);
    buf_fini(&out);
}

static void an_aged_store_comes_back_and_goes_on(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {"as it was", 1 << 20, 2 << 20, 1, 1, false, 0},
        {"some shards, later", 2 << 20, 4 << 20, 4, 4, false, 700},
        {"more shards", 1 << 20, 8 << 20, 2, 16, false, 300},
        {"fewer shards", 2 << 20, 8 << 20, 16, 1, true, 100},
        {"less memory", 2 << 20, 1 << 18, 2, 4, true, 0},
        {"large", 64 << 20, 64 << 20, 4, 2, true, 1},
    };
    static struct world w;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const struct run *run = &runs[i];
        w = (struct world){.rng = {.state = i}, .now = START};
        w.store = new_store(run->memory, run->shards, 5, START);
        age(&w, 150000);
        come_back(&w, run);
        age(&w, 30000);
        struct run again = *run;
        again.memory = run->memory_after;
        again.memory_after = 2 * run->memory_after;
        again.shards_after = run->shards;
        come_back(&w, &again);
        age(&w, 30000);
        store_free(w.store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_aged_store_comes_back_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
