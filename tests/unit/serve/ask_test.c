/* What a read is answered with: what is stored x the loader's policy x what the client wants. */
#include "ask_world.h"

static uint64_t counted(enum metric_counter c)
{
    return metrics_sum(c);
}

static void what_is_fresh_is_the_answer(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    uint64_t hits = counted(M_HITS), absences = counted(M_HITS_NEGATIVE);
    stored(a, "k", found_version(7));
    assert_int_equal(ask(a, &q), VERDICT_VALUE);
    assert_int_equal(a->v.status, STATUS_HIT);
    assert_int_equal(a->v.hit.version, 7);
    value_is(a, value_a);
    struct ask none = ask_for(a, "none");
    stored(a, "none", absent());
    assert_int_equal(ask(a, &none), VERDICT_ABSENT);
    assert_int_equal(counted(M_HITS), hits + 1);
    assert_int_equal(counted(M_HITS_NEGATIVE), absences + 1);
}

static void what_is_below_min_version_counts_as_nothing(void **state)
{
    struct asking *a = *state;
    uint64_t hits = counted(M_HITS);
    stored(a, "k", found_version(7));
    stored(a, "plain", found(value_a));
    stored(a, "none", absent());
    const struct {
        const char *key;
        int64_t least;
        enum verdict_kind kind;
    } cases[] = {
        {"k", 6, VERDICT_VALUE},       {"k", 7, VERDICT_VALUE},   {"k", 8, VERDICT_WAIT},
        {"plain", -100, VERDICT_WAIT}, {"none", 0, VERDICT_WAIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask q = ask_min(a, cases[i].key, cases[i].least);
        assert_int_equal(ask(a, &q), cases[i].kind);
        assert_true(cases[i].kind != VERDICT_WAIT || !a->v.stale);
    }
    assert_int_equal(counted(M_HITS), hits + 2);
    a->w->now_ms += PAST_TTL;
    struct ask old = ask_min(a, "k", 8); /* nor is it waited for as what is stale */
    old.stale_wait_ms = 50;
    assert_int_equal(ask(a, &old), VERDICT_WAIT);
    assert_false(a->v.stale);
}

static void a_stale_value_is_the_answer_unless_the_client_waits_for_a_fresh_one(void **state)
{
    struct asking *a = *state;
    const struct {
        int64_t wanted, policy; /* stale_wait_ms */
        bool partial;
        int loader;
        enum verdict_kind kind;
        bool begins;
    } cases[] = {
        {-1, 0, false, 0, VERDICT_VALUE, true},  {0, 50, false, 0, VERDICT_VALUE, true},
        {-1, 50, false, 0, VERDICT_WAIT, false}, {50, 0, false, 0, VERDICT_WAIT, false},
        {50, 0, true, 0, VERDICT_VALUE, true},   {50, 0, false, ROUTE_NONE, VERDICT_VALUE, false},
    };
    stored(a, "k", found_version(7));
    a->w->now_ms += PAST_TTL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask q = ask_for(a, "k");
        uint64_t hits = counted(M_HITS_STALE);
        q.stale_wait_ms = cases[i].wanted;
        q.partial = cases[i].partial;
        a->policy.stale_wait_ms = cases[i].policy;
        a->loader.index = cases[i].loader;
        assert_int_equal(ask(a, &q), cases[i].kind);
        assert_int_equal(a->v.flight != NULL, cases[i].begins);
        if (cases[i].kind == VERDICT_WAIT) {
            assert_true(a->v.stale);
        } else {
            value_is(a, value_a);
            assert_int_equal(a->v.status, STATUS_STALE);
        }
        if (cases[i].begins) {
            assert_int_equal(a->v.flight->asked.reason, REASON_REFRESH);
            assert_true(a->v.flight->asked.replaces);
        }
        assert_int_equal(counted(M_HITS_STALE), hits + (cases[i].kind == VERDICT_VALUE));
        drop_flight(a);
    }
}

static void a_stale_value_of_a_source_that_fails_says_why(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    uint64_t hits = counted(M_HITS_STALE_ERROR);
    stored(a, "k", found(value_a));
    a->w->now_ms += PAST_TTL;
    failed(a, "k");
    assert_int_equal(ask(a, &q), VERDICT_VALUE);
    assert_int_equal(a->v.status, STATUS_STALE_ERROR);
    assert_non_null(strstr(a->v.err.text, "the source is down"));
    assert_null(a->v.flight);
    assert_int_equal(counted(M_HITS_STALE_ERROR), hits + 1);
}

