/* What came back from before a restart and is not proven: loads are shown it, and nobody else. */
#include "flight_world.h"

#include "store/record.h"

static const struct restore candidate = {.as = RESTORED_CANDIDATE};

static void restore_candidate(struct world *w, const char *key, int64_t version)
{
    struct record r = {
        .key = slice_str(key),
        .value = slice_of(value_a, 2),
        .has_version = version >= 0,
        .version = version,
        .fresh_left_ms = 1000,
        .keep_ms = 9000,
    };
    bool stored;
    assert_int_equal(store_restore(w->store, &r, &candidate, w->now_ms, &stored, NULL), 0);
    assert_true(stored);
}

static enum lookup for_load(struct world *w, const char *key, struct hit *hit)
{
    struct slice k = slice_str(key);
    return store_get(w->store, k, store_hash(w->store, k), w->now_ms,
                     WANT_PEEK | WANT_STALE | WANT_KEPT | WANT_CANDIDATE, NULL, hit);
}

static bool is_candidate(struct world *w, const char *key)
{
    struct hit hit;
    enum lookup found = for_load(w, key, &hit);
    entry_unref(hit.entry);
    return found == LOOKUP_CANDIDATE;
}

static void its_load_is_told_that_there_is_one_and_who_waits_is_given_nothing(void **state)
{
    struct world *w = *state;
    struct waiter waiter = {.flight = NULL};
    struct join_result r;
    bool stored;
    struct outcome o = found_version(7);
    restore_candidate(w, "a", 7);
    assert_int_equal(join_as(w, "a", &waiter, &r), JOIN_STARTED);
    assert_false(r.flight->asked.nothing);
    assert_null(r.hit.entry);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_true(stored);
    assert_int_equal(join_as(w, "b", &waiter, &r), JOIN_STARTED);
    assert_true(r.flight->asked.nothing);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
}

static void unchanged_makes_it_fresh_again(void **state)
{
    struct world *w = *state;
    struct waiter waiter = {.flight = NULL};
    struct join_result r;
    struct hit hit;
    struct outcome o = found_version(7);
    bool stored;
    restore_candidate(w, "a", 7);
    assert_int_equal(join_as(w, "a", &waiter, &r), JOIN_STARTED);
    assert_int_equal(for_load(w, "a", &hit), LOOKUP_CANDIDATE);
    o.unchanged = hit.entry;
    o.value = entry_value(hit.entry);
    flight_ref(r.flight);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_true(stored);
    assert_ptr_equal(r.flight->outcome.value, hit.entry);
    flight_unref(r.flight);
    entry_unref(hit.entry);
    assert_int_equal(lookup(w, "a"), LOOKUP_FRESH);
    w->now_ms += 1000;
    assert_int_equal(lookup(w, "a"), LOOKUP_MISS); /* the load's own times */
}

static void its_version_does_not_count(void **state)
{
    struct world *w = *state;
    struct join_result r;
    struct outcome o = found_version(5);
    bool stored;
    restore_candidate(w, "a", 7);
    assert_int_equal(join_as(w, "a", NULL, &r), JOIN_STARTED);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
    restore_candidate(w, "b", 7);
    struct put p = {.key = slice_str("b"),
                    .hash = store_hash(w->store, slice_str("b")),
                    .value = slice_of(value_b, 2),
                    .has_version = true,
                    .version = 5,
                    .ttl_ms = 1000};
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, NULL), 0);
    assert_int_equal(lookup(w, "b"), LOOKUP_FRESH);
    restore_candidate(w, "c", 7);
    p.key = slice_str("c");
    p.hash = store_hash(w->store, p.key);
    struct written written = {.put = &p, .now_ms = w->now_ms, .floor_ttl_ms = 60000};
    flights_write_begins(w->flights, p.hash, w->now_ms, &written.token);
    assert_int_equal(flights_write(w->flights, &written, &stored), 0);
    assert_true(stored);
    assert_int_equal(lookup(w, "c"), LOOKUP_FRESH);
}

static void a_refresh_that_nobody_waits_for_finds_nothing_to_replace(void **state)
{
    struct world *w = *state;
    struct join_result r = {0};
    struct join_request q = request_for(w, "a", NULL);
    struct verdict v;
    struct outcome o = found_version(7);
    q.replaces = true;
    restore_candidate(w, "a", 7);
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    flights_end(w->flights, r.flight, &o, w->now_ms, &v);
    flight_unref(r.flight);
    assert_true(v.wasted);
    assert_true(is_candidate(w, "a"));
}

static void what_invalidates_its_key_drops_it(void **state)
{
    struct world *w = *state;
    const int64_t low = 3;
    restore_candidate(w, "a", 7);
    assert_false(invalidate(w, "a", NULL));
    assert_false(is_candidate(w, "a"));
    restore_candidate(w, "b", 7);
    assert_false(invalidate(w, "b", &low));
    assert_false(is_candidate(w, "b"));
    restore_candidate(w, "c", 7);
    assert_int_equal(match(w, "c*", false), 0);
    assert_false(is_candidate(w, "c"));
    restore_candidate(w, "d", 7);
    assert_int_equal(match(w, "d*", true), 0);
    assert_true(is_candidate(w, "d")); /* its load looks whether it is right anyway */
    assert_int_equal(lookup(w, "d"), LOOKUP_MISS);
}

static void an_absence_takes_its_place_and_a_failure_does_not(void **state)
{
    struct world *w = *state;
    struct join_result r;
    struct outcome o = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    bool stored;
    restore_candidate(w, "a", 7);
    assert_int_equal(join_as(w, "a", NULL, &r), JOIN_STARTED);
    fail_load(w, r.flight, "down");
    assert_true(is_candidate(w, "a"));
    w->now_ms += 5000;
    assert_int_equal(join_as(w, "a", NULL, &r), JOIN_STARTED);
    end_with(w, r.flight, &o, &stored);
    assert_int_equal(lookup(w, "a"), LOOKUP_NEGATIVE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(its_load_is_told_that_there_is_one_and_who_waits_is_given_nothing),
        CASE(unchanged_makes_it_fresh_again),
        CASE(its_version_does_not_count),
        CASE(a_refresh_that_nobody_waits_for_finds_nothing_to_replace),
        CASE(what_invalidates_its_key_drops_it),
        CASE(an_absence_takes_its_place_and_a_failure_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
