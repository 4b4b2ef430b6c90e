#include "load/load_world.h"

#define BOUND 2

static const struct join_request refresh = {.reason = REASON_REFRESH},
                                 prefetch = {.reason = REASON_PREFETCH}, bulk = {.bulk = true};

static void past_max_loads_loads_wait_and_past_max_queue_they_are_refused(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(BOUND, BOUND);
    struct world_get g[5];
    char key[32];
    world_open(w);
    uint64_t refused = metrics_sum(M_LOADS_REFUSED);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &g[i], NULL);
    }
    world_step(w);
    assert_int_equal(metrics_sum(M_LOADS_REFUSED), refused + 1);
    assert_int_equal(atomic_load(&w->admissions[0].binding.counters->refused), 1);
    assert_int_equal(w->asked_count, BOUND);
    assert_int_equal(w->admissions[0].in_flight, BOUND);
    assert_int_equal(w->admissions[0].queue.count, BOUND);
    assert_true(g[4].told);
    assert_int_equal(g[4].end, END_REFUSED);
    assert_int_equal(g[4].code, ERR_OVERLOADED);
    assert_int_equal(g[4].retry_after_ms, 100); /* how fast they go is not known */
    assert_false(g[3].told);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_true(g[0].told);
    assert_int_equal(g[0].end, END_FOUND);
    assert_int_equal(w->asked_count, BOUND + 1); /* the place is the next one's */
    world_answer_all(w);
    for (int i = 0; i < 4; i++)
        assert_int_equal(g[i].end, END_FOUND);
    assert_int_equal(w->admissions[0].in_flight, 0);
    world_free(w);
}

static void what_somebody_waits_for_goes_before_refreshes_and_those_before_prefetches(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 100);
    struct world_get g[4];
    static const char *const order[] = {"a:first", "a:many",  "a:one",
                                        "a:two",   "a:stale", "a:ahead"};
    world_open(w);
    /* Singles and those of a large get_many take turns. */
    world_get(w, 0, "a:first", &g[3], NULL);
    world_step(w);
    world_get(w, 0, "a:ahead", NULL, &prefetch);
    world_get(w, 0, "a:stale", NULL, &refresh);
    world_get(w, 0, "a:one", &g[0], NULL);
    world_get(w, 0, "a:two", &g[1], NULL);
    world_get(w, 0, "a:many", &g[2], &bulk);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(w->asked_count, i + 1);
        assert_string_equal(w->asked[i].keys[0], order[i]);
        world_answer(w, &w->asked[i]);
        world_step(w);
    }
    world_free(w);
}

static void a_full_queue_sheds_what_nobody_waits_for_first_of_all_prefetches(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 2);
    struct world_get g[4];
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:stale", NULL, &refresh);
    world_get(w, 0, "a:ahead", NULL, &prefetch);
    world_get(w, 0, "a:1", &g[1], NULL);
    assert_int_equal(w->admissions[0].queue.counts[CLASS_PREFETCH], 0);
    assert_int_equal(w->admissions[0].queue.counts[CLASS_REFRESH], 1);
    world_get(w, 0, "a:2", &g[2], NULL);
    assert_int_equal(w->admissions[0].queue.counts[CLASS_REFRESH], 0);
    world_get(w, 0, "a:3", &g[3], NULL);
    world_step(w);
    assert_int_equal(g[3].code, ERR_OVERLOADED);
    assert_string_equal(g[3].why.text, "a:3: loader a:*: 1 loads in the air and 2 queued");
    assert_false(g[1].told || g[2].told);
    world_answer_all(w);
    assert_int_equal(g[2].end, END_FOUND);
    world_free(w);
}

