/* The memory limit, and who leaves for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static void tick_gives_memory_back_in_bounded_steps(void **state)
{
    (void)state;
    struct store *s = new_store(64 << 20, 8, 0);
    struct store_stats empty, stats;
    store_read_stats(s, &empty);
    for (int i = 0; i < 20000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key:%d", i);
        struct put p = put_of(s, key, "some value");
        p.ttl_ms = 60000 + i % 100;
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
    }
    assert_int_equal(store_tick(s, 59999, SIZE_MAX, NULL), 0);
    size_t expired = 0, calls = 0;
    while (expired < 20000) {
        size_t n = store_tick(s, 60100 + (int64_t)calls * STORE_TICK_MS, 500, NULL);
        assert_true(n <= 500);
        expired += n;
        assert_true(++calls < 400);
    }
    /* With a shard's last ones its other memory was still in use. */
    store_tick(s, 60100 + (int64_t)calls * STORE_TICK_MS, 500, NULL);
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.expirations, 20000);
    /* Of each shard a page beyond the ends of its table, of the lines beyond it, and of the wheel.
     */
    assert_true(stats.bytes <= empty.bytes + (size_t)8 * 3 * 4096);
    store_free(s);
}

static struct put random_put(struct store *s, struct rng *r, unsigned keys, char key[16],
                             size_t largest)
{
    static char text[1 << 20];
    snprintf(key, 16, "k%u", (unsigned)rng_below(r, keys));
    struct put p = put_of(s, key, "");
    p.value = slice_of(text, rng_below(r, 8) ? rng_below(r, 300) : rng_below(r, largest));
    p.ttl_ms = rng_below(r, 4) ? (int64_t)rng_below(r, 5000) : 0;
    p.has_version = rng_below(r, 2);
    p.negative = rng_below(r, 8) == 0;
    return p;
}

static void memory_stays_below_its_limit_under_churn(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        size_t limit = 2 << 20;
        struct store *s = new_store(limit, 4, 0);
        struct rng r = {.state = seed};
        struct store_stats stats;
        for (int i = 0; i < 60000; i++) {
            char key[16];
            size_t largest = i / 10000 % 2 ? 1000 : limit / 4 / 7;
            struct put p = random_put(s, &r, 30000, key, largest);
            int rc = store_put(s, &p, i, NULL);
            assert_true(rc == 0 || rc == ERR_TOO_LARGE);
            if (rng_below(&r, 10) == 0)
                drop(s, key, i);
            if (rng_below(&r, 100) == 0)
                store_tick(s, i, 50, NULL);
            if (i % 9999 == 0) {
                limit = (1 + rng_below(&r, 4)) << 20;
                store_set_memory(s, limit, i);
            }
            store_read_stats(s, &stats);
            assert_int_equal(stats.memory_limit, limit);
            assert_true(stats.bytes <= limit);
        }
        assert_true(stats.evictions > 1000);
        assert_true(stats.bytes > limit / 2);
        store_free(s);
    }
}

static void a_smaller_limit_evicts_at_once(void **state)
{
    (void)state;
    struct store *s = new_store(16 << 20, 4, 0);
    struct store_stats stats;
    for (int i = 0; i < 30000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key:%d", i);
        struct put p = put_of(s, key, "0123456789012345678901234567890123456789");
        p.ttl_ms = 0;
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
    }
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 30000);
    assert_true(stats.bytes > 1 << 20);
    store_set_memory(s, 1 << 20, 0);
    store_read_stats(s, &stats);
    assert_true(stats.bytes <= 1 << 20);
    assert_true(stats.entries > 2000);
    store_set_memory(s, 1, 0);
    store_read_stats(s, &stats);
    assert_true(stats.memory_limit >= stats.bytes);
    store_free(s);
}

