/* Flights on a virtual clock, with the real store: joining, ends, backoff, and who may store what.
 */
#include "flight_world.h"

#include "load/flight_priv.h"

static void one_flight_per_key_and_all_waiters_are_woken(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0}, c = {0};
    struct join_result r;
    bool stored;
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_STARTED);
    struct flight *f = r.flight;
    assert_int_equal(join_as(w, "k", &b, &r), JOIN_PARKED);
    assert_int_equal(join_as(w, "other", &c, &r), JOIN_STARTED);
    struct outcome o = found(value_a);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_int_equal(end_with(w, f, &o, &stored), 2);
    assert_true(stored);
    assert_null(a.flight);
    assert_int_equal(lookup(w, "k"), LOOKUP_FRESH);
}

static void the_store_is_looked_at_again_under_the_lock(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r;
    bool stored;
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_STARTED);
    struct outcome o = found(value_a);
    end_with(w, r.flight, &o, &stored);
    assert_int_equal(join_as(w, "k", &b, &r), JOIN_HIT);
    assert_int_equal(r.lookup, LOOKUP_FRESH);
}

static void a_flight_knows_that_nothing_was_stored(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r;
    bool stored;
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_STARTED);
    assert_true(r.flight->asked.nothing);
    struct outcome o = found(value_a);
    o.ttl_ms = 10;
    o.stale_ttl_ms = 10000;
    end_with(w, r.flight, &o, &stored);
    w->now_ms += 20;
    assert_int_equal(join_as(w, "k", &b, &r), JOIN_STARTED);
    assert_false(r.flight->asked.nothing); /* a stale value */
    end_with(w, r.flight, &o, &stored);
    assert_int_equal(join_as(w, "unread", NULL, &r), JOIN_STARTED);
    assert_false(r.flight->asked.nothing); /* nobody looked */
    end_with(w, r.flight, &o, &stored);
}

static void waiters_on_one_flight_are_bounded(void **state)
{
    struct world *w = *state;
    struct waiter waiters[4] = {0};
    struct join_result r;
    bool stored;
    assert_int_equal(join_as(w, "k", &waiters[0], &r), JOIN_STARTED);
    struct flight *f = r.flight;
    assert_int_equal(join_as(w, "k", &waiters[1], &r), JOIN_PARKED);
    assert_int_equal(join_as(w, "k", &waiters[2], &r), JOIN_PARKED);
    assert_int_equal(join_as(w, "k", &waiters[3], &r), JOIN_FULL);
    assert_true(flights_leave(w->flights, &waiters[1]));
    assert_int_equal(join_as(w, "k", &waiters[3], &r), JOIN_PARKED);
    struct outcome o = found(value_a);
    assert_int_equal(end_with(w, f, &o, &stored), 3);
}

static void a_waiter_that_leaves_takes_only_itself_away(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r;
    bool stored;
    join_as(w, "k", &a, &r);
    struct flight *f = r.flight;
    join_as(w, "k", &b, &r);
    assert_true(flights_leave(w->flights, &a));
    assert_false(flights_leave(w->flights, &a));
    struct outcome o = found(value_a);
    assert_int_equal(end_with(w, f, &o, &stored), 1);
    assert_true(stored);
    assert_false(flights_leave(w->flights, &b));
}

static void a_load_nobody_waits_for_is_not_begun(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    join_as(w, "k", &a, &r);
    flights_leave(w->flights, &a);
    assert_false(begin(w, r.flight, 1, NULL));
    flight_unref(r.flight);
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    assert_true(begin(w, r.flight, 1, NULL));
    struct outcome o = found(value_a);
    bool stored;
    assert_int_equal(end_with(w, r.flight, &o, &stored), 0);
    assert_true(stored);
}

static void race_01_a_load_in_flight_is_not_stored_after_an_invalidation(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    join_as(w, "k", &a, &r);
    begin(w, r.flight, 1, NULL);
    invalidate(w, "k", NULL);
    struct outcome o = found(value_a);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_false(stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void race_02_a_get_after_the_invalidation_starts_a_load_of_its_own(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r;
    bool stored;
    join_as(w, "k", &a, &r);
    struct flight *old = r.flight;
    invalidate(w, "k", NULL);
    assert_int_equal(join_as(w, "k", &b, &r), JOIN_STARTED);
    struct outcome late = found(value_a), fresh = found(value_b);
    assert_int_equal(end_with(w, r.flight, &fresh, &stored), 1);
    assert_true(stored);
    assert_int_equal(end_with(w, old, &late, &stored), 1);
    assert_false(stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_FRESH);
}

static void race_12_a_refresh_does_not_overwrite_a_later_set(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct slice k = slice_str("k");
    join_as(w, "k", NULL, &r);
    struct put p = {
        .key = k, .hash = store_hash(w->store, k), .value = slice_of(value_b, 2), .ttl_ms = 1000};
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, NULL), 0);
    struct outcome o = found(value_a);
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
    struct hit hit;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(store_get(w->store, k, p.hash, w->now_ms, 0, &out, &hit), LOOKUP_FRESH);
    assert_memory_equal(out.data, value_b, 2);
    buf_fini(&out);
}

