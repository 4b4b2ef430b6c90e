#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tier/tier_item.h"
#include "tier/tier_row.h"
#include "wire/mpw.h"

static struct buf answer;

static int setup(void **state)
{
    (void)state;
    buf_init(&answer, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&answer);
    return 0;
}

static void put_int(const char *name, int64_t v)
{
    assert_int_equal(mpw_cstr(&answer, name) | mpw_int(&answer, v), 0);
}

/* A row as a database gives it; its value is these bytes. */
static void put_row(struct slice packed, int64_t expires_ms)
{
    assert_int_equal(mpw_map(&answer, 14), 0);
    put_int("i", 2);
    assert_int_equal(mpw_cstr(&answer, "packed") | mpw_bin(&answer, packed), 0);
    put_int("version_id", -7);
    assert_int_equal(mpw_cstr(&answer, "tags") | mpw_array(&answer, 1) | mpw_cstr(&answer, "team"),
                     0);
    put_int("stale_ms", 100);
    put_int("keep_ms", 200);
    put_int("load_us", 30);
    put_int("incarnation", INT64_MAX);
    put_int("since", 4);
    put_int("seen", 5);
    put_int("until_ms", 9000);
    put_int("print", 6);
    put_int("loaded_ms", 1000000);
    put_int("expires_ms", expires_ms);
}

static void read_one(struct tier_row *row)
{
    struct mp_reader at;
    assert_int_equal(1, tier_row_begin(&at, buf_slice(&answer)));
    assert_true(tier_row_next(&at, row));
    assert_ptr_equal(at.at, at.end);
}

static void every_column_is_read(void **state)
{
    (void)state;
    struct tier_row row;
    assert_int_equal(mpw_array(&answer, 1), 0);
    put_row(slice_of("\x07", 1), 1060000);
    read_one(&row);
    assert_true(row.whole);
    assert_int_equal(2, row.place);
    assert_true(slice_eq(row.value, slice_of("\x07", 1)));
    assert_true(row.has_version);
    assert_int_equal(-7, row.version);
    assert_int_equal(TAGGED_TEXTS, row.tagged);
    assert_true(slice_eq(row.tags, slice_str("\x91\xa4team")));
    assert_int_equal(100, row.stale_ms);
    assert_int_equal(200, row.keep_ms);
    assert_int_equal(30, row.load_us);
    assert_int_equal(INT64_MAX, row.incarnation);
    assert_int_equal(4, row.since);
    assert_int_equal(5, row.seen);
    assert_int_equal(9000, row.until_ms);
    assert_int_equal(6, row.print);
}

static void the_record_of_a_row_of_ours_goes_by_our_clock(void **state)
{
    (void)state;
    struct tier_row row;
    struct record r;
    assert_int_equal(mpw_array(&answer, 1), 0);
    put_row(slice_of("\x07", 1), 1060000);
    read_one(&row);
    tier_row_record(&row, slice_str("k"), true, 8000, 1001000, &r);
    assert_int_equal(1000, r.fresh_left_ms);
    assert_int_equal(1000, r.age_ms);
    tier_row_record(&row, slice_str("k"), false, 8000, 1001000, &r);
    assert_int_equal(59000, r.fresh_left_ms);
    tier_row_record(&row, slice_str("k"), false, 8000, 999000, &r); /* the clock went back */
    assert_int_equal(0, r.age_ms);
    row.until_ms = INT64_MAX;
    tier_row_record(&row, slice_str("k"), true, 8000, 1001000, &r);
    assert_true(r.fresh_left_ms == STORE_FOREVER_MS);
    row.expires_wall_ms = TIER_FOREVER_MS;
    tier_row_record(&row, slice_str("k"), false, 8000, 1001000, &r);
    assert_true(r.fresh_left_ms == STORE_FOREVER_MS);
}

static void what_is_no_value_is_not_whole(void **state)
{
    (void)state;
    static const struct slice wrong[] = {{"", 0}, {"\xc1", 1}, {"\x92\x01", 2}, {"\x01\x02", 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tier_row row;
        buf_clear(&answer);
        assert_int_equal(mpw_array(&answer, 1), 0);
        put_row(wrong[i], 1060000);
        read_one(&row);
        assert_false(row.whole);
    }
}

static void a_time_out_of_bounds_is_not_whole(void **state)
{
    (void)state;
    static const int64_t wrong[] = {-1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tier_row row;
        buf_clear(&answer);
        assert_int_equal(mpw_array(&answer, 1), 0);
        put_row(slice_of("\x07", 1), wrong[i]);
        read_one(&row);
        assert_false(row.whole);
    }
}

static void what_is_no_answer_ends(void **state)
{
    (void)state;
    struct mp_reader at;
    struct tier_row row;
    assert_int_equal(-1, tier_row_begin(&at, slice_of("\x07", 1)));
    assert_int_equal(-1, tier_row_begin(&at, slice_of("", 0)));
    assert_int_equal(1, tier_row_begin(&at, slice_of("\x91\x07", 2)));
    assert_false(tier_row_next(&at, &row));
    assert_int_equal(1, tier_row_begin(&at, slice_of("\x91\x81\xa1", 3)));
    assert_false(tier_row_next(&at, &row));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_column_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_record_of_a_row_of_ours_goes_by_our_clock, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_no_value_is_not_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_out_of_bounds_is_not_whole, setup, teardown),
        cmocka_unit_test(what_is_no_answer_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
