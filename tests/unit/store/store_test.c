#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_world.h"

static void a_stored_value_comes_back(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 4, 1000);
    struct buf out;
    struct hit hit;
    buf_init(&out, 0);
    struct put p = put_of(s, "a", "alpha");
    p.has_version = true;
    p.version = -7;
    p.load_us = 1234;
    assert_int_equal(get(s, "a", 1000, 0, &out, &hit), LOOKUP_MISS);
    assert_int_equal(store_put(s, &p, 1000, NULL), 0);
    assert_int_equal(buf_append(&out, ">", 1), 0);
    assert_int_equal(get(s, "a", 1060, 0, &out, &hit), LOOKUP_FRESH);
    assert_true(slice_eq_str(buf_slice(&out), ">alpha"));
    assert_null(hit.entry);
    assert_true(hit.has_version);
    assert_int_equal(hit.version, -7);
    assert_int_equal(hit.age_ms, 60);
    assert_int_equal(hit.ttl_ms, 40);
    assert_int_equal(hit.load_us, 1234);
    assert_int_equal(get(s, "b", 1060, 0, &out, &hit), LOOKUP_MISS);
    assert_int_equal(hit.age_ms, 0);
    buf_fini(&out);
    store_free(s);
}

static void the_value_comes_only_where_its_status_is_wanted(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    buf_init(&out, 0);
    struct put p = put_of(s, "a", "alpha");
    p.stale_ttl_ms = 50;
    p.keep_ms = 200;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 100, WANT_KEPT, &out, &hit), LOOKUP_STALE);
    assert_int_equal(hit.ttl_ms, 0);
    assert_int_equal(out.size, 0);
    assert_int_equal(get(s, "a", 120, WANT_STALE, &out, &hit), LOOKUP_STALE);
    assert_int_equal(out.size, 5);
    assert_int_equal(get(s, "a", 150, WANT_STALE, &out, &hit), LOOKUP_KEPT);
    assert_int_equal(out.size, 5);
    assert_int_equal(get(s, "a", 150, WANT_STALE | WANT_KEPT, &out, &hit), LOOKUP_KEPT);
    assert_int_equal(out.size, 10);
    assert_int_equal(get(s, "a", 300, WANT_STALE | WANT_KEPT, &out, &hit), LOOKUP_MISS);
    assert_int_equal(out.size, 10);
    buf_fini(&out);
    store_free(s);
}

static void a_negative_entry_is_one_while_it_is_fresh(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    struct store_stats stats;
    struct put p = put_of(s, "a", "ignored");
    p.negative = true;
    p.stale_ttl_ms = p.keep_ms = 1000;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    store_read_stats(s, &stats);
    assert_int_equal(stats.negatives, 1);
    assert_int_equal(get(s, "a", 99, WANT_STALE, NULL, &hit), LOOKUP_NEGATIVE);
    assert_null(hit.entry);
    assert_int_equal(get(s, "a", 100, WANT_STALE, NULL, &hit), LOOKUP_MISS);
    store_read_stats(s, &stats);
    assert_int_equal(stats.negatives, 0);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.expirations, 1);
    store_free(s);
}

static void long_values_are_shared_and_outlive_their_entry(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    buf_init(&out, 0);
    static char text[STORE_COPY_MAX + 2];
    memset(text, 'x', STORE_COPY_MAX + 1);
    struct put p = put_of(s, "a", text);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_int_equal(out.size, 0);
    assert_non_null(hit.entry);
    assert_true(drop(s, "a", 0));
    struct entry *held = hit.entry;
    text[STORE_COPY_MAX] = '\0';
    p = put_of(s, "a", text);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_int_equal(out.size, STORE_COPY_MAX);
    assert_null(hit.entry);
    assert_int_equal(entry_value(held).size, STORE_COPY_MAX + 1);
    assert_int_equal(entry_value(held).data[STORE_COPY_MAX], 'x');
    entry_unref(held);
    buf_fini(&out);
    store_free(s);
}

static void without_a_buffer_the_value_is_shared(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    struct put p = put_of(s, "a", "alpha");
    p.stale_ttl_ms = 100;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_FRESH);
    assert_true(slice_eq_str(entry_value(hit.entry), "alpha"));
    entry_unref(hit.entry);
    assert_int_equal(get(s, "a", 100, 0, NULL, &hit), LOOKUP_STALE);
    assert_null(hit.entry);
    store_free(s);
}

static void a_buffer_that_is_full_gives_a_miss_and_stays(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct buf out;
    struct hit hit;
    buf_init(&out, 8);
    struct put p = put_of(s, "a", "alpha");
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_FRESH);
    assert_int_equal(get(s, "a", 0, 0, &out, &hit), LOOKUP_MISS);
    assert_null(hit.entry);
    assert_int_equal(hit.ttl_ms, 0);
    assert_true(slice_eq_str(buf_slice(&out), "alpha"));
    buf_fini(&out);
    store_free(s);
}