static void race_20_a_result_of_an_older_script_is_delivered_but_not_stored(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r;
    bool stored;
    join_as(w, "k", &a, &r);
    struct flight *old = r.flight;
    begin(w, old, 1, NULL);
    struct join_request q = request_for(w, "k", &b);
    struct buf room;
    buf_init(&room, 0);
    q.out = &room;
    q.generation = 2;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    buf_fini(&room);
    struct outcome o = found(value_a);
    o.generation = 2;
    assert_int_equal(end_with(w, old, &o, &stored), 1);
    assert_false(stored);
    begin(w, r.flight, 2, NULL);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_true(stored);
    /* The same where nobody has asked since the reload. */
    join_as(w, "alone", NULL, &r);
    begin(w, r.flight, 1, NULL);
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
}

static void a_failure_replaces_nothing_and_puts_the_key_into_backoff(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r;
    join_as(w, "k", &a, &r);
    fail_load(w, r.flight, "no route");
    enum join joined = join_as(w, "k", &b, &r);
    assert_int_equal(joined, JOIN_BACKOFF);
    assert_int_equal(r.err.code, ERR_BACKEND_DOWN);
    assert_string_equal(r.err.text, "no route");
    assert_in_range(r.err.retry_after_ms, 1, 1001);
    w->now_ms += r.err.retry_after_ms;
    assert_int_equal(join_as(w, "k", &b, &r), JOIN_STARTED);
    fail_load(w, r.flight, "again");
}

static void backoff_grows_to_its_cap_and_ends_with_a_success(void **state)
{
    struct world *w = *state;
    struct join_result r;
    int64_t longest = 0;
    bool stored;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
        fail_load(w, r.flight, "down");
        assert_int_equal(join_as(w, "k", NULL, &r), JOIN_BACKOFF);
        longest = r.err.retry_after_ms > longest ? r.err.retry_after_ms : longest;
        w->now_ms += r.err.retry_after_ms;
    }
    assert_in_range(longest, 4001, 8001);
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    struct outcome o = found(value_a);
    end_with(w, r.flight, &o, &stored);
    struct flights_stats stats;
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.failed, 0);
    assert_int_equal(stats.loading, 0);
}

static void a_detached_load_that_fails_still_protects_the_source(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    join_as(w, "k", &a, &r);
    invalidate(w, "k", NULL);
    fail_load(w, r.flight, "down");
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_BACKOFF);
}

static void failed_keys_are_bounded_and_the_oldest_goes(void **state)
{
    (void)state;
    struct world *w = world_new(2); /* one shard: three are kept */
    struct join_result r;
    const char *keys[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(join_as(w, keys[i], NULL, &r), JOIN_STARTED);
        fail_load(w, r.flight, "down");
    }
    struct flights_stats stats;
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.failed, 3);
    assert_int_equal(stats.failed_dropped, 1);
    assert_int_equal(join_as(w, "d", NULL, &r), JOIN_BACKOFF);
    assert_int_equal(join_as(w, "a", NULL, &r), JOIN_STARTED);
    fail_load(w, r.flight, "down");
    world_free(w);
}

static void absent_replaces_what_was_stale_and_is_kept_for_negative_ttl(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    join_as(w, "k", NULL, &r);
    struct outcome o = found(value_a);
    o.ttl_ms = 10;
    o.stale_ttl_ms = 10000;
    end_with(w, r.flight, &o, &stored);
    w->now_ms += 20;
    assert_int_equal(lookup(w, "k"), LOOKUP_STALE);
    join_as(w, "k", NULL, &r);
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 100, .generation = 1};
    end_with(w, r.flight, &absent, &stored);
    assert_true(stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_NEGATIVE);
    w->now_ms += 200;
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void without_a_negative_ttl_absent_still_removes_the_old_value(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    join_as(w, "k", NULL, &r);
    struct outcome o = found(value_a);
    o.ttl_ms = 10;
    o.stale_ttl_ms = 10000;
    end_with(w, r.flight, &o, &stored);
    w->now_ms += 20;
    join_as(w, "k", NULL, &r);
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 0, .generation = 1};
    end_with(w, r.flight, &absent, &stored);
    assert_false(stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void a_refused_load_causes_no_backoff(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    struct err err;
    join_as(w, "k", &a, &r);
    err_set(&err, ERR_OVERLOADED, "full");
    struct outcome o = {.end = END_REFUSED, .err = &err};
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_STARTED);
    end_with(w, r.flight, &o, &stored);
}