/* Who comes makes no room among those of its own kind. */
static void in_a_full_queue_a_refresh_or_a_prefetch_is_refused_itself(void **state)
{
    (void)state;
    static const struct {
        const struct join_request *before, *after;
        enum load_class class;
    } cases[] = {{&refresh, &refresh, CLASS_REFRESH}, {&prefetch, &prefetch, CLASS_PREFETCH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct load_world *w = world_bounded(1, 1);
        struct world_get g;
        world_open(w);
        world_get(w, 0, "a:0", &g, NULL);
        world_step(w);
        world_get(w, 0, "a:before", NULL, cases[i].before);
        world_get(w, 0, "a:after", NULL, cases[i].after);
        assert_int_equal(w->admissions[0].queue.counts[cases[i].class], 1);
        world_answer_all(w);
        assert_non_null(world_asked_for(w, "a:before"));
        assert_null(world_asked_for(w, "a:after"));
        world_free(w);
    }
}

static void a_full_queue_drops_those_that_nobody_waits_for_any_more(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 1);
    struct world_get g[3];
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:left", &g[1], NULL);
    assert_true(flights_leave(w->flights, &g[1].waiter));
    world_get(w, 0, "a:2", &g[2], NULL);
    assert_int_equal(w->admissions[0].queue.count, 1);
    world_answer_all(w);
    assert_int_equal(g[2].end, END_FOUND);
    assert_null(world_asked_for(w, "a:left"));
    world_free(w);
}

static void all_that_nobody_waits_for_any_more_leave_together(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 3);
    struct world_get g[5];
    char key[32];
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    for (int i = 1; i < 4; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &g[i], NULL);
        assert_true(flights_leave(w->flights, &g[i].waiter));
    }
    world_get(w, 0, "a:4", &g[4], NULL);
    assert_int_equal(w->admissions[0].queue.count, 1);
    world_answer_all(w);
    assert_int_equal(g[4].end, END_FOUND);
    world_free(w);
}

/* Before the first of a turn begin, those that may are not queued yet. */
static void what_fits_into_batches_that_may_begin_is_not_in_the_queues_bound(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 1);
    struct world_get g[5];
    char key[32];
    world_open(w);
    w->admissions[0].binding.batch_max = 3;
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &g[i], NULL);
    }
    world_step(w);
    assert_int_equal(g[4].code, ERR_OVERLOADED);
    assert_int_equal(w->asked[0].count, 3);
    world_answer_all(w);
    for (int i = 0; i < 4; i++)
        assert_int_equal(g[i].end, END_FOUND);
    world_free(w);
}

static void who_is_refused_hears_when_its_turn_could_come(void **state)
{
    (void)state;
    static const struct {
        double per_ms;
        int32_t retry_after_ms;
    } rates[] = {{1e6, 10}, {0.1, 20}, {0.001, 2000}, {1e-9, 30000}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct load_world *w = world_bounded(1, 2);
        struct world_get g[4];
        world_open(w);
        world_get(w, 0, "a:0", &g[0], NULL);
        world_step(w);
        world_get(w, 0, "a:1", &g[1], NULL);
        world_get(w, 0, "a:2", &g[2], NULL);
        w->admissions[0].rate =
            (struct queue_rate){.per_ms = rates[i].per_ms, .window_ms = clock_ms()};
        world_get(w, 0, "a:3", &g[3], NULL);
        world_step(w);
        assert_int_equal(g[3].retry_after_ms, rates[i].retry_after_ms);
        world_answer_all(w);
        world_free(w);
    }
}

/* It was no queue that it stood in, but a batch's window: it begins with nobody waiting, as a load
 * does whose client leaves in the turn in which it came. */
static void whose_client_leaves_within_the_window_is_loaded(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 1);
    w->loaders[0].policy.batch_window_us = 1000;
    struct world_get g;
    world_open(w);
    w->admissions[0].binding.batch_max = 3;
    world_get(w, 0, "a:0", &g, NULL);
    world_step(w);
    assert_int_equal(w->asked_count, 0);
    assert_true(flights_leave(w->flights, &g.waiter));
    w->thread.turn++;
    world_await_asked(w, 1);
    world_answer_all(w);
    world_free(w);
}