static void keys_are_bytes_of_any_kind_and_bounded(void **state)
{
    (void)state;
    struct store *s = new_store(8 << 20, 1, 0);
    struct hit hit;
    struct err e;
    static char text[70000];
    struct put p = {.value = slice_str("v")};
    static const size_t good[] = {1, 7, 4096, UINT16_MAX};
    for (size_t i = 0; i < 4; i++) {
        p.key = slice_of(text, good[i]);
        p.hash = store_hash(s, p.key);
        assert_int_equal(store_put(s, &p, 0, &e), 0);
        assert_int_equal(store_get(s, p.key, p.hash, 0, WANT_PEEK, NULL, &hit), LOOKUP_FRESH);
        entry_unref(hit.entry);
    }
    p.key = slice_of(text, 0);
    assert_int_equal(store_put(s, &p, 0, &e), ERR_BAD_KEY);
    p.key = slice_of(text, UINT16_MAX + 1);
    assert_int_equal(store_put(s, &p, 0, &e), ERR_BAD_KEY);
    store_free(s);
}

static void what_is_too_large_is_refused_and_drops_the_old(void **state)
{
    (void)state;
    struct store *s = new_store(65536, 1, 0);
    struct hit hit;
    struct err e;
    struct store_stats stats;
    static char text[8192];
    struct put p = put_of(s, "a", "alpha");
    assert_int_equal(store_put(s, &p, 0, &e), 0);
    p.value = slice_of(text, sizeof(text));
    assert_int_equal(store_put(s, &p, 0, &e), ERR_TOO_LARGE);
    assert_non_null(strstr(e.text, "a:"));
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_MISS);
    store_read_stats(s, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.entries, 0);
    p.value.size = 8000;
    assert_int_equal(store_put(s, &p, 0, &e), 0);
    store_free(s);
}

static void remove_says_whether_there_was_one(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 2, 0);
    struct put p = put_of(s, "a", "alpha");
    assert_false(drop(s, "a", 0));
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_true(drop(s, "a", 99));
    assert_false(drop(s, "a", 99));
    assert_int_equal(store_put(s, &p, 100, NULL), 0);
    assert_false(drop(s, "a", 200));
    store_free(s);
}

static bool drop_below(struct store *s, const char *key, int64_t version)
{
    return store_remove_below(s, slice_str(key), store_hash(s, slice_str(key)), 0, version);
}

static void a_value_of_that_version_or_a_newer_one_stays(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 2, 0);
    struct hit hit;
    struct put versioned = put_of(s, "a", "alpha"), plain = put_of(s, "b", "beta"),
               absent = put_of(s, "c", "");
    versioned.has_version = absent.has_version = true;
    versioned.version = absent.version = 5;
    absent.negative = true;
    assert_false(drop_below(s, "a", 5));
    assert_int_equal(store_put(s, &versioned, 0, NULL), 0);
    assert_false(drop_below(s, "a", 4));
    assert_false(drop_below(s, "a", 5));
    assert_int_equal(get(s, "a", 0, WANT_PEEK, NULL, &hit), LOOKUP_FRESH);
    entry_unref(hit.entry);
    assert_true(drop_below(s, "a", 6));
    assert_int_equal(get(s, "a", 0, WANT_PEEK, NULL, &hit), LOOKUP_MISS);
    assert_int_equal(store_put(s, &plain, 0, NULL), 0);
    assert_true(drop_below(s, "b", INT64_MIN)); /* nothing is known of it */
    assert_int_equal(store_put(s, &absent, 0, NULL), 0);
    assert_true(drop_below(s, "c", 4));
    store_free(s);
}

static void touch_moves_the_deadlines(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    struct put p = put_of(s, "a", "alpha");
    assert_false(touch(s, "a", 0, 100, 0));
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_true(touch(s, "a", 50, 500, 20));
    assert_int_equal(store_tick(s, 400, 100, NULL), 0);
    assert_int_equal(get(s, "a", 549, WANT_PEEK, NULL, &hit), LOOKUP_FRESH);
    entry_unref(hit.entry);
    assert_int_equal(hit.age_ms, 499);
    assert_int_equal(get(s, "a", 569, 0, NULL, &hit), LOOKUP_STALE);
    assert_false(touch(s, "a", 570, 500, 20));
    /* For ever, and back. */
    assert_int_equal(store_put(s, &p, 600, NULL), 0);
    assert_true(touch(s, "a", 600, 0, 0));
    assert_int_equal(store_tick(s, 1000000, 100, NULL), 0);
    assert_int_equal(get(s, "a", 1000000, 0, NULL, &hit), LOOKUP_FRESH);
    assert_int_equal(hit.ttl_ms, STORE_FOREVER_MS);
    entry_unref(hit.entry);
    assert_true(touch(s, "a", 1000000, 10, 0));
    assert_int_equal(store_tick(s, 1000010, 100, NULL), 1);
    store_free(s);
}

