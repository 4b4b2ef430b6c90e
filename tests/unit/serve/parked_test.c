/* What becomes of a read that waits: its times, its flight's end, and its client's leaving. */
#include "ask_world.h"

/* A read of q, parked on a new flight, whose reference is returned. */
static struct flight *waiting(struct asking *a, struct parked *t, const struct ask *q, bool stale)
{
    assert_int_equal(join(a, t, q, stale), VERDICT_TIMER);
    struct flight *f = a->v.flight;
    a->v.flight = NULL;
    return f;
}

static enum verdict_kind time_is_over(struct asking *a, struct parked *t)
{
    parked_time(&a->by, t, a->w->now_ms, room(a), no_verdict(a));
    return a->v.kind;
}

/* The flight ends; its delivery is what is looked at. */
static enum verdict_kind delivered(struct asking *a, struct parked *t, const struct flight *f,
                                   bool here)
{
    parked_deliver(&a->by, t, f, a->w->now_ms, here, no_verdict(a));
    return a->v.kind;
}

/* A read of q, parked on a new flight for 50 ms at most: then the stale value, of version 7, would
 * do. The flight's reference is returned. */
static struct flight *waiting_beside_stale(struct asking *a, struct parked *t, struct ask *q)
{
    q->stale_wait_ms = 50;
    stored(a, "k", found_version(7));
    a->w->now_ms += PAST_TTL;
    return waiting(a, t, q, true);
}

static void stale_wait_ends_with_the_stale_value(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    struct flight *f = waiting_beside_stale(a, &t, &q);
    a->w->now_ms += 50;
    assert_int_equal(time_is_over(a, &t), VERDICT_VALUE);
    assert_int_equal(a->v.status, STATUS_STALE);
    value_is(a, value_a);
    assert_int_equal(f->waiter_count, 0); /* it has left */
    flight_ends(a, f, found(value_b));
}

static void stale_wait_goes_on_to_the_deadline_where_the_value_is_gone(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    struct flight *f = waiting_beside_stale(a, &t, &q);
    a->w->now_ms += PAST_STALE;
    t.deadline_ms = a->w->now_ms + 321;
    assert_int_equal(time_is_over(a, &t), VERDICT_TIMER);
    assert_int_equal(a->v.wait_ms, 321);
    assert_int_equal(t.timer, PARKED_HARD);
    assert_int_equal(f->waiter_count, 1);
    flight_ends(a, f, found(value_b));
}

static void stale_wait_does_not_end_with_less_than_min_version(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_min(a, "k", 8);
    struct parked t;
    struct flight *f = waiting_beside_stale(a, &t, &q);
    assert_int_equal(time_is_over(a, &t), VERDICT_TIMER);
    flight_ends(a, f, found_version(8));
}

static void the_deadline_ends_with_timeout_or_what_is_kept(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    uint64_t timeouts = metrics_sum(M_TIMEOUTS);
    q.timeout_ms = 70;
    struct flight *f = waiting(a, &t, &q, false);
    a->w->now_ms += 70;
    assert_int_equal(time_is_over(a, &t), VERDICT_FAILED);
    assert_int_equal(a->v.err.code, ERR_TIMEOUT);
    assert_string_equal(a->v.err.text, "k: no answer within 70 ms");
    assert_int_equal(metrics_sum(M_TIMEOUTS), timeouts + 1);
    assert_int_equal(f->waiter_count, 0);
    flight_ends(a, f, found(value_b));
}

static void a_time_that_ends_while_the_delivery_is_under_way_changes_nothing(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked hard, soft;
    uint64_t timeouts = metrics_sum(M_TIMEOUTS);
    struct flight *f = waiting(a, &hard, &q, false);
    flight_ends(a, f, found(value_a));
    assert_int_equal(time_is_over(a, &hard), VERDICT_DUE);
    assert_int_equal(metrics_sum(M_TIMEOUTS), timeouts);
    q.strict = true; /* else it would find the value */
    f = waiting(a, &soft, &q, true);
    flight_ends(a, f, found(value_b));
    assert_int_equal(time_is_over(a, &soft), VERDICT_DUE);
    assert_false(parked_leave(&a->by, &soft));
}

