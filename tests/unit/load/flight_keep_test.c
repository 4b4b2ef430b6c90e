/* Floors, lifts and doubts over a restart: into other shards, late, in pieces, and wrong. */
#include "keep_world.h"

/* The flights of another server, which has heard of what the world's know. */
static void restart(struct world *w, unsigned shards, int64_t passed_ms)
{
    struct buf out;
    struct err e;
    size_t count;
    struct flights *next = flights_of(w, shards, 100000);
    buf_init(&out, 0);
    size_t sum = keep_all(w, 100, &out);
    w->now_ms = 5000; /* another clock */
    assert_int_equal(flight_keep_in(next, buf_slice(&out), passed_ms, w->now_ms, &count, &e), 0);
    assert_int_equal(count, sum);
    buf_fini(&out);
    use(w, next);
}

/* The lowest version that may be set; INT64_MIN: any. */
static int64_t floor_of(struct world *w, const char *key)
{
    struct err e = {.code = 0};
    struct put p = {.key = slice_str(key),
                    .hash = hash_of(w, key),
                    .value = slice_of(value_a, 2),
                    .has_version = true,
                    .version = INT64_MIN,
                    .ttl_ms = 1};
    long long floor = INT64_MIN;
    if (flights_set(w->flights, &p, w->now_ms, &e) == 0) {
        (void)store_remove(w->store, p.key, p.hash, w->now_ms);
        return INT64_MIN;
    }
    const char *than = strstr(e.text, "older than ");
    assert_non_null(than);
    assert_int_equal(sscanf(than, "older than %lld", &floor), 1);
    return floor;
}

static void floors_come_back_into_any_number_of_shards(void **state)
{
    struct world *w = *state;
    static const unsigned shards[] = {4, 16, 1, 8};
    use(w, flights_of(w, 2, 100000));
    for (unsigned i = 0; i < 5000; i++)
        raise_floor(w, key_of(i), i);
    for (size_t n = 0; n < 4; n++) {
        restart(w, shards[n], 0);
        struct flights_stats stats;
        flights_read_stats(w->flights, &stats);
        assert_int_equal(stats.floors, 5000);
        assert_int_equal(stats.floors_dropped, 0);
        assert_true(stats.lossy_until_ms <= w->now_ms);
        for (unsigned i = 0; i < 5000; i++)
            assert_int_equal(floor_of(w, key_of(i)), i);
        assert_true(floor_of(w, "none") == INT64_MIN);
    }
}

static void they_end_when_they_would_have_the_time_between_included(void **state)
{
    struct world *w = *state;
    raise_floor(w, "a", 7);
    w->now_ms += 10000;
    raise_floor(w, "b", 8);
    restart(w, 4, 20000);
    w->now_ms += TTL - 30000 - 1;
    assert_int_equal(floor_of(w, "a"), 7);
    w->now_ms++;
    assert_true(floor_of(w, "a") == INT64_MIN);
    assert_int_equal(floor_of(w, "b"), 8);
    restart(w, 1, 10000);
    assert_true(floor_of(w, "b") == INT64_MIN);
    struct flights_stats stats;
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.floors, 0); /* not even taken */
}

static void what_is_known_already_stays_where_it_is_higher(void **state)
{
    struct world *w = *state;
    struct buf out;
    size_t count;
    buf_init(&out, 0);
    raise_floor(w, "a", 7);
    raise_floor(w, "b", 7);
    keep_all(w, 100, &out);
    use(w, flights_of(w, 4, 100));
    raise_floor(w, "a", 9);
    raise_floor(w, "b", 5);
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(flight_keep_in(w->flights, buf_slice(&out), 0, w->now_ms, &count, NULL),
                         0);
    assert_int_equal(floor_of(w, "a"), 9);
    assert_int_equal(floor_of(w, "b"), 7);
    w->now_ms += TTL - 1;
    assert_int_equal(floor_of(w, "a"), 9);
    buf_fini(&out);
}

