/* Flights and their floors where memory is denied: who asks hears of it, nothing is promised that
 * is not kept, and nothing stays behind. */
#include "flight_world.h"

#include "faulty.h"
#include "load/change.h"

#include <string.h>

static void flights_that_get_no_memory_leave_nothing(void **state)
{
    struct world *w = *state;
    struct flights_options o = {.store = w->store, .shards = 4, .slots = 1, .deliver = never};
    struct flights *fl = NULL;
    struct err e;
    int rc = 0;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, 0, rc = flights_new(&fl, &o, &e)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(e.text, "no memory for 4 flight shards");
        assert_null(fl);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(nth, 1 + 2 * 4 + 1); /* its own, and two tables of each shard */
    flights_free(fl);
    flights_free(NULL);
}

static void a_flight_that_gets_no_memory_does_not_start(void **state)
{
    struct world *w = *state;
    struct waiter waiter = {0};
    struct join_result r;
    struct flights_stats stats;
    enum join joined = JOIN_STARTED;
    assert_true(FAULTY_WITHOUT(1, 0, joined = join_as(w, "a", &waiter, &r)));
    assert_int_equal(joined, JOIN_NOMEM);
    assert_null(waiter.flight);
    assert_null(r.flight);
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.loading, 0);
    assert_false(flights_leave(w->flights, &waiter));
    /* Backoff that was there stays. */
    join_as(w, "a", NULL, &r);
    fail_load(w, r.flight, "down");
    w->now_ms += 60000;
    assert_true(FAULTY_WITHOUT(1, 0, joined = join_as(w, "a", NULL, &r)));
    assert_int_equal(joined, JOIN_NOMEM);
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.failed, 1);
}

/* The value that waiters would share. */
static void a_value_that_gets_no_memory_is_refused(void **state)
{
    struct world *w = *state;
    struct waiter waiter = {0};
    struct join_result r;
    struct verdict v;
    struct outcome o = found(value_a);
    struct err e;
    assert_int_equal(join_as(w, "a", &waiter, &r), JOIN_STARTED);
    faulty_fail_allocation(1, 0);
    flights_end(w->flights, r.flight, &o, w->now_ms, &v);
    assert_true(faulty_calm());
    assert_true(v.stored); /* the store has its own */
    assert_false(v.crowded);
    assert_int_equal(r.flight->outcome.end, END_REFUSED);
    assert_int_equal(r.flight->outcome.err_code, ERR_NOMEM);
    flight_error(r.flight, &e);
    assert_int_equal(e.code, ERR_NOMEM);
    assert_string_equal(e.text, "the load failed");
    assert_int_equal(e.retry_after_ms, -1);
    assert_int_equal(lookup(w, "a"), LOOKUP_FRESH);
    flight_unref(r.flight); /* the slot's */
    flight_unref(r.flight);
}

/* An error's text needs memory, its code does not. */
static void an_error_that_gets_no_memory_keeps_its_code(void **state)
{
    struct world *w = *state;
    struct join_result r;
    join_as(w, "a", NULL, &r);
    faulty_fail_allocation(1, FAULTY_ALL);
    fail_load(w, r.flight, "the database is down");
    assert_true(faulty_calm());
    assert_int_equal(join_as(w, "a", NULL, &r), JOIN_BACKOFF);
    assert_int_equal(r.err.code, ERR_BACKEND_DOWN);
    assert_string_equal(r.err.text, "the load failed");
    assert_in_range(r.err.retry_after_ms, 1, 1000);
}

