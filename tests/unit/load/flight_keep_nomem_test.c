/* What flights keep, where memory lacks: on the way out it can be asked again, on the way in what
 * is missing counts as dropped. */
#include "keep_world.h"

#include "faulty.h"

static void floors_that_cannot_be_had_count_as_dropped(void **state)
{
    struct world *w = *state;
    struct buf out;
    struct err e;
    size_t count, denied = 0;
    int rc = 0;
    bool primary, stored;
    buf_init(&out, 0);
    for (unsigned i = 0; i < 3; i++)
        raise_floor(w, key_of(i), 7);
    lift_match(w, "other:*", false);
    keep_all(w, 100, &out);
    for (int64_t nth = 1;; nth++) {
        use(w, flights_of(w, 2, 100));
        if (!FAULTY_WITHOUT(
                nth, 0,
                rc = flight_keep_in(w->flights, buf_slice(&out), 1000, w->now_ms, &count, &e)))
            break;
        denied++;
        assert_int_equal(rc, ERR_NOMEM);
        assert_non_null(strstr(e.text, "no memory for "));
        if (!strstr(e.text, "some floors"))
            continue;
        struct flights_stats stats;
        flights_read_stats(w->flights, &stats);
        assert_int_equal(stats.floors, 2);
        assert_int_equal(stats.lossy_until_ms, w->now_ms + TTL - 1000);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(denied, 4); /* three floors and a pattern */
    struct join_result r;
    struct outcome o = found_version(9);
    assert_int_equal(join_as(w, "key:1", NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    assert_false(primary);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
    buf_fini(&out);
}

static void a_piece_that_finds_no_memory_can_be_asked_again(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf out;
    size_t count;
    int rc = 0;
    raise_floor(w, "a", 7);
    buf_init(&out, 0);
    const struct keep_cursor was = cursor;
    assert_true(FAULTY_WITHOUT(
        1, 0, rc = flight_keep_out(w->flights, &cursor, w->now_ms, 100, &out, &count)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_memory_equal(&was, &cursor, sizeof was);
    assert_int_equal(out.size, 0);
    assert_int_equal(keep_all(w, 100, &out), 2);
    buf_fini(&out);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(floors_that_cannot_be_had_count_as_dropped),
        CASE(a_piece_that_finds_no_memory_can_be_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