static void prefetches_have_bounds_of_their_own(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(100, 100);
    w->loaders[0].policy.prefetch_max_concurrent = 1;
    w->loaders[0].policy.prefetch_max_queue = 1;
    world_open(w);
    world_get(w, 0, "a:0", NULL, &prefetch);
    world_step(w);
    world_get(w, 0, "a:1", NULL, &prefetch);
    uint64_t skipped = metrics_sum(M_PREFETCH_SKIPPED);
    world_get(w, 0, "a:2", NULL, &prefetch); /* skipped */
    world_step(w);
    assert_int_equal(metrics_sum(M_PREFETCH_SKIPPED), skipped + 1);
    assert_int_equal(atomic_load(&w->admissions[0].binding.counters->prefetch_skipped), 1);
    assert_int_equal(w->asked_count, 1);
    assert_int_equal(w->admissions[0].queue.count, 1);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_string_equal(w->asked[1].keys[0], "a:1");
    world_answer_all(w);
    assert_int_equal(w->asked_count, 2);
    assert_int_equal(w->admissions[0].prefetching, 0);
    world_free(w);
}

static void a_refresh_that_somebody_waits_for_since_goes_with_the_others(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 100);
    struct world_get g[2];
    struct join_result r = {0};
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:other", NULL, &refresh);
    world_get(w, 0, "a:stale", NULL, &refresh);
    struct buf room;
    buf_init(&room, 0);
    struct join_request q = {.key = slice_str("a:stale"),
                             .now_ms = clock_ms(),
                             .generation = 1,
                             .max_waiters = 10,
                             .waiter = &g[1].waiter,
                             .out = &room};
    g[1] = (struct world_get){0};
    q.hash = store_hash(w->store, q.key);
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_PARKED);
    buf_fini(&room);
    assert_true(r.promote);
    admission_promote(r.flight->seat);
    flight_unref(r.flight);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_string_equal(w->asked[1].keys[0], "a:stale");
    world_answer_all(w);
    assert_int_equal(g[1].end, END_FOUND);
    world_free(w);
}

static void whose_turn_would_come_too_late_is_refused_at_once(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 100);
    struct world_get g[3];
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:1", &g[1], NULL);
    w->admissions[0].rate = (struct queue_rate){.per_ms = 0.001, .window_ms = clock_ms()};
    world_get(w, 0, "a:2", &g[2], &(struct join_request){.wait_until_ms = clock_ms() + 500});
    world_step(w);
    assert_int_equal(g[2].code, ERR_OVERLOADED);
    assert_in_range(g[2].retry_after_ms, 1000, 30000);
    world_get(w, 0, "a:3", &g[2], &(struct join_request){.wait_until_ms = clock_ms() + 60000});
    world_step(w);
    assert_false(g[2].told);
    world_answer_all(w);
    world_free(w);
}

static void a_batch_has_as_many_as_it_may_and_no_key_twice(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 100);
    struct world_get g[5], twice;
    char key[32];
    world_open(w);
    w->admissions[0].binding.batch_max = 3;
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &g[i], NULL);
    }
    /* An invalidation leaves the first to its waiters, and another flight of its key begins. */
    bool dropped;
    struct invalidation i = {.key = slice_str("a:0"), .now_ms = clock_ms()};
    i.hash = store_hash(w->store, i.key);
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    world_get(w, 0, "a:0", &twice, NULL);
    world_step(w);
    assert_int_equal(w->asked[0].count, 3);
    assert_true(w->asked[0].many);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_int_equal(w->asked[1].count, 3);
    assert_string_equal(w->asked[1].keys[2], "a:0");
    world_answer_all(w);
    assert_true(g[0].told && g[4].told && twice.told);

    w->admissions[0].binding.batch_max = 3;
    world_get(w, 0, "a:5", &g[0], NULL);
    i.key = slice_str("a:5");
    i.hash = store_hash(w->store, i.key);
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    world_get(w, 0, "a:5", &twice, NULL);
    world_get(w, 0, "a:6", &g[1], NULL);
    world_step(w);
    assert_int_equal(w->asked[2].count, 2); /* a:5 once, and a:6 */
    world_answer_all(w);
    assert_int_equal(w->asked_count, 4);
    assert_true(g[0].told && twice.told);
    world_free(w);
}