static void a_much_smaller_limit_leaves_room_for_puts(void **state)
{
    (void)state;
    struct store *s = new_store(16 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    struct store_stats stats;
    buf_init(&out, 0);
    for (int i = 0; i < 500000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key:%d", i);
        struct put p = put_of(s, key, "v");
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
        /* Most earn a place in the main queue. */
        for (int n = 0; n < 3 && i % 4; n++)
            get(s, key, 0, 0, &out, &hit);
        buf_clear(&out);
    }
    store_set_memory(s, 50000, 0);
    store_read_stats(s, &stats);
    assert_true(stats.bytes <= 50000);
    assert_true(stats.entries > 100);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "new:%d", i);
        struct put p = put_of(s, key, "some value that is longer than the others were");
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
        assert_int_equal(get(s, key, 0, 0, &out, &hit), LOOKUP_FRESH);
    }
    buf_fini(&out);
    store_free(s);
}

static void put_now(struct store *s, const char *kind, int i)
{
    char key[24];
    snprintf(key, sizeof(key), "%s:%d", kind, i);
    struct put p = put_of(s, key, "value");
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
}

static int count_there(struct store *s, const char *kind, int n)
{
    struct hit hit;
    int there = 0;
    for (int i = 0; i < n; i++) {
        char key[24];
        snprintf(key, sizeof(key), "%s:%d", kind, i);
        there += get(s, key, 0, WANT_PEEK, NULL, &hit) == LOOKUP_FRESH;
        entry_unref(hit.entry);
    }
    return there;
}

/* A main queue that is not full takes what was not read too. */
static void fill(struct store *s)
{
    for (int i = 0; i < 20000; i++)
        put_now(s, "first", i);
}

static void a_refresh_is_no_read_and_keeps_the_reads_there_were(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    fill(s);
    for (int i = 0; i < 100; i++) {
        put_now(s, "read", i);
        put_now(s, "refreshed", i);
        char key[24];
        snprintf(key, sizeof(key), "read:%d", i);
        for (int n = 0; n < 2; n++) {
            get(s, key, 0, 0, NULL, &hit);
            entry_unref(hit.entry);
        }
        for (int n = 0; n < 5; n++) {
            put_now(s, "read", i);
            put_now(s, "refreshed", i);
        }
    }
    for (int i = 0; i < 20000; i++)
        put_now(s, "scan", i);
    assert_int_equal(count_there(s, "read", 100), 100);
    assert_int_equal(count_there(s, "refreshed", 100), 0);
    store_free(s);
}

static void a_scan_leaves_what_is_read_and_peeks_do_not_count(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    buf_init(&out, 0);
    fill(s);
    for (int i = 0; i < 100000; i++) {
        char key[24], peeked[24];
        snprintf(key, sizeof(key), "read:%d", i % 500);
        snprintf(peeked, sizeof(peeked), "peeked:%d", i % 500);
        if (i < 1000) {
            struct put p = put_of(s, i % 2 ? key : peeked, "value");
            p.ttl_ms = 0;
            assert_int_equal(store_put(s, &p, 0, NULL), 0);
            p = put_of(s, i % 2 ? peeked : key, "value");
            p.ttl_ms = 0;
            assert_int_equal(store_put(s, &p, 0, NULL), 0);
        }
        get(s, key, 0, 0, &out, &hit);
        get(s, peeked, 0, WANT_PEEK, &out, &hit);
        buf_clear(&out);
        snprintf(key, sizeof(key), "scan:%d", i);
        struct put p = put_of(s, key, "value");
        p.ttl_ms = 0;
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
    }
    int read = 0, peeks = 0;
    for (int i = 0; i < 500; i++) {
        char key[24];
        snprintf(key, sizeof(key), "read:%d", i);
        read += get(s, key, 0, WANT_PEEK, &out, &hit) == LOOKUP_FRESH;
        snprintf(key, sizeof(key), "peeked:%d", i);
        peeks += get(s, key, 0, WANT_PEEK, &out, &hit) == LOOKUP_FRESH;
    }
    assert_true(read >= 480);
    assert_true(peeks <= 20);
    buf_fini(&out);
    store_free(s);
}

