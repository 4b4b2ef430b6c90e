/* What a store is given, up to its bounds and past them: options, sizes, buffers, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_world.h"

#include <stdio.h>

static void wrong_options_are_refused(void **state)
{
    static const struct {
        size_t memory;
        unsigned shards;
        const char *text;
    } cases[] = {
        {1 << 20, 3, "shards: 3 is no power of two between 1 and 4096"},
        {1 << 20, 0, "shards: 0 is no power of two between 1 and 4096"},
        {(size_t)1 << 40, 8192, "shards: 8192 is no power of two between 1 and 4096"},
        {49151, 1, "memory: 49151 bytes are too few, 1 shards need 49152"},
        {4 * 49152 - 1, 4, "memory: 196607 bytes are too few, 4 shards need 196608"},
        {((size_t)4 << 30) + 1, 1,
         "memory: 4294967297 bytes are too many, 1 shards hold 4294967296"},
        {((size_t)8 << 30) + 2, 2,
         "memory: 8589934594 bytes are too many, 2 shards hold 8589934592"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store *s = (struct store *)&cases;
        struct err e;
        struct store_options o = {.memory_bytes = cases[i].memory, .shards = cases[i].shards};
        assert_int_equal(store_new(&s, &o, &e), ERR_CONFIG);
        assert_string_equal(e.text, cases[i].text);
        assert_null(s);
    }
    store_free(NULL);
}

static size_t limit_of(struct store *s)
{
    struct store_stats stats;
    store_read_stats(s, &stats);
    return stats.memory_limit;
}

/* A heap has a little less than its 4 GiB of address space. */
static void the_limit_is_within_what_the_shards_need_and_hold(void **state)
{
    (void)state;
    const size_t heap = ((size_t)4 << 30) - ((size_t)1 << 20);
    struct store *s = new_store(4 * 49152, 4, 0);
    assert_int_equal(limit_of(s), 4 * 49152);
    store_set_memory(s, 4 * 50000 + 3, 0);
    assert_int_equal(limit_of(s), 4 * 50000);
    store_set_memory(s, 4 * 49152 - 1, 0);
    assert_int_equal(limit_of(s), 4 * 49152);
    store_set_memory(s, 4 * heap - 4, 0);
    assert_int_equal(limit_of(s), 4 * heap - 4);
    store_set_memory(s, SIZE_MAX, 0);
    assert_int_equal(limit_of(s), 4 * heap);
    store_free(s);
    s = new_store((size_t)4 << 30, 1, 0);
    assert_int_equal(limit_of(s), heap);
    store_free(s);
#ifndef __SANITIZE_THREAD__ /* which has no room for their 16 TiB of addresses */
    s = new_store((size_t)4096 * 49152, 4096, 0); /* the most that there may be */
    assert_int_equal(limit_of(s), (size_t)4096 * 49152);
    store_free(s);
#endif
}

/* An eighth of its shard's memory, to the byte. */
static void an_entry_takes_an_eighth_of_the_memory_at_most(void **state)
{
    (void)state;
    struct store *s = new_store(65536, 1, 0);
    struct err e;
    struct put p = put_of(s, "a", "");
    static char text[8192];
    assert_int_equal(store_largest(s, p.hash), 8192);
    p.value = slice_of(text, 8192 - store_size_of(&p));
    assert_int_equal(store_size_of(&p), 8192);
    assert_int_equal(store_put(s, &p, 0, &e), 0);
    p.value.size++;
    assert_int_equal(store_put(s, &p, 0, &e), ERR_TOO_LARGE);
    assert_string_equal(e.text, "a: an entry of 8193 bytes, where the memory allows 8192");
    p = put_of(s, "a", "v");
    p.tag_count = 65;
    assert_int_equal(store_put(s, &p, 0, &e), ERR_TOO_LARGE);
    p.tag_count = 0;
    p.key = slice_of(text, 0);
    assert_int_equal(store_put(s, &p, 0, &e), ERR_BAD_KEY);
    assert_string_equal(e.text, "a key of 0 bytes, where 1 to 65535 are taken");
    store_free(s);
}

/* A hit allocates nothing where the buffer has room, also where it has just enough. */
static void a_value_that_fits_is_copied_into_the_room_there_is(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    struct put p = put_of(s, "a", "alpha"), empty = put_of(s, "e", "");
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(store_put(s, &empty, 0, NULL), 0);
    buf_init(&out, 0);
    assert_int_equal(get(s, "e", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_int_equal(out.size, 0);
    assert_null(hit.entry);
    assert_int_equal(buf_append(&out, ">", 1), 0);
    while (out.capacity - out.size > 5)
        assert_int_equal(buf_append(&out, ".", 1), 0);
    const char *data = out.data;
    size_t capacity = out.capacity;
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_ptr_equal(out.data, data);
    assert_int_equal(out.capacity, capacity);
    assert_int_equal(out.size, capacity);
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_int_equal(out.size, capacity + 5);
    buf_fini(&out);
    for (size_t max = 4; max <= 6; max++) {
        buf_init(&out, max);
        assert_int_equal(get(s, "a", 0, 0, &out, &hit), max < 5 ? LOOKUP_MISS : LOOKUP_FRESH);
        assert_int_equal(out.size, max < 5 ? 0 : 5);
        buf_clear(&out);
        assert_int_equal(get(s, "a", 0, 0, &out, &hit), max < 5 ? LOOKUP_MISS : LOOKUP_FRESH);
        buf_fini(&out);
    }
    store_free(s);
}

/* A bare hit has its load where it may be refreshed early, which depends on it. */
static void a_bare_hit_knows_what_an_early_refresh_asks(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    struct put p = put_of(s, "a", "alpha");
    buf_init(&out, 0);
    p.load_us = 1234;
    p.refresh.early = true;
    p.refresh.owner = 9;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 60, WANT_BARE, &out, &hit), LOOKUP_FRESH);
    assert_true(hit.early);
    assert_int_equal(hit.owner, 9);
    assert_int_equal(hit.load_us, 1234);
    assert_int_equal(hit.age_ms, 60);
    assert_int_equal(hit.ttl_ms, 40);
    p.refresh.early = false;
    p.refresh.owner = 10;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, WANT_BARE, &out, &hit), LOOKUP_FRESH);
    assert_false(hit.early);
    assert_int_equal(hit.owner, 10);
    /* One that took longer than can be told took as long as can be. */
    p.load_us = UINT32_MAX;
    get(s, "b", 10000000, 0, NULL, &hit);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_int_equal(hit.load_us, UINT32_MAX);
    buf_fini(&out);
    store_free(s);
}

