/* What flights keep, as bytes: without room, cut, wrong; and which entries it says are old. */
#include "keep_world.h"

#include "wire/mpw.h"

static void where_there_is_no_room_it_can_be_asked_again(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf small, out;
    struct flights_stats stats;
    size_t count, failed = 0;
    for (unsigned i = 0; i < 60; i++)
        raise_floor(w, key_of(i), i);
    buf_init(&small, 65); /* a floor's, as it is made sure of, but not a whole list's */
    buf_init(&out, 0);
    assert_int_equal(buf_append(&small, "x", 1), 0);
    while (!cursor.done) {
        struct keep_cursor was = cursor;
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 2, &small, &count),
                         ERR_TOO_LARGE);
        int rc = flight_keep_out(w->flights, &cursor, w->now_ms, 1, &small, &count);
        if (rc != 0) {
            failed++;
            assert_int_equal(rc, ERR_TOO_LARGE);
            assert_memory_equal(&cursor, &was, sizeof was);
            assert_int_equal(small.size, 1);
            assert_int_equal(count, 0);
        }
        small.size = 1;
        cursor = was;
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 1, &out, &count), 0);
    }
    assert_in_range(failed, 1, 59);
    struct flights *next = flights_of(w, 1, 100);
    assert_int_equal(flight_keep_in(next, buf_slice(&out), 0, w->now_ms, &count, NULL), 0);
    flights_read_stats(next, &stats);
    assert_int_equal(stats.floors, 60);
    flights_free(next);
    buf_fini(&small);
    buf_fini(&out);
}

static void any_bytes_are_taken_or_refused(void **state)
{
    struct world *w = *state;
    struct buf out;
    struct err e;
    size_t count;
    buf_init(&out, 0);
    raise_floor(w, "a", 7);
    lift_match(w, "b:*", false);
    keep_all(w, 100, &out);
    for (size_t size = 0; size < out.size; size++) {
        struct flights *fl = flights_of(w, 2, 100);
        int rc = flight_keep_in(fl, slice_of(out.data, size), 0, w->now_ms, &count, &e);
        assert_true(rc == 0 || rc == ERR_BAD_VALUE);
        if (rc != 0)
            assert_non_null(strstr(e.text, "is cut off"));
        flights_free(fl);
    }
    static const struct {
        const char *bytes;
        size_t size;
        const char *says; /* NULL: it is taken */
    } cases[] = {
        {"\x01", 1, "record 1 of the floors: its begin is no array"},
        {"\x90", 1, "record 1 of the floors: its begin is no array"},
        {"\x91\xff", 2, "record 1 of the floors: its kind is no integer, or out of its bounds"},
        {"\x91\x09\x91\xc0", 4,
         "record 2 of the floors: its kind is no integer, or out of its "
         "bounds"},
        {"\x93\x09\x81\x01\x02\xc0", 6, NULL}, /* a kind of later */
        {"\x98\x00\x01\x07\xc2\x64\x00\x00\xa1x", 10, NULL},
        {"\x96\x00\x01\x07\xc2\x64\x00", 7,
         "record 1 of the floors: its number of fields is too low"},
        {"\x97\x00\xff\x07\xc2\x64\x00\x00", 8,
         "record 1 of the floors: its hash is no number of 64 bits"},
        {"\x97\x00\x01\xc2\xc2\x64\x00\x00", 8,
         "record 1 of the floors: its version is neither an integer of 64 bits nor nil"},
        {"\x97\x00\x01\x07\x00\x64\x00\x00", 8,
         "record 1 of the floors: its gone is neither true nor false"},
        {"\x97\x00\x01\x07\xc2\xff\x00\x00", 8,
         "record 1 of the floors: its time left is no integer, or out of its bounds"},
        {"\x97\x00\x01\x07\xc2\x64\xff\x00", 8,
         "record 1 of the floors: its doubt is no integer, or out of its bounds"},
        {"\x97\x00\x01\x07\xc2\x64\x00\xff", 8,
         "record 1 of the floors: its lift is no integer, or out of its bounds"},
        {"\x94\x01\x05\xa2{x\x64", 7, "record 1 of the floors: its pattern is none"},
        {"\x94\x01\x05\x01\x64", 5, "record 1 of the floors: its pattern is none"},
        {"\x95\x01\x05\xa1x\x64\xc1", 7,
         "record 1 of the floors: its end is cut off, or no MessagePack"},
        {"\x97\x00\x01\x07\xc2\xc1", 6, "record 1 of the floors: its time left is no MessagePack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = flight_keep_in(w->flights, slice_of(cases[i].bytes, cases[i].size), 0, w->now_ms,
                                &count, &e);
        assert_int_equal(rc, cases[i].says ? ERR_BAD_VALUE : 0);
        if (cases[i].says)
            assert_string_equal(e.text, cases[i].says);
        else
            assert_int_equal(count, 1);
    }
    buf_fini(&out);
}

