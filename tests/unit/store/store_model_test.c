/* Random operations on a store that is large enough, against a map that anyone can read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/store.h"

#include <stdio.h>

#define KEYS       300
#define OPERATIONS 40000
#define START_MS   5000

struct model_entry {
    bool there, negative, has_version;
    int64_t version, stored, ttl, stale, keep, load_us;
    unsigned value_size;
    char fill;
};

struct world {
    struct store *store;
    struct rng rng;
    struct model_entry model[KEYS];
    int64_t now;    /* the latest that was told to the store */
    unsigned lag;   /* how far behind a thread's clock may be; 0 with more than one shard */
    size_t expired; /* by store_tick */
};

static char bytes[10000];

static struct slice key_text(unsigned i, char text[32])
{
    return slice_of(text, (size_t)snprintf(text, 32, "key:%u:%u", i, i * 7919));
}

static int64_t random_time(struct rng *r)
{
    return (int64_t)(rng_next(r) >> (33 + rng_below(r, 31)));
}

/* Twelve digits are kept of a length. */
static int64_t rounded(int64_t length)
{
    int64_t unit = 1;
    while (length / unit >= 4096)
        unit *= 2;
    return length / unit * unit;
}

/* A clock somewhat behind the latest, as another thread's may be. */
static int64_t told_time(struct world *w)
{
    return w->now - (int64_t)rng_below(&w->rng, w->lag + 1);
}

static enum lookup model_status(const struct model_entry *m, int64_t now)
{
    if (!m->there)
        return LOOKUP_MISS;
    int64_t age = now - m->stored;
    if (m->ttl == 0 || age < m->ttl)
        return m->negative ? LOOKUP_NEGATIVE : LOOKUP_FRESH;
    if (m->negative)
        return LOOKUP_MISS;
    if (age < m->ttl + m->stale)
        return LOOKUP_STALE;
    return age < m->ttl + m->keep ? LOOKUP_KEPT : LOOKUP_MISS;
}

static void random_deadlines(struct world *w, struct model_entry *m)
{
    struct rng *r = &w->rng;
    m->stored = w->now;
    m->ttl = rng_below(r, 10) ? rounded(random_time(r) + 1) : 0;
    m->stale = rng_below(r, 3) ? rounded(random_time(r)) : 0;
    m->keep = rng_below(r, 3) ? rounded(random_time(r)) : 0;
}

static void do_put(struct world *w, unsigned i)
{
    char text[32];
    struct rng *r = &w->rng;
    struct model_entry *m = &w->model[i];
    m->there = true;
    m->negative = rng_below(r, 6) == 0;
    m->has_version = rng_below(r, 2);
    m->version = m->has_version ? (int64_t)rng_next(r) : 0;
    const uint32_t load_us = (uint32_t)rng_next(r);
    const int64_t told = told_time(w);
    /* Kept rounded. Who comes with a clock that is behind has waited since. */
    m->load_us = load_us ? load_us + (w->now - told) * 1000 : 0;
    m->value_size = (unsigned)(rng_below(r, 20) ? rng_below(r, 200) : rng_below(r, sizeof(bytes)));
    m->fill = (char)rng_next(r);
    random_deadlines(w, m);
    memset(bytes, m->fill, m->value_size);
    struct put p = {
        .key = key_text(i, text),
        .value = slice_of(bytes, m->value_size),
        .negative = m->negative,
        .has_version = m->has_version,
        .version = m->version,
        .ttl_ms = m->ttl,
        .stale_ttl_ms = m->stale,
        .keep_ms = m->keep,
        .load_us = load_us,
    };
    p.hash = store_hash(w->store, p.key);
    assert_int_equal(store_put(w->store, &p, told, NULL), 0);
}

static void check_value(const struct model_entry *m, struct slice value)
{
    assert_int_equal(value.size, m->value_size);
    memset(bytes, m->fill, m->value_size);
    assert_memory_equal(value.data, bytes, m->value_size);
}

