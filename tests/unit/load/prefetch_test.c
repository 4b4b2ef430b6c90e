/* What is loaded ahead, what is not, and what becomes of it. */
#include "flight_world.h"

#include "load/early.h"
#include "load/prefetch.h"
#include "load/jitter.h"

#define DRAWS 100000

static const struct policy usual = {
    .refresh_ahead = .9,
    .prefetch_min_reads = 3,
    .prefetch_max_concurrent = 2,
    .prefetch_max_queue = 5,
};

static void what_was_read_enough_is_loaded_within_the_bound(void **state)
{
    (void)state;
    struct policy off = usual;
    assert_int_equal(prefetch_decide(&usual, 3, 0), PREFETCH_LOAD);
    assert_int_equal(prefetch_decide(&usual, 2, 0), PREFETCH_COLD);
    assert_int_equal(prefetch_decide(&usual, 255, 6), PREFETCH_LOAD);
    assert_int_equal(prefetch_decide(&usual, 255, 7), PREFETCH_FULL);
    assert_int_equal(prefetch_decide(&usual, 2, 7), PREFETCH_COLD);
    off.refresh_ahead = 0;
    assert_int_equal(prefetch_decide(&off, 255, 0), PREFETCH_OFF);
    off.refresh_ahead = 1;
    assert_int_equal(prefetch_decide(&off, 255, 0), PREFETCH_OFF);
}