/* A flight's end as its load brought it, held for the test. */
static struct flight *ended(struct asking *a, struct parked *t, const struct ask *q,
                            struct outcome o)
{
    struct flight *f = waiting(a, t, q, false);
    flight_ref(f);
    flight_ends(a, f, o);
    return f;
}

static void an_outcome_is_the_answer_unless_it_is_below_min_version(void **state)
{
    struct asking *a = *state;
    struct outcome gone = absent(), gone_at = absent(), of_replica = absent();
    gone_at.has_version = true;
    gone_at.version = 7;
    of_replica.replica = true;
    const struct {
        const char *key;
        struct outcome o;
        bool has_min;
        int64_t least;
        bool joined;
        enum verdict_kind kind;
    } cases[] = {
        {"1", found(value_a), false, 0, true, VERDICT_OUTCOME},
        {"2", found_version(7), true, 7, true, VERDICT_OUTCOME},
        {"3", found_version(7), true, 8, false, VERDICT_TIMER},
        {"4", found(value_a), true, 0, false, VERDICT_TIMER},
        {"5", gone, false, 0, true, VERDICT_OUTCOME},
        {"6", gone, true, 7, false, VERDICT_OUTCOME}, /* it was asked for after the read came */
        {"7", gone, true, 7, true, VERDICT_TIMER},
        {"8", of_replica, true, 7, false, VERDICT_TIMER},
        {"9", of_replica, false, 0, false, VERDICT_OUTCOME},
        {"10", gone_at, true, 7, true, VERDICT_OUTCOME},
        {"11", gone_at, true, 8, false, VERDICT_TIMER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask q = ask_for(a, cases[i].key);
        struct parked t;
        q.has_min = cases[i].has_min;
        q.min_version = cases[i].least;
        struct flight *f = ended(a, &t, &q, cases[i].o);
        t.joined = cases[i].joined;
        assert_int_equal(delivered(a, &t, f, true), cases[i].kind);
        assert_int_equal(t.agains, cases[i].kind == VERDICT_TIMER);
        if (cases[i].kind == VERDICT_TIMER) {
            assert_int_equal(t.timer, PARKED_AGAIN);
            assert_int_equal(time_is_over(a, &t), VERDICT_REJOIN);
            assert_true(parked_leave(&a->by, &t));
        }
        assert_int_equal(delivered(a, &t, f, false), VERDICT_OUTCOME);
        flight_unref(f);
    }
}

static void a_failed_flight_fails_who_is_parked_on_it(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    struct err err;
    err_set(&err, ERR_BACKEND_DOWN, "the source is down");
    const enum flight_end ends[] = {END_FAILED, END_REFUSED};
    for (size_t i = 0; i < 2; i++) {
        struct flight *f = ended(a, &t, &q, (struct outcome){.end = ends[i], .err = &err});
        assert_int_equal(delivered(a, &t, f, true), VERDICT_FAILED);
        assert_int_equal(a->v.err.code, ERR_BACKEND_DOWN);
        flight_unref(f);
        a->w->now_ms += 1000000;
    }
}

static void who_came_after_an_invalidation_goes_on_to_the_next_flight(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    uint64_t rejoined = metrics_sum(M_REJOINED);
    struct flight *f = ended(a, &t, &q, found(value_a));
    f->outcome.overtaken = true;
    t.waiter.seq = f->token.since; /* it came before */
    assert_int_equal(delivered(a, &t, f, true), VERDICT_OUTCOME);
    t.waiter.seq = f->token.since + 1;
    assert_int_equal(delivered(a, &t, f, false), VERDICT_OUTCOME);
    assert_int_equal(metrics_sum(M_REJOINED), rejoined);
    assert_int_equal(delivered(a, &t, f, true), VERDICT_REJOIN);
    assert_int_equal(metrics_sum(M_REJOINED), rejoined + 1);
    flight_unref(f);
}

static void the_source_is_asked_again_a_little_later_each_time(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_min(a, "k", 8);
    struct parked t;
    const int64_t waits[] = {10, 20, 40, 80, 160, 320, 320, 320};
    q.timeout_ms = 2000;
    struct flight *f = ended(a, &t, &q, found_version(7));
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        assert_int_equal(delivered(a, &t, f, true), VERDICT_TIMER);
        assert_int_equal(a->v.wait_ms, waits[i]);
    }
    a->w->now_ms = t.deadline_ms - 320; /* the next would be at the deadline */
    assert_int_equal(delivered(a, &t, f, true), VERDICT_ERROR);
    assert_int_equal(a->v.err.code, ERR_STALE_SOURCE);
    assert_string_equal(a->v.err.text, "k: the source has no version of 8 or above within 2000 ms");
    flight_unref(f);
}