static void a_key_without_a_value_waits_unless_there_is_nothing_to_wait_for(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    uint64_t misfits = counted(M_MISFITS), misses = counted(M_MISSES);
    assert_int_equal(ask(a, &q), VERDICT_WAIT);
    assert_false(a->v.stale);
    a->loader.index = ROUTE_NONE;
    assert_int_equal(ask(a, &q), VERDICT_ERROR);
    assert_int_equal(a->v.err.code, ERR_NO_LOADER);
    assert_string_equal(a->v.err.text, "k: no loader's pattern matches");
    a->loader.index = ROUTE_MISFIT - 3;
    assert_int_equal(ask(a, &q), VERDICT_ABSENT);
    assert_false(a->v.hit.has_version);
    assert_int_equal(counted(M_MISFITS), misfits + 1);
    a->loader.index = 0;
    q.partial = q.bulk = true;
    assert_int_equal(ask(a, &q), VERDICT_PENDING);
    assert_int_equal(a->v.flight->asked.reason, REASON_MISS);
    assert_false(a->v.flight->asked.replaces);
    assert_true(a->v.flight->asked.bulk);
    drop_flight(a);
    failed(a, "k");
    assert_int_equal(ask(a, &q), VERDICT_FAILED);
    assert_int_equal(a->v.err.code, ERR_BACKEND_DOWN);
    assert_int_equal(counted(M_MISSES), misses + 2);
    assert_int_equal(a->counters.misses, 2);
}

