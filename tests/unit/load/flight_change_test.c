/* Versions and floors: what an invalidation, a set or a late load may leave in the store. */
#include "flight_world.h"

/* Stores version in k by a load. */
static void load_version(struct world *w, int64_t version)
{
    struct join_result r;
    bool stored;
    struct outcome o = found_version(version);
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void an_invalidation_drops_what_is_older_and_keeps_what_is_not(void **state)
{
    struct world *w = *state;
    int64_t v = 5;
    load_version(w, 5);
    assert_false(invalidate(w, "k", &v));
    assert_int_equal(lookup(w, "k"), LOOKUP_FRESH);
    v = 6;
    assert_true(invalidate(w, "k", &v));
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void race_03_a_result_below_the_floor_is_neither_stored_nor_delivered(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    int64_t v = 7;
    invalidate(w, "k", &v);
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    struct outcome lagging = found_version(6), caught_up = found_version(7);
    assert_int_equal(end_with(w, r.flight, &lagging, &stored), BELOW);
    assert_non_null(a.flight);
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    assert_int_equal(end_with(w, r.flight, &caught_up, &stored), 1);
    assert_true(stored);
}

static void race_10_the_floor_outlives_the_entry(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 9;
    load_version(w, 8);
    invalidate(w, "k", &v); /* nothing of the key is stored any more */
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    struct outcome old = found_version(8), fresh = found_version(9);
    w->now_ms += 59000; /* of a floor_ttl of 60 s */
    assert_int_equal(end_with(w, r.flight, &old, &stored), BELOW);
    end_with(w, r.flight, &fresh, &stored);
    assert_true(stored);
    w->now_ms += 120000; /* and ends */
    invalidate(w, "k", NULL);
    load_version(w, 1);
}

static void race_09_events_out_of_order_leave_the_highest_floor(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t late = 3, high = 8;
    invalidate(w, "k", &high);
    invalidate(w, "k", &late);
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    struct outcome between = found_version(7), enough = found_version(8);
    assert_int_equal(end_with(w, r.flight, &between, &stored), BELOW);
    end_with(w, r.flight, &enough, &stored);
    assert_true(stored);
}

/* Whether a load of "other" that begins now reads the primary. */
static bool reads_primary(struct world *w)
{
    struct join_result r;
    struct outcome o = found_version(5);
    bool stored, primary = false;
    assert_int_equal(join_as(w, "other", NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    end_with(w, r.flight, &o, &stored);
    return primary;
}

static void race_11_a_doubt_that_needs_room_does_not_shorten_the_time_of_a_lost_floor(void **state)
{
    struct world *w = *state;
    int64_t v = 1;
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "f%d", i);
        invalidate(w, key, &v); /* for 60 s */
    }
    struct slice k = slice_str("in doubt");
    struct invalidation i = {.key = k, .hash = store_hash(w->store, k), .now_ms = w->now_ms};
    assert_int_equal(flights_doubt(w->flights, &i, w->now_ms + 5000), 0);
    w->now_ms += 59999;
    assert_true(reads_primary(w));
    w->now_ms += 1;
    assert_false(reads_primary(w));
}

static void race_11_a_floor_that_had_to_go_voids_the_loads_beside_it(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 1;
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    for (int i = 0; i < 101; i++) { /* one more than there is room for */
        char key[16];
        snprintf(key, sizeof key, "f%d", i);
        invalidate(w, key, &v);
    }
    struct flights_stats stats;
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.floors, 100);
    assert_int_equal(stats.floors_dropped, 1);
    struct outcome o = found_version(5);
    o.replica =
        true; /* whose waiters may have been promised more: it is read again, from the primary */
    assert_int_equal(end_with(w, r.flight, &o, &stored), BELOW);
    o.replica = false;
    assert_int_equal(end_with(w, r.flight, &o, &stored), 0);
    assert_false(stored);
    load_version(w, 5); /* one that begins now is good, if it reads what does not lag */
    bool primary = false;
    assert_int_equal(join_as(w, "other", NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    assert_true(primary);
    end_with(w, r.flight, &o, &stored);
    w->now_ms += 60000;
    assert_int_equal(join_as(w, "another", NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    assert_false(primary);
    end_with(w, r.flight, &o, &stored);
}

static void race_13_what_is_stored_never_goes_back_by_a_load_or_a_set(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    struct err e;
    struct slice k = slice_str("k");
    load_version(w, 5);
    struct join_request q = request_for(w, "k", &a);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    struct outcome old = found_version(4);
    assert_int_equal(end_with(w, r.flight, &old, &stored), 1);
    assert_false(stored);
    struct put p = {.key = k,
                    .hash = store_hash(w->store, k),
                    .value = slice_of(value_b, 2),
                    .ttl_ms = 1000,
                    .has_version = true,
                    .version = 4};
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, &e), ERR_VERSION_CONFLICT);
    assert_string_equal(e.text, "k: version 4 is older than 5, which is stored");
    p.version = 5;
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, &e), 0);
}

static void a_set_below_the_floor_is_refused(void **state)
{
    struct world *w = *state;
    struct err e;
    struct slice k = slice_str("k");
    int64_t v = 7;
    invalidate(w, "k", &v);
    struct put p = {.key = k,
                    .hash = store_hash(w->store, k),
                    .value = slice_of(value_b, 2),
                    .ttl_ms = 1000,
                    .has_version = true,
                    .version = 6};
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, &e), ERR_VERSION_CONFLICT);
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void race_15_any_invalidation_kills_a_negative_entry(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = -100;
    join_as(w, "k", NULL, &r);
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    end_with(w, r.flight, &absent, &stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_NEGATIVE);
    assert_true(invalidate(w, "k", &v));
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void an_absence_in_a_replica_proves_nothing_below_a_floor(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 2;
    invalidate(w, "k", &v);
    join_as(w, "k", NULL, &r);
    struct outcome absent = {
        .end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1, .replica = true};
    assert_int_equal(end_with(w, r.flight, &absent, &stored), BELOW);
    absent.replica = false;
    end_with(w, r.flight, &absent, &stored);
    assert_false(stored); /* the row may be announced and not be visible yet */
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void an_absence_is_kept_at_the_version_at_which_the_row_was_deleted(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored, dropped;
    int64_t v = 2;
    struct slice k = slice_str("k");
    struct invalidation i = {
        .key = k,
        .hash = store_hash(w->store, k),
        .now_ms = w->now_ms,
        .version = &v,
        .floor_ttl_ms = 60000,
        .gone = true,
    };
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    join_as(w, "k", NULL, &r);
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    end_with(w, r.flight, &absent, &stored);
    assert_true(stored);
}

static void an_absence_with_a_version_is_judged_by_it(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 5;
    struct outcome absent = {.end = END_ABSENT,
                             .store = true,
                             .ttl_ms = 1000,
                             .generation = 1,
                             .has_version = true,
                             .version = 4};
    invalidate(w, "k", &v);
    join_as(w, "k", NULL, &r);
    assert_int_equal(end_with(w, r.flight, &absent, &stored), BELOW);
    absent.version = 5;
    absent.replica = true; /* it has seen what the floor tells of */
    end_with(w, r.flight, &absent, &stored);
    assert_true(stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_NEGATIVE);
    assert_true(invalidate(w, "k", &v)); /* race 15 */
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    load_version(w, 9);
    struct join_request q = request_for(w, "k", NULL);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    absent.version = 8;
    end_with(w, r.flight, &absent, &stored);
    assert_false(stored); /* what is stored is newer */
    assert_int_equal(lookup(w, "k"), LOOKUP_FRESH);
}

static void a_get_with_a_min_version_is_not_content_with_less(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    int64_t min = 6;
    struct buf room;
    load_version(w, 5);
    struct join_request q = request_for(w, "k", &a);
    buf_init(&room, 0);
    q.out = &room;
    q.min_version = &min;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    assert_int_equal(room.size, 0);
    struct outcome o = found_version(6);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_HIT);
    buf_fini(&room);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_invalidation_drops_what_is_older_and_keeps_what_is_not),
        T(race_03_a_result_below_the_floor_is_neither_stored_nor_delivered),
        T(race_10_the_floor_outlives_the_entry),
        T(race_09_events_out_of_order_leave_the_highest_floor),
        T(race_11_a_floor_that_had_to_go_voids_the_loads_beside_it),
        T(race_11_a_doubt_that_needs_room_does_not_shorten_the_time_of_a_lost_floor),
        T(race_13_what_is_stored_never_goes_back_by_a_load_or_a_set),
        T(a_set_below_the_floor_is_refused),
        T(race_15_any_invalidation_kills_a_negative_entry),
        T(an_absence_in_a_replica_proves_nothing_below_a_floor),
        T(an_absence_with_a_version_is_judged_by_it),
        T(an_absence_is_kept_at_the_version_at_which_the_row_was_deleted),
        T(a_get_with_a_min_version_is_not_content_with_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