/* The table of flights grows with their number; where it cannot, all of them are found still. */
static void flights_are_found_where_their_table_cannot_grow(void **state)
{
    enum { MANY = 400 };
    static struct flight *flights[MANY];
    struct world *w = *state;
    char key[16];
    for (int i = 0; i < MANY; i++) {
        struct join_result r;
        snprintf(key, sizeof key, "key:%d", i);
        faulty_fail_allocation(2, FAULTY_ALL); /* its own memory is the first */
        assert_int_equal(join_as(w, key, NULL, &r), JOIN_STARTED);
        faulty_calm();
        flights[i] = r.flight;
    }
    for (int i = 0; i < MANY; i++) {
        struct join_result r;
        snprintf(key, sizeof key, "key:%d", i);
        assert_int_equal(join_as(w, key, NULL, &r), JOIN_PARKED);
    }
    for (int i = 0; i < MANY; i++) {
        struct outcome o = found(value_a);
        bool stored;
        assert_int_equal(end_with(w, flights[i], &o, &stored), 0);
        assert_true(stored);
    }
}

static int invalidate_as(struct world *w, const char *key, const int64_t *version, struct err *e)
{
    bool dropped;
    struct slice k = slice_str(key);
    struct changes c = {.store = w->store, .flights = w->flights, .marks = w->marks};
    struct invalidation i = {
        .key = k,
        .hash = store_hash(w->store, k),
        .now_ms = w->now_ms,
        .version = version,
        .floor_ttl_ms = 60000,
    };
    return change_invalidate(&c, &i, CAUSE_INVALIDATE, &dropped, e);
}

static bool reads_primary(struct world *w)
{
    struct join_result r;
    bool primary, stored;
    struct outcome o = found(value_a);
    struct join_request q = request_for(w, "other", NULL);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    end_with(w, r.flight, &o, &stored);
    return primary;
}

/* What a floor would have promised is kept by loads that read the primary; others are void. */
static void a_floor_without_memory_is_told_and_made_up_for(void **state)
{
    struct world *w = *state;
    const int64_t seven = 7;
    struct join_result before;
    struct outcome o = found(value_a);
    struct err e;
    bool stored;
    int rc = 0;
    assert_false(reads_primary(w));
    join_as(w, "third", NULL, &before);
    assert_true(FAULTY_WITHOUT(1, 0, rc = invalidate_as(w, "a", &seven, &e)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(e.code, ERR_NOMEM);
    assert_string_equal(e.text, "no memory to remember the version");
    end_with(w, before.flight, &o, &stored);
    assert_false(stored);
    assert_true(reads_primary(w));
    w->now_ms += 59999;
    assert_true(reads_primary(w));
    w->now_ms += 1;
    assert_false(reads_primary(w));
    err_clear(&e);
    assert_int_equal(invalidate_as(w, "a", &seven, &e), 0);
    assert_string_equal(e.text, "");
}

static void patterns_without_memory_are_told_and_what_is_loaded_is_void_all_the_same(void **state)
{
    struct world *w = *state;
    struct glob g;
    char room[GLOB_MAX];
    struct join_result r;
    struct outcome o = found(value_a);
    struct err e;
    bool stored;
    int rc = 0;
    glob_compile(&g, slice_str("user:*"), room);
    join_as(w, "user:1", NULL, &r);
    assert_true(FAULTY_WITHOUT(1, 0, rc = flights_match(w->flights, &g, false, &e)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_string_equal(e.text, "no memory for a pattern");
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
    for (int64_t nth = 1; nth <= 2; nth++) { /* for the store's, and for the floors' */
        assert_true(
            FAULTY_WITHOUT(nth, 0, rc = flights_lift_match(w->flights, &g, false, w->now_ms, &e)));
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(e.text, "no memory for a pattern");
    }
    assert_int_equal(flights_lift_match(w->flights, &g, false, w->now_ms, &e), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(flights_that_get_no_memory_leave_nothing),
        T(a_flight_that_gets_no_memory_does_not_start),
        T(a_value_that_gets_no_memory_is_refused),
        T(an_error_that_gets_no_memory_keeps_its_code),
        T(flights_are_found_where_their_table_cannot_grow),
        T(a_floor_without_memory_is_told_and_made_up_for),
        T(patterns_without_memory_are_told_and_what_is_loaded_is_void_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