static void a_parked_read_waits_as_long_as_the_client_or_the_loader_says(void **state)
{
    struct asking *a = *state;
    const struct {
        int64_t timeout, stale_wait, policy_stale; /* -1: the loader's, of 5 s */
        bool stale;
        int64_t wait, deadline;
        enum parked_timer timer;
    } cases[] = {
        {-1, -1, 50, false, 5000, 5000, PARKED_HARD}, {70, -1, 50, false, 70, 70, PARKED_HARD},
        {-1, -1, 50, true, 50, 5000, PARKED_SOFT},    {-1, 20, 50, true, 20, 5000, PARKED_SOFT},
        {10, 20, 50, true, 10, 10, PARKED_SOFT},      {0, -1, 50, false, 0, 0, PARKED_HARD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask q = ask_for(a, "k");
        struct parked t;
        uint64_t misses = counted(M_MISSES);
        q.timeout_ms = cases[i].timeout;
        q.stale_wait_ms = cases[i].stale_wait;
        a->policy.stale_wait_ms = cases[i].policy_stale;
        assert_int_equal(join(a, &t, &q, cases[i].stale), VERDICT_TIMER);
        assert_int_equal(a->v.wait_ms, cases[i].wait);
        assert_int_equal(t.deadline_ms, a->w->now_ms + cases[i].deadline);
        assert_int_equal(t.timer, cases[i].timer);
        assert_int_equal(a->v.flight->asked.wait_until_ms, t.deadline_ms);
        assert_int_equal(counted(M_MISSES), misses + 1);
        assert_true(parked_leave(&a->by, &t));
        drop_flight(a);
    }
}

static void the_second_look_may_find_the_answer(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k"), none = ask_for(a, "none"), least = ask_min(a, "k", 8);
    struct parked t;
    uint64_t hits = counted(M_HITS);
    stored(a, "k", found_version(7));
    stored(a, "none", absent());
    assert_int_equal(join(a, &t, &q, false), VERDICT_VALUE);
    assert_int_equal(a->v.status, STATUS_HIT);
    value_is(a, value_a);
    assert_int_equal(join(a, &t, &none, false), VERDICT_ABSENT);
    assert_int_equal(counted(M_HITS), hits + 1);
    assert_int_equal(join(a, &t, &least, false), VERDICT_TIMER);
    assert_true(parked_leave(&a->by, &t));
    drop_flight(a);
    q.strict = true; /* a refresh does not look */
    assert_int_equal(join(a, &t, &q, false), VERDICT_TIMER);
    assert_int_equal(a->v.flight->asked.reason, REASON_REFRESH);
    assert_true(parked_leave(&a->by, &t));
    drop_flight(a);
}

static void who_joins_a_flight_is_one_of_max_waiters(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked first, second, third, fourth;
    uint64_t coalesced = counted(M_COALESCED), refused = counted(M_WAITERS_REFUSED);
    assert_int_equal(join(a, &first, &q, false), VERDICT_TIMER);
    struct flight *f = a->v.flight;
    assert_false(first.joined);
    assert_int_equal(join(a, &second, &q, false), VERDICT_TIMER);
    assert_null(a->v.flight);
    assert_true(second.joined);
    assert_int_equal(join(a, &third, &q, false), VERDICT_TIMER);
    assert_int_equal(join(a, &fourth, &q, false), VERDICT_ERROR);
    assert_int_equal(a->v.err.code, ERR_OVERLOADED);
    assert_string_equal(a->v.err.text, "k: its flight has max_waiters waiting");
    assert_int_equal(counted(M_COALESCED), coalesced + 2);
    assert_int_equal(counted(M_WAITERS_REFUSED), refused + 1);
    assert_int_equal(a->counters.coalesced, 2);
    assert_int_equal(a->counters.misses, 1);
    flight_ends(a, f, found(value_a));
}

static void the_first_to_wait_for_a_load_in_the_background_moves_it_up(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct join_result r;
    struct parked t;
    assert_int_equal(join_as(a->w, "k", NULL, &r), JOIN_STARTED);
    assert_int_equal(join(a, &t, &q, false), VERDICT_TIMER);
    assert_ptr_equal(a->v.flight, r.flight);
    assert_true(a->v.promote);
    flight_unref(a->v.flight);
    flight_ends(a, r.flight, found(value_a));
}

static void a_key_in_backoff_fails_at_once(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    uint64_t answers = counted(M_BACKOFF_ANSWERS);
    failed(a, "k");
    assert_int_equal(join(a, &t, &q, false), VERDICT_FAILED);
    assert_int_equal(a->v.err.code, ERR_BACKEND_DOWN);
    assert_true(a->v.err.retry_after_ms > 0);
    assert_int_equal(counted(M_BACKOFF_ANSWERS), answers + 1);
}

static bool kept(struct asking *a, const struct ask *q, int code)
{
    err_set(&a->v.err, code, "why");
    bool there = ask_kept(&a->by, q, a->w->now_ms, room(a), &a->v);
    assert_int_equal(a->v.kind, there ? VERDICT_VALUE : VERDICT_ERROR);
    assert_string_equal(a->v.err.text, "why");
    return there;
}

static void a_failure_is_answered_with_what_is_kept_for_it(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k"), strict = q;
    strict.strict = true;
    assert_false(kept(a, &q, ERR_TIMEOUT));
    stored(a, "k", found_version(7));
    struct ask least = ask_min(a, "k", 8), enough = ask_min(a, "k", 7);
    assert_true(kept(a, &q, ERR_TIMEOUT)); /* it has become fresh meanwhile */
    assert_int_equal(a->v.status, STATUS_HIT);
    const int64_t later[] = {PAST_TTL, PAST_STALE};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        a->w->now_ms += later[i];
        uint64_t hits = counted(M_HITS_STALE_ERROR);
        assert_true(kept(a, &q, ERR_TIMEOUT));
        assert_int_equal(a->v.status, STATUS_STALE_ERROR);
        value_is(a, value_a);
        assert_true(kept(a, &enough, ERR_LOAD_FAILED));
        assert_false(kept(a, &least, ERR_LOAD_FAILED));
        assert_false(kept(a, &strict, ERR_TIMEOUT));
        assert_false(kept(a, &q, ERR_NO_LOADER));
        assert_int_equal(counted(M_HITS_STALE_ERROR), hits + 2);
    }
    a->w->now_ms += 1000000;
    assert_false(kept(a, &q, ERR_TIMEOUT));
}

static enum verdict_kind refresh(struct asking *a, const struct ask *q, bool background)
{
    ask_refresh(&a->by, q, &a->loader, a->w->now_ms, background, no_verdict(a));
    return a->v.kind;
}