/* Sizes that grow leave holes that are too small for what comes: it has to be moved together. */
static void growing_sizes_neither_pass_the_limit_nor_waste_it(void **state)
{
    (void)state;
    static const char text[16384];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        size_t limit = 4 << 20, most = 0;
        struct store *s = new_store(limit, 1, 0);
        struct rng r = {.state = seed};
        struct store_stats stats;
        for (unsigned i = 0; i < 200000; i++) {
            char key[16];
            snprintf(key, sizeof(key), "k%u", (unsigned)rng_below(&r, 60000));
            struct put p = put_of(s, key, "");
            p.value = slice_of(text, 10 + i / 60 + rng_below(&r, 50 + i / 40));
            p.ttl_ms = 0;
            assert_int_equal(store_put(s, &p, i, NULL), 0);
            if (i % 16 == 0)
                store_tick(s, i, 50, NULL);
            store_read_stats(s, &stats);
            most = stats.bytes > most ? stats.bytes : most;
            if (i > 60000)
                assert_true(stats.bytes - stats.holes > limit / 16 * 14);
        }
        assert_true(stats.evictions > 10000);
        assert_true(most <= limit + limit / 50);
        store_free(s);
    }
}

static void a_value_with_too_many_references_is_copied(void **state)
{
    (void)state;
    static struct entry *held[40000];
    struct store *s = new_store(1 << 20, 1, 0);
    put_now(s, "k", 1);
    size_t others = 0;
    for (int i = 0; i < 40000; i++) {
        struct hit hit;
        assert_int_equal(get(s, "k:1", 0, 0, NULL, &hit), LOOKUP_FRESH);
        held[i] = hit.entry;
        others += held[i] != held[0];
    }
    assert_in_range(others, 1, 10000);
    assert_true(drop(s, "k:1", 0));
    for (int i = 0; i < 40000; i++) {
        assert_true(slice_eq_str(entry_value(held[i]), "value"));
        entry_unref(held[i]);
    }
    store_free(s);
}

/* The store has the memory that it had, and goes on with it. */
static void memory_that_the_system_denies_is_had_from_others(void **state)
{
    (void)state;
    static const char text[1000];
    struct store *s = new_store(64 << 20, 1, 0);
    struct rlimit before, none;
    struct store_stats stats;
    /* A sanitizer's allocator ends the process where it is denied memory: let it have some of the
     * size of the ghost's, which is asked for with the first eviction. */
    void *volatile ready = malloc(8192);
    free(ready);
    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    none = before;
    none.rlim_cur = 4096;
    for (int i = 0; i < 10000; i++) {
        char key[16];
        if (i == 1000)
            assert_int_equal(setrlimit(RLIMIT_DATA, &none), 0);
        snprintf(key, sizeof(key), "key:%d", i % 5000);
        struct put p = put_of(s, key, "");
        p.value = slice_of(text, sizeof text);
        int rc = store_put(s, &p, 0, NULL);
        if (rc != 0)
            assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
        assert_int_equal(rc, 0);
    }
    assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
    store_read_stats(s, &stats);
    assert_true(stats.evictions > 5000);
    assert_true(stats.entries > 900);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tick_gives_memory_back_in_bounded_steps),
        cmocka_unit_test(memory_stays_below_its_limit_under_churn),
        cmocka_unit_test(a_smaller_limit_evicts_at_once),
        cmocka_unit_test(a_much_smaller_limit_leaves_room_for_puts),
        cmocka_unit_test(growing_sizes_neither_pass_the_limit_nor_waste_it),
        cmocka_unit_test(a_value_with_too_many_references_is_copied),
        cmocka_unit_test(memory_that_the_system_denies_is_had_from_others),
        cmocka_unit_test(a_refresh_is_no_read_and_keeps_the_reads_there_were),
        cmocka_unit_test(a_scan_leaves_what_is_read_and_peeks_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