/* Every shard has its turn, also where each tick has time, or room, for one entry. */
static void a_tick_with_little_time_goes_round_the_shards(void **state)
{
    (void)state;
    enum { SHARDS = 4, KEYS = 400, ROUNDS = 20 };
    struct store *s = new_store(1 << 20, SHARDS, 0);
    struct store_stats stats;
    struct hit hit;
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        struct put p = put_of(s, key, "v");
        p.ttl_ms = 10000;
        p.refresh.ahead_ms = 1000;
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
        get(s, key, 0, 0, NULL, &hit);
        entry_unref(hit.entry);
    }
    for (int64_t tick = 0; tick < SHARDS * ROUNDS;) {
        unsigned turns = 0;
        for (int i = 0; i < SHARDS; i++, tick++) {
            struct ahead item;
            struct aheads one = {.items = &item, .max = 1};
            assert_int_equal(store_tick(s, 1000 + tick * STORE_TICK_MS, SIZE_MAX, &one), 1);
            assert_int_equal(one.count, 1);
            turns |= 1u << (item.hash >> 62);
            entry_unref(item.entry);
        }
        assert_int_equal(turns, (1u << SHARDS) - 1);
    }
    for (int64_t i = 0; i < KEYS; i++)
        assert_int_equal(store_tick(s, 10000 + i * STORE_TICK_MS, 1, NULL), 1);
    assert_int_equal(store_tick(s, 20000, 1, NULL), 0);
    store_read_stats(s, &stats);
    assert_int_equal(stats.expirations, KEYS);
    store_free(s);
}

static void what_happened_is_counted_once(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 2, 0);
    struct store_stats n;
    struct put p = put_of(s, "a", "v"), q = put_of(s, "b", "w"), absent = put_of(s, "c", "");
    absent.negative = true;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(store_put(s, &q, 0, NULL), 0);
    assert_int_equal(store_put(s, &absent, 0, NULL), 0);
    assert_int_equal(store_put(s, &absent, 0, NULL), 0);
    store_read_stats(s, &n);
    assert_int_equal(n.entries, 3);
    assert_int_equal(n.negatives, 1);
    assert_int_equal(n.puts, 4);
    assert_int_equal(n.entry_bytes, 44 + 44 + 44);
    assert_int_equal(n.removals + n.expirations + n.evictions + n.refused + n.marked, 0);
    assert_true(drop(s, "a", 0));
    assert_false(drop(s, "a", 0));
    absent.negative = false;
    assert_int_equal(store_put(s, &absent, 0, NULL), 0); /* a value in the place of an absence */
    store_read_stats(s, &n);
    assert_int_equal(n.entries, 2);
    assert_int_equal(n.negatives, 0);
    assert_int_equal(n.puts, 5);
    assert_int_equal(n.removals, 1);
    assert_int_equal(store_tick(s, 1000, 100, NULL), 2);
    store_read_stats(s, &n);
    assert_int_equal(n.entries, 0);
    assert_int_equal(n.expirations, 2);
    assert_int_equal(store_put(s, &p, 1000, NULL), 0);
    p.negative = true; /* an absence in the place of a value, of other bytes and of as many */
    assert_int_equal(store_put(s, &p, 1000, NULL), 0);
    p = put_of(s, "e", "");
    assert_int_equal(store_put(s, &p, 1000, NULL), 0);
    p.negative = true;
    assert_int_equal(store_put(s, &p, 1000, NULL), 0);
    store_read_stats(s, &n);
    assert_int_equal(n.negatives, 2);
    assert_int_equal(store_tick(s, 2000, 100, NULL), 2);
    store_read_stats(s, &n);
    assert_int_equal(n.negatives, 0);
    assert_int_equal(n.entry_bytes, 0);
    assert_int_equal(n.holes, 0);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(the_limit_is_within_what_the_shards_need_and_hold),
        cmocka_unit_test(an_entry_takes_an_eighth_of_the_memory_at_most),
        cmocka_unit_test(a_value_that_fits_is_copied_into_the_room_there_is),
        cmocka_unit_test(a_bare_hit_knows_what_an_early_refresh_asks),
        cmocka_unit_test(a_tick_with_little_time_goes_round_the_shards),
        cmocka_unit_test(what_happened_is_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