/* Whether an absence of the key is kept, as a load without a version brings it. */
static bool keeps_absence(struct world *w, const char *key)
{
    struct join_result r;
    struct outcome o = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    bool stored;
    assert_int_equal(join_as(w, key, NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    end_with(w, r.flight, &o, &stored);
    return stored;
}

static void a_row_that_is_gone_stays_gone(void **state)
{
    struct world *w = *state;
    const int64_t version = 7;
    bool dropped;
    struct invalidation i = {.key = slice_str("gone"),
                             .hash = hash_of(w, "gone"),
                             .now_ms = w->now_ms,
                             .version = &version,
                             .floor_ttl_ms = TTL,
                             .gone = true};
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    raise_floor(w, "there", 7);
    restart(w, 2, 0);
    assert_true(keeps_absence(w, "gone"));
    assert_false(keeps_absence(w, "there"));
}

static bool keeps_load(struct world *w, const char *key, int64_t version)
{
    struct join_result r;
    struct outcome o = found_version(version);
    bool stored;
    assert_int_equal(join_as(w, key, NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    end_with(w, r.flight, &o, &stored);
    return stored;
}

static void a_write_in_doubt_stays_in_doubt(void **state)
{
    struct world *w = *state;
    doubt(w, "a", w->now_ms + 10000);
    raise_floor(w, "b", 7);
    doubt(w, "b", w->now_ms + 10000);
    restart(w, 2, 4000);
    assert_false(keeps_load(w, "a", 9));
    assert_false(keeps_load(w, "b", 9));
    assert_int_equal(floor_of(w, "b"), 7);
    w->now_ms += 6000 - 1;
    assert_false(keeps_load(w, "a", 9));
    w->now_ms++;
    assert_true(keeps_load(w, "a", 9));
    assert_true(keeps_load(w, "b", 9));
}

static void what_was_lifted_stays_lifted_and_what_was_raised_since_stands(void **state)
{
    struct world *w = *state;
    static const unsigned shards[] = {2, 8, 1};
    char key[32];
    use(w, flights_of(w, 4, 100000));
    for (unsigned i = 0; i < 50; i++) {
        raise_floor(w, key_of(i), 100);
        snprintf(key, sizeof key, "a*{:%u", i);
        raise_floor(w, key, 100);
    }
    lift_match(w, "key:{id:int}", false);
    (void)flights_lift(w->flights, slice_str("a*{:0"), hash_of(w, "a*{:0"), w->now_ms);
    for (unsigned i = 0; i < 25; i++)
        raise_floor(w, key_of(i), 5);
    lift_match(w, "a\\*\\{:1{x:int}", false); /* those from 10 to 19 */
    lift_match(w, "key:*5", false);
    for (size_t n = 0; n < 3; n++) {
        restart(w, shards[n], 1000);
        for (unsigned i = 0; i < 50; i++) {
            int64_t floor = i >= 25 || i % 10 == 5 ? INT64_MIN : 5;
            if (floor_of(w, key_of(i)) != floor)
                fail_msg("key:%u after %zu: %lld", i, n, (long long)floor_of(w, key_of(i)));
            snprintf(key, sizeof key, "a*{:%u", i);
            floor = i == 0 || (i >= 10 && i < 20) ? INT64_MIN : 100;
            if (floor_of(w, key) != floor)
                fail_msg("%s after %zu: %lld", key, n, (long long)floor_of(w, key));
        }
    }
    /* Lifts go on from there. */
    raise_floor(w, "key:30", 6);
    assert_int_equal(floor_of(w, "key:30"), 6);
    lift_match(w, "key:*", false);
    assert_true(floor_of(w, "key:30") == INT64_MIN);
    assert_true(floor_of(w, "key:1") == INT64_MIN);
    assert_int_equal(floor_of(w, "a*{:1"), 100);
}

/* A shard that had no floor then knows nothing of the lift; its later floors are not older. */
static void a_floor_of_a_shard_that_did_not_need_a_lift_is_not_lifted(void **state)
{
    struct world *w = *state;
    use(w, flights_of(w, 64, 100000));
    raise_floor(w, "a:1", 100);
    lift_match(w, "*", false);
    for (unsigned i = 0; i < 200; i++)
        raise_floor(w, key_of(i), 7);
    restart(w, 2, 0);
    assert_true(floor_of(w, "a:1") == INT64_MIN);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(floor_of(w, key_of(i)), 7);
}

static void a_lift_of_all_between_two_pieces_is_among_them(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf out;
    size_t count, pieces = 0;
    buf_init(&out, 0);
    use(w, flights_of(w, 1, 100000));
    for (unsigned i = 0; i < 1000; i++)
        raise_floor(w, key_of(i), 100);
    for (; !cursor.done; pieces++) {
        if (pieces == 3) {
            lift_match(w, "*", true);
            raise_floor(w, "key:1", 5);
        }
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 100, &out, &count), 0);
    }
    assert_in_range(pieces, 9, 12);
    struct flights *next = flights_of(w, 2, 100000);
    assert_int_equal(flight_keep_in(next, buf_slice(&out), 0, w->now_ms, &count, NULL), 0);
    use(w, next);
    for (unsigned i = 2; i < 1000; i++)
        assert_true(floor_of(w, key_of(i)) == INT64_MIN);
    raise_floor(w, "key:2", 4);
    assert_int_equal(floor_of(w, "key:2"), 4);
    buf_fini(&out);
}

static bool reads_primary(struct world *w, const char *key)
{
    struct join_result r;
    bool primary, stored;
    struct outcome o = found_version(1);
    struct join_request q = request_for(w, key, NULL);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    end_with(w, r.flight, &o, &stored);
    return primary;
}

static void floors_that_were_missing_are_missing_still(void **state)
{
    struct world *w = *state;
    use(w, flights_of(w, 4, 100));
    flights_lose_floors(w->flights, w->now_ms + 10000);
    restart(w, 2, 4000);
    assert_true(reads_primary(w, "a"));
    w->now_ms += 5999;
    assert_true(reads_primary(w, "b"));
    w->now_ms++;
    assert_false(reads_primary(w, "c"));
}

static void where_there_are_too_many_it_is_as_if_they_had_been_dropped(void **state)
{
    struct world *w = *state;
    struct buf out;
    size_t count;
    buf_init(&out, 0);
    use(w, flights_of(w, 4, 10000));
    for (unsigned i = 0; i < 1000; i++)
        raise_floor(w, key_of(i), 100);
    keep_all(w, 100, &out);
    use(w, flights_of(w, 1, 10));
    assert_int_equal(flight_keep_in(w->flights, buf_slice(&out), 1000, w->now_ms, &count, NULL), 0);
    assert_true(reads_primary(w, "a"));
    w->now_ms += TTL - 1000 - 1;
    assert_true(reads_primary(w, "b"));
    w->now_ms++;
    assert_false(reads_primary(w, "c"));
    buf_fini(&out);
}

static void a_piece_is_bounded_and_none_is_left_out_while_others_come(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf out;
    size_t count, pieces = 0;
    unsigned next = 1000;
    buf_init(&out, 0);
    use(w, flights_of(w, 2, 100000));
    for (unsigned i = 0; i < 1000; i++)
        raise_floor(w, key_of(i), i);
    for (; !cursor.done; pieces++) {
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 50, &out, &count), 0);
        assert_in_range(count, 0, 50 + 60); /* and the rest of a list or two */
        for (int i = 0; i < 60; i++)
            raise_floor(w, key_of(next++), 5);
    }
    assert_true(pieces > 20);
    struct flights *after = flights_of(w, 4, 100000);
    assert_int_equal(flight_keep_in(after, buf_slice(&out), 0, w->now_ms, &count, NULL), 0);
    use(w, after);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(floor_of(w, key_of(i)), i);
    buf_fini(&out);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(floors_come_back_into_any_number_of_shards),
        CASE(they_end_when_they_would_have_the_time_between_included),
        CASE(what_is_known_already_stays_where_it_is_higher),
        CASE(a_row_that_is_gone_stays_gone),
        CASE(a_write_in_doubt_stays_in_doubt),
        CASE(what_was_lifted_stays_lifted_and_what_was_raised_since_stands),
        CASE(a_floor_of_a_shard_that_did_not_need_a_lift_is_not_lifted),
        CASE(a_lift_of_all_between_two_pieces_is_among_them),
        CASE(floors_that_were_missing_are_missing_still),
        CASE(where_there_are_too_many_it_is_as_if_they_had_been_dropped),
        CASE(a_piece_is_bounded_and_none_is_left_out_while_others_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