static void a_refresh_waits_for_a_load_or_begins_it(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    uint64_t misfits = counted(M_MISFITS);
    q.strict = true;
    stored(a, "k", found(value_a));
    assert_int_equal(refresh(a, &q, false), VERDICT_WAIT);
    assert_false(a->v.stale);
    assert_int_equal(refresh(a, &q, true), VERDICT_PENDING);
    assert_int_equal(a->v.flight->asked.reason, REASON_REFRESH);
    assert_false(a->v.flight->asked.replaces); /* who asked for it wants it stored in any case */
    drop_flight(a);
    failed(a, "k");
    assert_int_equal(refresh(a, &q, true), VERDICT_ERROR);
    assert_int_equal(a->v.err.code, ERR_BACKEND_DOWN);
    a->loader.index = ROUTE_NONE;
    assert_int_equal(refresh(a, &q, true), VERDICT_ERROR);
    assert_int_equal(a->v.err.code, ERR_NO_LOADER);
    a->loader.index = ROUTE_MISFIT;
    assert_int_equal(refresh(a, &q, true), VERDICT_PENDING);
    assert_null(a->v.flight);
    assert_int_equal(counted(M_MISFITS), misfits);
    assert_int_equal(refresh(a, &q, false), VERDICT_ABSENT);
    assert_int_equal(counted(M_MISFITS), misfits + 1);
}

static void a_fresh_value_may_be_loaded_early(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct hit hit = {.early = true, .ttl_ms = 1, .load_us = 1000000};
    assert_true(ask_is_early(&hit));
    a->policy.early_beta = 10;
    ask_early(&a->by, &q, &a->loader, a->w->now_ms, &hit, no_verdict(a));
    assert_int_equal(a->v.flight->asked.reason, REASON_EARLY);
    assert_true(a->v.flight->asked.replaces);
    drop_flight(a);
    a->policy.early_beta = 0;
    ask_early(&a->by, &q, &a->loader, a->w->now_ms, &hit, no_verdict(a));
    assert_null(a->v.flight);
    a->policy.early_beta = 10;
    a->loader.index = ROUTE_NONE;
    ask_early(&a->by, &q, &a->loader, a->w->now_ms, &hit, no_verdict(a));
    assert_null(a->v.flight);
    const struct hit not [] = {{.early = false, .ttl_ms = 1, .load_us = 1000000},
                               {.early = true, .ttl_ms = STORE_FOREVER_MS, .load_us = 1000000},
                               {.early = true, .ttl_ms = 1000000, .load_us = 1}};
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        assert_false(ask_is_early(&not [i]));
}

#define T(f) cmocka_unit_test_setup_teardown(f, asking_setup, asking_teardown)

/* Between its first look and its joining the load of another one has ended. */
static void what_has_come_meanwhile_is_the_answer(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "a"), nothing = ask_for(a, "b");
    struct parked t;
    struct outcome o = found_version(8);
    const uint64_t hits = metrics_sum(M_HITS), negatives = metrics_sum(M_HITS_NEGATIVE),
                   misses = metrics_sum(M_MISSES);
    assert_int_equal(ask(a, &q), VERDICT_WAIT);
    assert_false(a->v.stale);
    stored(a, "a", o);
    a->w->now_ms += 10;
    assert_int_equal(join(a, &t, &q, false), VERDICT_VALUE);
    assert_int_equal(a->v.status, STATUS_HIT);
    assert_true(a->v.hit.has_version);
    assert_int_equal(a->v.hit.version, 8);
    assert_int_equal(a->v.hit.age_ms, 10);
    assert_null(a->v.hit.entry);
    assert_null(a->v.flight);
    value_is(a, value_a);
    assert_int_equal(metrics_sum(M_HITS) - hits, 1);
    assert_int_equal(ask(a, &nothing), VERDICT_WAIT);
    stored(a, "b", absent());
    assert_int_equal(join(a, &t, &nothing, false), VERDICT_ABSENT);
    assert_int_equal(a->v.hit.age_ms, 0);
    assert_int_equal(metrics_sum(M_HITS_NEGATIVE) - negatives, 1);
    assert_int_equal(metrics_sum(M_MISSES) - misses, 0);
    assert_int_equal(a->counters.misses, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_fresh_is_the_answer),
        T(what_is_below_min_version_counts_as_nothing),
        T(a_stale_value_is_the_answer_unless_the_client_waits_for_a_fresh_one),
        T(a_stale_value_of_a_source_that_fails_says_why),
        T(a_key_without_a_value_waits_unless_there_is_nothing_to_wait_for),
        T(a_parked_read_waits_as_long_as_the_client_or_the_loader_says),
        T(the_second_look_may_find_the_answer),
        T(who_joins_a_flight_is_one_of_max_waiters),
        T(the_first_to_wait_for_a_load_in_the_background_moves_it_up),
        T(a_key_in_backoff_fails_at_once),
        T(a_failure_is_answered_with_what_is_kept_for_it),
        T(a_refresh_waits_for_a_load_or_begins_it),
        T(a_fresh_value_may_be_loaded_early),
        T(what_has_come_meanwhile_is_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
