/* Floors that are not known after a start, that are lost, and that are lifted. */
#include "flight_world.h"

static const int64_t high = 100;

static uint64_t hash_of(struct world *w, const char *key)
{
    return store_hash(w->store, slice_str(key));
}

static bool lift(struct world *w, const char *key)
{
    return flights_lift(w->flights, slice_str(key), hash_of(w, key), w->now_ms);
}

static void lift_match(struct world *w, const char *pattern, bool all)
{
    struct glob g;
    char room[GLOB_MAX];
    glob_compile(&g, slice_str(pattern), room);
    assert_int_equal(flights_lift_match(w->flights, &g, all, w->now_ms, NULL), 0);
}

/* A load of its own, from begin to end; what end_with says. */
static int load(struct world *w, const char *key, int64_t version, bool replica, bool *stored)
{
    struct join_result r;
    struct outcome o = found_version(version);
    o.replica = replica;
    assert_int_equal(join_as(w, key, NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    int rc = end_with(w, r.flight, &o, stored);
    if (rc == BELOW) {
        struct err err;
        err_set(&err, ERR_STALE_SOURCE, "below");
        struct outcome failed = {.end = END_FAILED, .err = &err, .backoff_base_ms = 1000};
        end_with(w, r.flight, &failed, stored);
    }
    return rc;
}

static bool reads_primary(struct world *w, const char *key)
{
    struct join_result r;
    struct begun begun;
    bool stored;
    struct outcome o = found_version(1);
    const struct beginning b = {.generation = 1, .now_ms = w->now_ms};
    struct join_request q = request_for(w, key, NULL);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    flights_begin(w->flights, r.flight, &b, &begun);
    end_with(w, r.flight, &o, &stored);
    return begun.primary;
}

static void race_34_after_a_start_loads_read_the_primary_for_floor_ttl(void **state)
{
    struct world *w = *state;
    struct flights_options fo = {
        .store = w->store,
        .marks = w->marks,
        .shards = 4,
        .slots = 2,
        .failed_max = 100,
        .floors_max = 100,
        .lossy_until_ms = w->now_ms + 60000,
        .deliver = never,
    };
    struct flights_stats stats;
    flights_free(w->flights);
    assert_int_equal(flights_new(&w->flights, &fo, NULL), 0);
    assert_true(reads_primary(w, "a"));
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.lossy_until_ms, w->now_ms + 60000);
    w->now_ms += 59999;
    assert_true(reads_primary(w, "b"));
    w->now_ms++;
    assert_false(reads_primary(w, "c"));
}

static void race_34_lost_floors_void_what_a_replica_has_answered_already(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct outcome o = found_version(2);
    o.replica = true;
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    flights_lose_floors(w->flights, w->now_ms + 1000);
    assert_int_equal(end_with(w, r.flight, &o, &stored), BELOW);
    assert_true(flights_again(w->flights, r.flight, w->now_ms));
    o.replica = false;
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void a_lifted_key_takes_a_lower_version_at_once(void **state)
{
    struct world *w = *state;
    bool stored;
    invalidate(w, "k", &high);
    invalidate(w, "other", &high);
    assert_int_equal(load(w, "k", 1, false, &stored), BELOW);
    assert_true(lift(w, "k")); /* its backoff goes with it */
    load(w, "k", 1, false, &stored);
    assert_true(stored);
    assert_int_equal(load(w, "other", 1, false, &stored), BELOW);
    assert_false(lift(w, "nobody"));
}

static void what_is_stored_goes_with_its_floor(void **state)
{
    struct world *w = *state;
    bool stored;
    load(w, "k", 100, false, &stored);
    assert_true(stored);
    lift(w, "k");
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    load(w, "k", 100, false, &stored);
    lift_match(w, "k*", false);
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    load(w, "k", 1, false, &stored);
    assert_true(stored);
}

static void a_pattern_lifts_its_keys_and_their_backoff(void **state)
{
    struct world *w = *state;
    bool stored;
    invalidate(w, "user:1", &high);
    invalidate(w, "team:1", &high);
    assert_int_equal(load(w, "user:1", 1, false, &stored), BELOW);
    lift_match(w, "user:*", false);
    load(w, "user:1", 1, false, &stored);
    assert_true(stored);
    assert_int_equal(load(w, "team:1", 1, false, &stored), BELOW);
    lift_match(w, "*", true);
    load(w, "team:1", 1, false, &stored);
    assert_true(stored);
}

static void a_load_in_the_air_is_not_stored_by_whatever_lift(void **state)
{
    struct world *w = *state;
    for (int how = 0; how < 3; how++) {
        struct join_result r;
        bool stored;
        struct outcome old = found_version(100);
        assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
        begin(w, r.flight, 1, NULL);
        if (how == 0)
            lift(w, "k");
        else
            lift_match(w, how == 1 ? "k" : "*", how == 2);
        end_with(w, r.flight, &old, &stored);
        assert_false(stored);
        assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    }
}

static void a_write_in_the_air_is_not_stored_by_whatever_lift(void **state)
{
    struct world *w = *state;
    for (int how = 0; how < 3; how++) {
        struct put p = {.key = slice_str("k"),
                        .hash = hash_of(w, "k"),
                        .value = slice_of(value_a, 2),
                        .has_version = true,
                        .version = 100 + how,
                        .ttl_ms = 1000,
                        .since = marks_now(w->marks)};
        struct written written = {.put = &p, .now_ms = w->now_ms, .floor_ttl_ms = 60000};
        bool stored;
        flights_write_begins(w->flights, p.hash, w->now_ms, &written.token);
        if (how == 0)
            lift(w, "k");
        else
            lift_match(w, how == 1 ? "k" : "*", how == 2);
        assert_int_equal(flights_write(w->flights, &written, &stored), 0);
        assert_false(stored);
    }
}

static void lifting_all_ends_the_reads_of_the_primary(void **state)
{
    struct world *w = *state;
    flights_lose_floors(w->flights, w->now_ms + 1000);
    assert_true(reads_primary(w, "k"));
    lift_match(w, "k", false);
    assert_true(reads_primary(w, "k"));
    lift_match(w, "*", true);
    assert_false(reads_primary(w, "k"));
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(race_34_after_a_start_loads_read_the_primary_for_floor_ttl),
        T(race_34_lost_floors_void_what_a_replica_has_answered_already),
        T(a_lifted_key_takes_a_lower_version_at_once),
        T(what_is_stored_goes_with_its_floor),
        T(a_pattern_lifts_its_keys_and_their_backoff),
        T(a_load_in_the_air_is_not_stored_by_whatever_lift),
        T(a_write_in_the_air_is_not_stored_by_whatever_lift),
        T(lifting_all_ends_the_reads_of_the_primary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