static void a_put_over_an_entry_moves_its_end(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct put p = put_of(s, "a", "alpha");
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    p.ttl_ms = 1000;
    assert_int_equal(store_put(s, &p, 50, NULL), 0);
    assert_int_equal(store_tick(s, 1049, 100, NULL), 0);
    assert_int_equal(store_tick(s, 1050, 100, NULL), 1);
    store_free(s);
}

static void a_clock_that_lags_sees_nothing_odd(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 1000);
    struct hit hit;
    struct put p = put_of(s, "a", "alpha");
    p.ttl_ms = 10;
    assert_int_equal(store_put(s, &p, 1005, NULL), 0);
    assert_int_equal(get(s, "a", 1002, 0, NULL, &hit), LOOKUP_FRESH);
    assert_int_equal(hit.age_ms, 0);
    assert_int_equal(hit.ttl_ms, 10);
    entry_unref(hit.entry);
    /* Expired for one thread, so for all. */
    assert_false(touch(s, "a", 1015, 10, 0));
    assert_int_equal(get(s, "a", 1009, 0, NULL, &hit), LOOKUP_MISS);
    /* Before the store's start. */
    assert_int_equal(store_put(s, &p, 900, NULL), 0);
    assert_int_equal(store_tick(s, 900, 10, NULL), 0);
    assert_int_equal(get(s, "a", 900, 0, NULL, &hit), LOOKUP_FRESH);
    entry_unref(hit.entry);
    store_free(s);
}

/* The thread that loaded it came late to the lock: others have moved the clock on meanwhile. */
static void age_and_load_reach_back_to_the_begin(void **state)
{
    (void)state;
    static char long_value[70000];
    memset(long_value, 'l', sizeof long_value - 1);
    const char *const values[] = {"short", long_value};
    for (unsigned i = 0; i < 2; i++) {
        struct store *s = new_store(1 << 20, 1, 0);
        struct hit hit;
        struct put p = put_of(s, "a", values[i]);
        p.load_us = 5000;
        get(s, "b", 521, 0, NULL, &hit);
        assert_int_equal(store_put(s, &p, 500, NULL), 0); /* new */
        assert_int_equal(get(s, "a", 531, 0, NULL, &hit), LOOKUP_FRESH);
        assert_int_equal(hit.age_ms, 10);
        assert_int_equal(hit.load_us, 26000);
        p.value = entry_value(hit.entry);
        p.renews = true;
        assert_int_equal(store_put(s, &p, 530, NULL), 0); /* the same again */
        entry_unref(hit.entry);
        get(s, "a", 531, 0, NULL, &hit);
        assert_int_equal(hit.load_us, 6000);
        entry_unref(hit.entry);
        p = put_of(s, "a", values[i]);
        p.load_us = 5000;
        assert_int_equal(store_put(s, &p, 529, NULL), 0); /* in its place */
        get(s, "a", 531, 0, NULL, &hit);
        assert_int_equal(hit.load_us, 7000);
        entry_unref(hit.entry);
        p.load_us = 0;
        assert_int_equal(store_put(s, &p, 529, NULL), 0); /* of a client: it has no load */
        get(s, "a", 531, 0, NULL, &hit);
        assert_int_equal(hit.load_us, 0);
        entry_unref(hit.entry);
        store_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stored_value_comes_back),
        cmocka_unit_test(the_value_comes_only_where_its_status_is_wanted),
        cmocka_unit_test(a_negative_entry_is_one_while_it_is_fresh),
        cmocka_unit_test(long_values_are_shared_and_outlive_their_entry),
        cmocka_unit_test(without_a_buffer_the_value_is_shared),
        cmocka_unit_test(a_buffer_that_is_full_gives_a_miss_and_stays),
        cmocka_unit_test(keys_are_bytes_of_any_kind_and_bounded),
        cmocka_unit_test(what_is_too_large_is_refused_and_drops_the_old),
        cmocka_unit_test(remove_says_whether_there_was_one),
        cmocka_unit_test(a_value_of_that_version_or_a_newer_one_stays),
        cmocka_unit_test(touch_moves_the_deadlines),
        cmocka_unit_test(a_put_over_an_entry_moves_its_end),
        cmocka_unit_test(a_clock_that_lags_sees_nothing_odd),
        cmocka_unit_test(age_and_load_reach_back_to_the_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