/* A load takes 50 ms; the last of these is at `most`. */
static void first_times_fill_evenly(double share, int64_t least, int64_t most)
{
    struct rng rng = {.state = 4};
    unsigned parts[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        int64_t at = jitter_ahead_ms(100000, share, 0, 50000, &rng);
        assert_in_range(at, least, most);
        parts[(at - least) * 10 / (most - least + 1)]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(parts[i], DRAWS / 10 * 9 / 10, DRAWS / 10 * 11 / 10);
}

static void the_first_ahead_times_fill_half_a_ttl_evenly(void **state)
{
    (void)state;
    struct rng rng = {.state = 4};
    /* A tenth of the window and 2 * 50 ms are left. */
    first_times_fill_evenly(.9, 50000, 98899);
    first_times_fill_evenly(.5, 50000, 94899);
    first_times_fill_evenly(.2, 20000, 91899);
    assert_int_equal(jitter_ahead_ms(1000, .9, 0, 5000000, &rng), 500); /* no room for its load */
    assert_int_equal(jitter_ahead_ms(1000, 0, 0, 0, &rng), 0);
    assert_int_equal(jitter_ahead_ms(1000, 1, 0, 0, &rng), 0);
    assert_int_equal(jitter_ahead_ms(0, .5, 0, 0, &rng), 0);
    assert_int_equal(jitter_ahead_ms(-1, .5, 0, 0, &rng), 0);
}

static void the_next_ahead_time_is_half_way_to_the_window(void **state)
{
    (void)state;
    struct rng rng = {.state = 5};
    for (int i = 0; i < DRAWS; i++) {
        assert_in_range(jitter_ahead_ms(100000, .9, .5, 50000, &rng), 70000, 74450);
        assert_in_range(jitter_ahead_ms(100000, .9, .95, 50000, &rng), 92500, 96950);
        /* What is left for the load is left. */
        assert_in_range(jitter_ahead_ms(100000, .9, .9999, 50000, &rng), 94995, 98900);
        assert_in_range(jitter_ahead_ms(100000, .9, .9999, 4000000, &rng), 91000, 91000);
    }
    assert_int_equal(jitter_ahead_ms(1000, .9, .9, 5000000, &rng), 900);
}

#define HOT_KEYS 20000
#define ROUNDS   12
#define TTL_S    60

/* Keys that are stored in one moment, each loaded again at its ahead time: the loads of each
 * second. Returns the mean share of the ttl between the loads of a key in the last round. */
static double simulate(double share, double jitter, unsigned *seconds)
{
    struct rng rng = {.state = 6};
    double sum = 0, count = 0;
    for (int key = 0; key < HOT_KEYS; key++) {
        double last = 0;
        for (int64_t now = 0; now < ROUNDS * TTL_S * 1000;) {
            int64_t ttl = jitter_ms(TTL_S * 1000, jitter, &rng);
            int64_t ahead = jitter_ahead_ms(ttl, share, last, 5000, &rng);
            assert_in_range(ahead, ttl / 2, ttl - 1);
            last = (double)ahead / (double)ttl;
            now += ahead;
            if (now < ROUNDS * TTL_S * 1000)
                seconds[now / 1000]++;
            if (now >= (ROUNDS - 1) * TTL_S * 1000) {
                sum += last;
                count++;
            }
        }
    }
    return sum / count;
}

static void what_was_stored_together_is_loaded_evenly_after_one_ttl(void **state)
{
    (void)state;
    static const double rows[][2] = {{.9, 0}, {.9, .1}, {.7, 0}, {.5, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned seconds[ROUNDS * TTL_S] = {0}, most = 0, all = 0;
        double share = simulate(rows[i][0], rows[i][1], seconds);
        for (int s = TTL_S; s < ROUNDS * TTL_S; s++) {
            most = seconds[s] > most ? seconds[s] : most;
            all += seconds[s];
        }
        assert_true(most <= 1.5 * all / ((ROUNDS - 1) * TTL_S));
        /* And in its window by then, at no more loads than that asks for. */
        assert_true(share >= rows[i][0]);
    }
}

/* P(load time * beta * -ln(u) >= left) is exp(-left / (load time * beta)). */
static void the_early_rule_has_its_distribution(void **state)
{
    (void)state;
    static const struct {
        double beta;
        int64_t left_ms;
    } rows[] = {{1, 0}, {1, 10}, {1, 50}, {1, 100}, {2, 100}, {.5, 100}, {10, 3000}};
    struct rng rng = {.state = 11};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        int hits = 0;
        for (int i = 0; i < DRAWS; i++)
            hits += early_refreshes(50000, rows[k].beta, rows[k].left_ms, &rng);
        double expected = exp(-(double)rows[k].left_ms / (50 * rows[k].beta));
        double sigma = sqrt(expected * (1 - expected) / DRAWS);
        assert_true(fabs((double)hits / DRAWS - expected) <= 4 * sigma);
    }
    assert_false(early_refreshes(50000, 0, 0, &rng));
    assert_true(early_in_reach(50000, 18500));
    assert_false(early_in_reach(50000, 18501));
    assert_false(early_in_reach(0, 1));
}

/* ---- the flights of refreshes ---- */

static struct flight *refresh(struct world *w, const char *key, enum load_reason reason)
{
    struct join_result r = {0};
    struct join_request q = request_for(w, key, NULL);
    q.reason = reason;
    q.replaces = true;
    q.owner = 7;
    q.ahead = .75F;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    return r.flight;
}

static struct verdict end_at(struct world *w, struct flight *f, const struct outcome *o)
{
    struct verdict v;
    flights_end(w->flights, f, o, w->now_ms, &v);
    for (unsigned i = 0; i < 2; i++)
        if (!list_empty(&f->slots[i].waiters)) {
            while (list_pop_front(&f->slots[i].waiters))
                ;
            flight_unref(f);
        }
    flight_unref(f);
    return v;
}

static void store_value(struct world *w, const char *key)
{
    struct slice k = slice_str(key);
    struct put p = {
        .key = k, .hash = store_hash(w->store, k), .value = slice_of(value_a, 2), .ttl_ms = 1000};
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
}

static void a_refresh_of_what_is_gone_is_wasted(void **state)
{
    struct world *w = *state;
    struct outcome o = found(value_b);
    store_value(w, "kept");
    struct verdict v = end_at(w, refresh(w, "kept", REASON_PREFETCH), &o);
    assert_true(v.stored);
    assert_false(v.wasted);
    store_value(w, "gone");
    struct flight *f = refresh(w, "gone", REASON_EARLY);
    store_remove(w->store, flight_key(f), f->hash, w->now_ms);
    v = end_at(w, f, &o);
    assert_false(v.stored);
    assert_true(v.wasted);
    assert_int_equal(lookup(w, "gone"), LOOKUP_MISS);
    /* By its age likewise. */
    store_value(w, "old");
    f = refresh(w, "old", REASON_REFRESH);
    w->now_ms += 1000;
    assert_true(end_at(w, f, &o).wasted);
}

static void who_has_waited_wants_it_kept(void **state)
{
    struct world *w = *state;
    struct outcome o = found(value_b);
    struct waiter waiter = {0};
    struct join_result r;
    struct flight *f = refresh(w, "k", REASON_PREFETCH);
    assert_int_equal(join_as(w, "k", &waiter, &r), JOIN_PARKED);
    flight_unref(r.flight);                          /* the promotion's */
    assert_true(flights_leave(w->flights, &waiter)); /* even where it has left */
    struct verdict v = end_at(w, f, &o);
    assert_true(v.stored);
    assert_false(v.wasted);
}

static void a_failed_refresh_wastes_nothing(void **state)
{
    struct world *w = *state;
    store_value(w, "k");
    fail_load(w, refresh(w, "k", REASON_PREFETCH), "down");
    assert_int_equal(lookup(w, "k"), LOOKUP_FRESH);
    struct join_result r = {0};
    struct join_request q = request_for(w, "k", NULL);
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_BACKOFF);
}