static void more_lifts_than_can_be_known_are_told(void **state)
{
    struct world *w = *state;
    struct buf out;
    struct err e;
    char pattern[24];
    size_t count;
    buf_init(&out, 0);
    raise_floor(w, "a", 7);
    for (int i = 0; i <= FLOOR_LIFTS; i++) {
        int size = snprintf(pattern, sizeof pattern, "b:%d", i);
        assert_int_equal(mpw_array(&out, 4), 0);
        assert_int_equal(mpw_int(&out, 1), 0);
        assert_int_equal(mpw_int(&out, i + 1), 0);
        assert_int_equal(mpw_bin(&out, slice_of(pattern, (size_t)size)), 0);
        assert_int_equal(mpw_int(&out, 1000), 0);
    }
    assert_int_equal(flight_keep_in(w->flights, buf_slice(&out), 0, w->now_ms, &count, &e),
                     ERR_OVERLOADED);
    assert_string_equal(e.text, "more than 64 patterns were lifted");
    assert_int_equal(count, FLOOR_LIFTS + 1);
    buf_fini(&out);
}

struct keeping {
    const char *name;
    int64_t floor, version; /* -1: none */
    bool gone, doubt, negative, stored;
};

static const struct keeping keepings[] = {
    {"nothing is known", -1, 7, false, false, false, true},
    {"a floor below", 6, 7, false, false, false, true},
    {"its own floor", 7, 7, false, false, false, true},
    {"a floor above", 8, 7, false, false, false, false},
    {"without a version", 1, -1, false, false, false, false},
    {"without a version or a floor", -1, -1, false, false, false, true},
    {"in doubt", -1, 7, false, true, false, false},
    {"above a floor and in doubt", 6, 7, false, true, false, false},
    {"an absence below a floor", 6, -1, false, false, true, false},
    {"an absence of what is gone", 6, -1, true, false, true, true},
    {"an absence of a version", 6, 7, false, false, true, true},
    {"an absence of an older version", 8, 7, false, false, true, false},
};

static void an_entry_that_a_floor_says_is_old_is_left_out(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < sizeof keepings / sizeof *keepings; i++) {
        const struct keeping *k = &keepings[i];
        struct restore how = {.as = RESTORED_PROVEN};
        struct err e;
        bool dropped, stored = !k->stored;
        struct record r = {
            .key = slice_str(key_of((unsigned)i)),
            .value = slice_of(value_a, k->negative ? 0 : 2),
            .negative = k->negative,
            .has_version = k->version >= 0,
            .version = k->version,
            .fresh_left_ms = 1000,
        };
        struct invalidation inv = {.key = r.key,
                                   .hash = store_hash(w->store, r.key),
                                   .now_ms = w->now_ms,
                                   .version = &k->floor,
                                   .floor_ttl_ms = TTL,
                                   .gone = k->gone};
        if (k->floor >= 0)
            assert_int_equal(flights_invalidate(w->flights, &inv, &dropped), 0);
        if (k->doubt)
            doubt(w, key_of((unsigned)i), w->now_ms + 1000);
        assert_int_equal(flight_keep_entry(w->flights, &r, &how, w->now_ms, &stored, &e), 0);
        enum lookup there = k->negative ? LOOKUP_NEGATIVE : LOOKUP_FRESH;
        if (stored != k->stored || lookup(w, key_of((unsigned)i)) != (stored ? there : LOOKUP_MISS))
            fail_msg("%s: stored %d", k->name, stored);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(where_there_is_no_room_it_can_be_asked_again),
        CASE(any_bytes_are_taken_or_refused),
        CASE(more_lifts_than_can_be_known_are_told),
        CASE(an_entry_that_a_floor_says_is_old_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
