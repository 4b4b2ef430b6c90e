/* A record that comes back where the system denies memory is refused with its reason, and nothing
 * of it stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "faulty.h"
#include "protect.h"
#include "restore_world.h"

#include <stdio.h>

static struct store_stats stats_of(struct store *s)
{
    struct store_stats stats;
    store_read_stats(s, &stats);
    return stats;
}

static void what_gets_no_memory_is_refused_and_comes_when_there_is_some(void **state)
{
    (void)state;
    enum { KEYS = 60000 };
    struct store *s = new_store(64 << 20, 1, START);
    char key[32];
    size_t denied = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        struct record r = record_of();
        struct err e = {.code = 0};
        bool stored = true;
        int size = snprintf(key, sizeof key, "key:%u", i);
        r.key = slice_of(key, (size_t)size);
        protect_fails(1 + i % 3, 0);
        int rc = store_restore(s, &r, &proven, START, &stored, &e);
        if (protect_calm() && rc != 0) {
            denied++;
            assert_int_equal(rc, ERR_NOMEM);
            assert_false(stored);
            assert_non_null(strstr(e.text, ": no memory for an entry of "));
            struct store_stats stats = stats_of(s);
            assert_int_equal(stats.entries + stats.evictions, i); /* who had to leave for it */
            assert_int_equal(look_at(s, key, START), LOOKUP_MISS);
            assert_int_equal(store_restore(s, &r, &proven, START, &stored, &e), 0);
        }
        assert_int_equal(rc == 0 || rc == ERR_NOMEM, 1);
        assert_true(stored);
    }
    assert_true(denied > 0);
    struct store_stats stats = stats_of(s);
    assert_int_equal(stats.entries + stats.evictions, KEYS);
    assert_true(stats.evictions < KEYS / 100);
    assert_true(stats.holes < 10000); /* what was had for one that was refused is in use */
    store_free(s);
}

static void a_dump_that_gets_no_memory_goes_on_where_it_was(void **state)
{
    (void)state;
    static char bytes[9000];
    struct store *s = new_store(8 << 20, 1, START);
    struct dump_cursor cursor = {0};
    struct buf out;
    size_t count, sum = 0, denied = 0;
    char key[32];
    buf_init(&out, 0);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key:%u", i);
        struct put p = put_of(s, key, "");
        p.value = slice_of(bytes, sizeof bytes);
        assert_int_equal(store_put(s, &p, START, NULL), 0);
    }
    while (!cursor.done) {
        int rc = 0;
        for (int64_t nth = 1;; nth++) {
            struct dump_cursor was = cursor;
            buf_fini(&out);
            buf_init(&out, 0);
            if (!FAULTY_WITHOUT(nth, 0, rc = store_dump(s, &cursor, START, 20000, &out, &count)))
                break;
            denied++;
            assert_int_equal(rc, ERR_NOMEM);
            assert_memory_equal(&was, &cursor, sizeof was);
            assert_int_equal(out.size, 0);
            assert_int_equal(count, 0);
        }
        assert_int_equal(rc, 0);
        sum += count;
    }
    assert_int_equal(sum, 200);
    assert_true(denied > 50);
    for (unsigned i = 0; i < 200; i++) { /* no reference is left */
        snprintf(key, sizeof key, "key:%u", i);
        assert_true(drop(s, key, START));
    }
    assert_int_equal(stats_of(s).entry_bytes, 0);
    assert_int_equal(stats_of(s).holes, 0);
    buf_fini(&out);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gets_no_memory_is_refused_and_comes_when_there_is_some),
        cmocka_unit_test(a_dump_that_gets_no_memory_goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