static void loads_ahead_are_counted_until_they_end(void **state)
{
    struct world *w = *state;
    struct outcome o = found(value_b);
    bool stored;
    struct flight *a = refresh(w, "a", REASON_PREFETCH), *b = refresh(w, "b", REASON_PREFETCH);
    struct flight *other = refresh(w, "c", REASON_REFRESH);
    assert_true(a->asked.ahead == .75F); /* what its next ahead time goes by */
    assert_int_equal(flights_prefetching(w->flights, 7), 2);
    assert_int_equal(flights_prefetching(w->flights, 8), 0);
    fail_load(w, a, "down");
    assert_int_equal(flights_prefetching(w->flights, 7), 1);
    end_with(w, other, &o, &stored);
    assert_int_equal(flights_prefetching(w->flights, 7), 1);
    /* What is below a floor has not ended. */
    int64_t floor = 5;
    invalidate(w, "b", &floor);
    struct outcome below = found_version(4);
    assert_int_equal(end_with(w, b, &below, &stored), BELOW);
    assert_int_equal(flights_prefetching(w->flights, 7), 1);
    struct outcome enough = found_version(5);
    end_with(w, b, &enough, &stored);
    assert_int_equal(flights_prefetching(w->flights, 7), 0);
}

static void the_first_who_waits_for_a_queued_one_promotes_it(void **state)
{
    struct world *w = *state;
    struct outcome o = found(value_b);
    struct waiter waiters[4] = {0};
    struct join_result r;
    struct flight *f = refresh(w, "k", REASON_PREFETCH);
    struct join_request q = request_for(w, "k", NULL);
    memset(&r, 0, sizeof r);
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_PARKED);
    assert_false(r.promote);
    assert_int_equal(join_as(w, "k", &waiters[0], &r), JOIN_PARKED);
    assert_true(r.promote);
    assert_ptr_equal(r.flight, f);
    flight_unref(r.flight);
    assert_int_equal(join_as(w, "k", &waiters[1], &r), JOIN_PARKED);
    assert_false(r.promote);
    end_at(w, f, &o);
    /* One that has begun has nothing to be promoted to. */
    f = refresh(w, "begun", REASON_PREFETCH);
    assert_true(begin(w, f, 1, NULL));
    assert_int_equal(join_as(w, "begun", &waiters[2], &r), JOIN_PARKED);
    assert_false(r.promote);
    end_at(w, f, &o);
}

static void an_unchanged_value_is_renewed_without_a_copy(void **state)
{
    struct world *w = *state;
    struct hit hit, again;
    struct slice k = slice_str("k");
    store_value(w, "k");
    store_get(w->store, k, store_hash(w->store, k), w->now_ms, WANT_PEEK, NULL, &hit);
    struct outcome o = found(value_a);
    o.value = entry_value(hit.entry);
    o.unchanged = hit.entry;
    w->now_ms += 500;
    assert_true(end_at(w, refresh(w, "k", REASON_PREFETCH), &o).stored);
    store_get(w->store, k, store_hash(w->store, k), w->now_ms, WANT_PEEK, NULL, &again);
    assert_ptr_equal(again.entry, hit.entry);
    assert_int_equal(again.ttl_ms, 1000);
    entry_unref(hit.entry);
    entry_unref(again.entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_enough_is_loaded_within_the_bound),
        cmocka_unit_test(the_first_ahead_times_fill_half_a_ttl_evenly),
        cmocka_unit_test(the_next_ahead_time_is_half_way_to_the_window),
        cmocka_unit_test(what_was_stored_together_is_loaded_evenly_after_one_ttl),
        cmocka_unit_test(the_early_rule_has_its_distribution),
        cmocka_unit_test_setup_teardown(a_refresh_of_what_is_gone_is_wasted, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_waited_wants_it_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_refresh_wastes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(loads_ahead_are_counted_until_they_end, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_who_waits_for_a_queued_one_promotes_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unchanged_value_is_renewed_without_a_copy, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