static enum verdict_kind rejoins(struct asking *a, struct parked *t)
{
    parked_rejoin(&a->by, t, &a->loader, a->w->now_ms, room(a), no_verdict(a));
    return a->v.kind;
}

static void a_parked_read_rejoins_with_what_is_left_of_its_time(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_min(a, "k", 8);
    struct parked t;
    q.timeout_ms = 2000;
    flight_unref(ended(a, &t, &q, found_version(7)));
    a->w->now_ms += 500;
    assert_int_equal(rejoins(a, &t), VERDICT_TIMER);
    assert_int_equal(a->v.wait_ms, 1500);
    assert_int_equal(t.timer, PARKED_HARD);
    assert_false(t.joined);
    assert_false(a->v.flight->asked.primary);
    assert_int_equal(a->v.flight->asked.wait_until_ms, t.deadline_ms);
    assert_true(parked_leave(&a->by, &t));
    drop_flight(a);
    t.agains = 1; /* the source lags */
    assert_int_equal(rejoins(a, &t), VERDICT_TIMER);
    assert_true(a->v.flight->asked.primary);
    flight_ends(a, a->v.flight, found_version(8));
    assert_int_equal(rejoins(a, &t), VERDICT_VALUE);
    assert_int_equal(a->v.status, STATUS_HIT);
    value_is(a, value_a);
}

static void a_parked_read_that_cannot_rejoin_fails(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t, others[3];
    flight_unref(ended(a, &t, &q, (struct outcome){.end = END_REFUSED}));
    a->loader.index = ROUTE_NONE; /* a reload */
    assert_int_equal(rejoins(a, &t), VERDICT_FAILED);
    assert_int_equal(a->v.err.code, ERR_NO_LOADER);
    assert_string_equal(a->v.err.text, "k: the source could not be asked again");
    a->loader.index = ROUTE_MISFIT;
    assert_int_equal(rejoins(a, &t), VERDICT_ABSENT);
    a->loader.index = 0;
    struct flight *f = waiting(a, &others[0], &q, false);
    for (int i = 1; i < 3; i++)
        assert_int_equal(join(a, &others[i], &q, false), VERDICT_TIMER);
    assert_int_equal(rejoins(a, &t), VERDICT_FAILED);
    assert_int_equal(a->v.err.code, ERR_OVERLOADED);
    fail_load(a->w, f, "the source is down");
    assert_int_equal(rejoins(a, &t), VERDICT_FAILED);
    assert_int_equal(a->v.err.code, ERR_BACKEND_DOWN);
}

static void who_leaves_is_taken_from_its_flight(void **state)
{
    struct asking *a = *state;
    struct ask q = ask_for(a, "k");
    struct parked t;
    struct flight *f = waiting(a, &t, &q, false);
    assert_true(parked_leave(&a->by, &t));
    assert_int_equal(f->waiter_count, 0);
    flight_ends(a, f, found(value_a));
}

#define T(f) cmocka_unit_test_setup_teardown(f, asking_setup, asking_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(stale_wait_ends_with_the_stale_value),
        T(stale_wait_goes_on_to_the_deadline_where_the_value_is_gone),
        T(stale_wait_does_not_end_with_less_than_min_version),
        T(the_deadline_ends_with_timeout_or_what_is_kept),
        T(a_time_that_ends_while_the_delivery_is_under_way_changes_nothing),
        T(an_outcome_is_the_answer_unless_it_is_below_min_version),
        T(a_failed_flight_fails_who_is_parked_on_it),
        T(who_came_after_an_invalidation_goes_on_to_the_next_flight),
        T(the_source_is_asked_again_a_little_later_each_time),
        T(a_parked_read_rejoins_with_what_is_left_of_its_time),
        T(a_parked_read_that_cannot_rejoin_fails),
        T(who_leaves_is_taken_from_its_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