static void after_failures_in_a_row_the_breaker_refuses_and_lets_one_probe_through(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(100, 100);
    struct world_get g[6];
    w->loaders[0].policy.breaker_failures = 2;
    w->loaders[0].policy.breaker_open_ms = 60000;
    world_open(w);
    struct breaker *b = &w->admissions[0].breaker;
    for (int i = 0; i < 2; i++) {
        world_get(w, 0, i ? "a:1" : "a:0", &g[i], NULL);
        world_step(w);
        world_fail(w, &w->asked[i], ERR_BACKEND_DOWN);
        world_step(w);
        assert_int_equal(g[i].code, ERR_BACKEND_DOWN);
    }
    world_get(w, 0, "a:2", &g[2], NULL);
    world_step(w);
    assert_int_equal(g[2].code, ERR_BREAKER_OPEN);
    assert_in_range(g[2].retry_after_ms, 1, 60000);
    assert_int_equal(w->asked_count, 2);

    b->open_until_ms = clock_ms(); /* its time is over */
    world_get(w, 0, "a:3", &g[3], NULL);
    world_get(w, 0, "a:4", &g[4], NULL);
    world_step(w);
    assert_int_equal(w->asked_count, 3);
    assert_int_equal(g[4].code, ERR_BREAKER_OPEN);
    world_answer(w, &w->asked[2]);
    world_step(w);
    assert_int_equal(g[3].end, END_FOUND);
    assert_int_equal(b->state, BREAKER_CLOSED);
    world_get(w, 0, "a:5", &g[5], NULL);
    world_answer_all(w);
    assert_int_equal(g[5].end, END_FOUND);
    world_free(w);
}

static void a_source_that_refuses_a_key_is_well_as_far_as_the_breaker_goes(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(100, 100);
    struct world_get g;
    char key[32];
    w->loaders[0].policy.breaker_failures = 1;
    world_open(w);
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &g, NULL);
        world_step(w);
        world_fail(w, &w->asked[i], ERR_LOAD_FAILED);
        world_step(w);
        assert_int_equal(g.code, ERR_LOAD_FAILED);
    }
    assert_int_equal(w->admissions[0].breaker.state, BREAKER_CLOSED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(past_max_loads_loads_wait_and_past_max_queue_they_are_refused),
        cmocka_unit_test(what_somebody_waits_for_goes_before_refreshes_and_those_before_prefetches),
        cmocka_unit_test(a_full_queue_sheds_what_nobody_waits_for_first_of_all_prefetches),
        cmocka_unit_test(in_a_full_queue_a_refresh_or_a_prefetch_is_refused_itself),
        cmocka_unit_test(a_full_queue_drops_those_that_nobody_waits_for_any_more),
        cmocka_unit_test(all_that_nobody_waits_for_any_more_leave_together),
        cmocka_unit_test(what_fits_into_batches_that_may_begin_is_not_in_the_queues_bound),
        cmocka_unit_test(who_is_refused_hears_when_its_turn_could_come),
        cmocka_unit_test(whose_client_leaves_within_the_window_is_loaded),
        cmocka_unit_test(prefetches_have_bounds_of_their_own),
        cmocka_unit_test(a_refresh_that_somebody_waits_for_since_goes_with_the_others),
        cmocka_unit_test(whose_turn_would_come_too_late_is_refused_at_once),
        cmocka_unit_test(a_batch_has_as_many_as_it_may_and_no_key_twice),
        cmocka_unit_test(after_failures_in_a_row_the_breaker_refuses_and_lets_one_probe_through),
        cmocka_unit_test(a_source_that_refuses_a_key_is_well_as_far_as_the_breaker_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