/* The load was made: it is stored, and who asks next has it. */
static void without_room_for_a_result_its_waiters_are_refused_and_it_is_stored(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    struct verdict v;
    struct err e;
    w->room = 2; /* the value takes two, and its head */
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_STARTED);
    struct flight *f = r.flight;
    struct outcome o = found(value_a);
    size_t before = entry_outside_bytes();
    flights_end(w->flights, f, &o, w->now_ms, &v);
    assert_true(v.crowded);
    assert_true(v.stored);
    assert_int_equal(entry_outside_bytes(), before);
    assert_null(f->outcome.value);
    assert_int_equal(f->outcome.end, END_REFUSED);
    flight_error(f, &e);
    assert_int_equal(e.code, ERR_OVERLOADED);
    assert_string_equal(e.text, "k: it was loaded, but what clients wait for holds client_memory");
    assert_non_null(list_pop_front(&f->slots[0].waiters));
    flight_unref(f);
    flight_unref(f);
    assert_int_equal(join_as(w, "k", &a, &r), JOIN_HIT);

    w->room = 64;
    assert_int_equal(join_as(w, "other", &a, &r), JOIN_STARTED);
    f = r.flight;
    flights_end(w->flights, f, &o, w->now_ms, &v);
    assert_false(v.crowded);
    assert_int_equal(f->outcome.end, END_FOUND);
    assert_non_null(list_pop_front(&f->slots[0].waiters));
    flight_unref(f);
    flight_unref(f);
}

/* Nobody is refused where nobody waits. */
static void without_room_for_a_result_that_nobody_waits_for_nobody_is_refused(void **state)
{
    struct world *w = *state;
    struct join_result r;
    struct verdict v;
    w->room = 2;
    assert_int_equal(join_as(w, "k", NULL, &r), JOIN_STARTED);
    struct outcome o = found(value_a);
    flights_end(w->flights, r.flight, &o, w->now_ms, &v);
    assert_false(v.crowded);
    assert_true(v.stored);
    flight_unref(r.flight);
}

/* Each has its own lock: keys are spread over all of them. */
static void flights_are_spread_over_the_shards(void **state)
{
    enum { SHARDS = 8, KEYS = 1000 };
    struct world *w = *state;
    struct flights *flights;
    unsigned of[SHARDS] = {0};
    struct flights_options fo = {.store = w->store,
                                 .marks = w->marks,
                                 .shards = SHARDS,
                                 .slots = 1,
                                 .failed_max = 100,
                                 .floors_max = 100,
                                 .seed = 7,
                                 .deliver = never,
                                 .admits = has_room,
                                 .budget = w};
    assert_int_equal(flights_new(&flights, &fo, NULL), 0);
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t hash = store_hash(w->store, slice_of((const char *)&i, sizeof i));
        ptrdiff_t at = flight_shard_of(flights, hash) - flights->shards;
        assert_in_range(at, 0, SHARDS - 1);
        of[at]++;
    }
    for (int i = 0; i < SHARDS; i++)
        assert_in_range(of[i], KEYS / SHARDS / 2, KEYS / SHARDS * 2);
    flights_free(flights);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(one_flight_per_key_and_all_waiters_are_woken),
        T(the_store_is_looked_at_again_under_the_lock),
        T(a_flight_knows_that_nothing_was_stored),
        T(waiters_on_one_flight_are_bounded),
        T(a_waiter_that_leaves_takes_only_itself_away),
        T(a_load_nobody_waits_for_is_not_begun),
        T(race_01_a_load_in_flight_is_not_stored_after_an_invalidation),
        T(race_02_a_get_after_the_invalidation_starts_a_load_of_its_own),
        T(race_12_a_refresh_does_not_overwrite_a_later_set),
        T(race_20_a_result_of_an_older_script_is_delivered_but_not_stored),
        T(a_failure_replaces_nothing_and_puts_the_key_into_backoff),
        T(backoff_grows_to_its_cap_and_ends_with_a_success),
        T(a_detached_load_that_fails_still_protects_the_source),
        T(failed_keys_are_bounded_and_the_oldest_goes),
        T(absent_replaces_what_was_stale_and_is_kept_for_negative_ttl),
        T(without_a_negative_ttl_absent_still_removes_the_old_value),
        T(a_refused_load_causes_no_backoff),
        T(without_room_for_a_result_its_waiters_are_refused_and_it_is_stored),
        T(without_room_for_a_result_that_nobody_waits_for_nobody_is_refused),
        T(flights_are_spread_over_the_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