static void do_get(struct world *w, unsigned i)
{
    char text[32];
    struct rng *r = &w->rng;
    const struct model_entry *m = &w->model[i];
    struct slice key = key_text(i, text);
    unsigned want = (unsigned)rng_below(r, 8);
    struct buf buffer, *out = rng_below(r, 4) ? &buffer : NULL;
    struct hit hit;
    buf_init(&buffer, 0);
    enum lookup expected = model_status(m, w->now);
    enum lookup status =
        store_get(w->store, key, store_hash(w->store, key), told_time(w), want, out, &hit);
    assert_int_equal(status, expected);
    bool wanted = status == LOOKUP_FRESH || (status == LOOKUP_STALE && want & WANT_STALE) ||
                  (status == LOOKUP_KEPT && want & WANT_KEPT);
    if (wanted && out && m->value_size <= STORE_COPY_MAX) {
        assert_null(hit.entry);
        check_value(m, buf_slice(out));
    } else if (wanted) {
        assert_int_equal(buffer.size, 0);
        check_value(m, entry_value(hit.entry));
        entry_unref(hit.entry);
    } else {
        assert_null(hit.entry);
        assert_int_equal(buffer.size, 0);
    }
    if (status != LOOKUP_MISS) {
        assert_int_equal(hit.has_version, m->has_version);
        assert_int_equal(hit.version, m->version);
        const int64_t load_us = rounded(m->load_us);
        assert_int_equal(hit.load_us, load_us < UINT32_MAX ? load_us : UINT32_MAX);
        assert_int_equal(hit.age_ms, w->now - m->stored);
        assert_int_equal(hit.ttl_ms, m->ttl ? m->stored + m->ttl - w->now : STORE_FOREVER_MS);
    }
    buf_fini(&buffer);
}

static void do_remove(struct world *w, unsigned i)
{
    char text[32];
    struct slice key = key_text(i, text);
    bool expected = model_status(&w->model[i], w->now) != LOOKUP_MISS;
    assert_int_equal(store_remove(w->store, key, store_hash(w->store, key), told_time(w)),
                     expected);
    w->model[i].there = false;
}

static void do_touch(struct world *w, unsigned i)
{
    char text[32];
    struct slice key = key_text(i, text);
    struct model_entry *m = &w->model[i], moved = *m;
    enum lookup status = model_status(m, w->now);
    bool expected = status == LOOKUP_FRESH || status == LOOKUP_STALE;
    random_deadlines(w, &moved);
    const struct put deadlines = {
        .key = key,
        .hash = store_hash(w->store, key),
        .ttl_ms = moved.ttl,
        .stale_ttl_ms = moved.stale,
        .keep_ms = moved.keep,
    };
    assert_int_equal(store_touch(w->store, &deadlines, told_time(w)), expected);
    if (expected)
        *m = moved;
}

static void step(struct world *w)
{
    struct rng *r = &w->rng;
    unsigned i = (unsigned)rng_below(r, KEYS);
    switch (rng_below(r, 12)) {
    case 0:
    case 1:
    case 2: do_put(w, i); break;
    case 3: do_remove(w, i); break;
    case 4: do_touch(w, i); break;
    case 5: w->expired += store_tick(w->store, told_time(w), rng_below(r, 20), NULL); break;
    case 6:
        w->now += random_time(r) / 64;
        w->expired += store_tick(w->store, w->now, 1, NULL); /* the shard hears of the time */
        break;
    default: do_get(w, i); break;
    }
}

static void check_end(struct world *w)
{
    struct store_stats stats;
    size_t there = 0, negative = 0;
    /* Up to the edge of a tick, so that the wheel owes nothing. */
    w->now += STORE_TICK_MS - (w->now - START_MS) % STORE_TICK_MS;
    while (store_tick(w->store, w->now, SIZE_MAX, NULL) > 0)
        ;
    for (unsigned i = 0; i < KEYS; i++) {
        enum lookup status = model_status(&w->model[i], w->now);
        there += status != LOOKUP_MISS;
        negative += status == LOOKUP_NEGATIVE;
    }
    store_read_stats(w->store, &stats);
    assert_int_equal(stats.entries, there);
    assert_int_equal(stats.negatives, negative);
    assert_int_equal(stats.evictions, 0);
    assert_int_equal(stats.refused, 0);
    assert_true(stats.expirations >= w->expired);
    for (unsigned i = 0; i < KEYS; i++)
        do_get(w, i);
}

static void run(uint64_t seed, unsigned shards, unsigned lag)
{
    static struct world w;
    w = (struct world){.rng = {.state = seed}, .now = START_MS + lag, .lag = lag};
    struct store_options o = {
        .memory_bytes = 256 << 20, .shards = shards, .seed = seed, .now_ms = START_MS};
    assert_int_equal(store_new(&w.store, &o, NULL), 0);
    store_tick(w.store, w.now, 1, NULL);
    for (int n = 0; n < OPERATIONS; n++) {
        step(&w);
        if (n % 10000 == 9999)
            check_end(&w);
    }
    store_free(w.store);
}

static void one_shard_does_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 1, 0);
}

static void many_shards_do_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 16, 0);
}

static void clocks_that_lag_do_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 1, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shard_does_as_the_model),
        cmocka_unit_test(many_shards_do_as_the_model),
        cmocka_unit_test(clocks_that_lag_do_as_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
