/* Tags and patterns against loads in the air. (The judging of what is stored: store/marks_test.c,
 * store/globs_test.c.) */
#include "flight_world.h"

static uint32_t slot_of(struct world *w, const char *tag)
{
    return marks_slot(w->marks, slice_str(tag));
}

/* A waiter that asks now. */
static enum join ask(struct world *w, const char *key, struct waiter *waiter, struct join_result *r)
{
    waiter->seq = marks_now(w->marks);
    return join_as(w, key, waiter, r);
}

static bool may_have(const struct flight *f, const struct waiter *waiter)
{
    return !(f->outcome.overtaken && waiter->seq > f->token.since);
}

static void race_23_a_tag_is_invalidated_while_its_load_runs(void **state)
{
    struct world *w = *state;
    struct waiter before = {0}, after = {0};
    struct join_result r;
    bool stored;
    uint32_t slot = slot_of(w, "team:7");
    ask(w, "k", &before, &r);
    struct flight *f = r.flight;
    begin(w, f, 1, NULL);
    marks_tag(w->marks, slice_str("team:7"), false);
    assert_int_equal(ask(w, "k", &after, &r), JOIN_PARKED);
    struct outcome o = found(value_a);
    o.tags = &slot;
    o.tag_count = 1;
    flight_ref(f);
    end_with(w, f, &o, &stored);
    assert_false(stored);
    assert_true(f->outcome.overtaken);
    assert_true(may_have(f, &before)); /* it asked before the invalidation */
    assert_false(may_have(f, &after));
    flight_unref(f);
    /* Who has to ask again starts a load that is judged by its own start. */
    assert_int_equal(join_as(w, "k", &after, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    f = r.flight;
    flight_ref(f);
    end_with(w, f, &o, &stored);
    assert_true(stored);
    assert_true(may_have(f, &after));
    flight_unref(f);
}

static void another_tag_leaves_a_load_alone(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    uint32_t slot = slot_of(w, "team:7");
    join_as(w, "k", NULL, &r);
    marks_tag(w->marks, slice_str("team:8"), false);
    struct outcome o = found(value_a);
    o.tags = &slot;
    o.tag_count = 1;
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void what_is_stored_with_a_tag_goes_with_it(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    uint32_t slots[2] = {slot_of(w, "a"), slot_of(w, "b")};
    join_as(w, "k", NULL, &r);
    struct outcome o = found(value_a);
    o.tags = slots;
    o.tag_count = 2;
    end_with(w, r.flight, &o, &stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_FRESH);
    marks_tag(w->marks, slice_str("b"), false);
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
}

static void an_absence_goes_with_its_tag(void **state)
{
    struct world *w = *state;
    uint32_t slot = slot_of(w, "team:7");
    struct outcome absent = {.end = END_ABSENT,
                             .store = true,
                             .ttl_ms = 1000,
                             .generation = 1,
                             .tags = &slot,
                             .tag_count = 1};
    for (int soft = 0; soft < 2; soft++) {
        struct join_result r;
        bool stored;
        join_as(w, "k", NULL, &r);
        end_with(w, r.flight, &absent, &stored);
        assert_true(stored);
        assert_int_equal(lookup(w, "k"), LOOKUP_NEGATIVE);
        marks_tag(w->marks, slice_str("team:7"), soft);
        assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
        join_as(w, "k", NULL, &r); /* and while its load runs */
        marks_tag(w->marks, slice_str("team:7"), soft);
        end_with(w, r.flight, &absent, &stored);
        assert_false(stored);
        assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    }
}

static void a_load_that_a_pattern_overtook_is_not_joined_and_not_stored(void **state)
{
    struct world *w = *state;
    struct waiter before = {0}, after = {0};
    struct join_result r, again;
    bool stored;
    ask(w, "user:1", &before, &r);
    assert_int_equal(match(w, "user:*", false), 0);
    assert_int_equal(ask(w, "user:1", &after, &again), JOIN_STARTED);
    struct outcome o = found(value_a);
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_false(stored);
    end_with(w, again.flight, &o, &stored);
    assert_true(stored);
}

static void a_pattern_takes_what_is_stored_and_negatives_too(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct outcome o = found(value_a);
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    join_as(w, "user:1", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    join_as(w, "user:2", NULL, &r);
    end_with(w, r.flight, &absent, &stored);
    join_as(w, "team:1", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    assert_int_equal(match(w, "user:*", false), 0);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
    assert_int_equal(lookup(w, "user:2"), LOOKUP_MISS);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_FRESH);
}

static void a_soft_pattern_leaves_the_result_of_a_load_stale(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct outcome o = found(value_a);
    o.stale_ttl_ms = 5000;
    join_as(w, "user:1", NULL, &r);
    assert_int_equal(match(w, "user:*", true), 0);
    end_with(w, r.flight, &o, &stored);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
}

static void an_expired_key_does_not_become_fresh_by_an_earlier_load(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct slice k = slice_str("k");
    struct outcome o = found(value_a);
    o.stale_ttl_ms = 5000;
    join_as(w, "k", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    struct join_request q = request_for(w, "k", NULL);
    q.reload = true;
    flights_join(w->flights, &q, &r);
    assert_true(flights_expire(w->flights, k, store_hash(w->store, k), w->now_ms));
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
    assert_int_equal(lookup(w, "k"), LOOKUP_STALE);
}

static void race_18_each_attempt_is_judged_by_its_own_start(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    uint32_t slot = slot_of(w, "t");
    ask(w, "k", &a, &r);
    begin(w, r.flight, 1, NULL);
    marks_tag(w->marks, slice_str("t"), false);
    assert_false(flights_again(w->flights, r.flight, w->now_ms)); /* the first attempt failed */
    struct outcome o = found(value_a);
    o.tags = &slot;
    o.tag_count = 1;
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void race_22_a_background_refresh_takes_the_same_path(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 2;
    struct outcome old = found_version(1);
    join_as(w, "k", NULL, &r); /* nobody waits: a refresh */
    invalidate(w, "k", NULL);
    end_with(w, r.flight, &old, &stored);
    assert_false(stored);
    join_as(w, "k", NULL, &r);
    invalidate(w, "k", &v);
    assert_int_equal(end_with(w, r.flight, &old, &stored), BELOW);
    old.version = 2;
    end_with(w, r.flight, &old, &stored);
    assert_false(stored);
    join_as(w, "k", NULL, &r);
    assert_int_equal(match(w, "*", false), 0);
    end_with(w, r.flight, &old, &stored);
    assert_false(stored);
}

static void race_24_a_failed_refetch_leaves_the_invalidation_in_force(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 2;
    struct outcome o = found_version(1);
    o.keep_ms = 60000;
    join_as(w, "k", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
    invalidate(w, "k", &v);
    join_as(w, "k", NULL, &r);
    fail_load(w, r.flight, "down");
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS); /* not the old value, for all stale_if_error */
    w->now_ms += 10000;
    join_as(w, "k", NULL, &r);
    assert_int_equal(end_with(w, r.flight, &o, &stored), BELOW);
    o.version = 2;
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void race_24_a_plain_invalidation_drops_what_a_failed_refetch_would_have_kept(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct outcome o = found(value_a);
    o.keep_ms = 60000;
    join_as(w, "k", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
    assert_true(invalidate(w, "k", NULL));
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    join_as(w, "k", NULL, &r);
    fail_load(w, r.flight, "down");
    assert_int_equal(lookup(w, "k"), LOOKUP_MISS);
    assert_false(invalidate(w, "k", NULL));
}

static void more_patterns_than_are_remembered_void_what_began_before_them(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    join_as(w, "user:1", NULL, &r);
    for (int i = 0; i <= MARKS_GLOBS; i++) {
        (void)match(w, "other:*", false);
        store_sweep(w->store, w->now_ms, 1000);
    }
    struct outcome o = found(value_a);
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(race_23_a_tag_is_invalidated_while_its_load_runs),
        T(another_tag_leaves_a_load_alone),
        T(what_is_stored_with_a_tag_goes_with_it),
        T(an_absence_goes_with_its_tag),
        T(a_load_that_a_pattern_overtook_is_not_joined_and_not_stored),
        T(a_pattern_takes_what_is_stored_and_negatives_too),
        T(a_soft_pattern_leaves_the_result_of_a_load_stale),
        T(an_expired_key_does_not_become_fresh_by_an_earlier_load),
        T(race_18_each_attempt_is_judged_by_its_own_start),
        T(race_22_a_background_refresh_takes_the_same_path),
        T(race_24_a_failed_refetch_leaves_the_invalidation_in_force),
        T(race_24_a_plain_invalidation_drops_what_a_failed_refetch_would_have_kept),
        T(more_patterns_than_are_remembered_void_what_began_before_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
