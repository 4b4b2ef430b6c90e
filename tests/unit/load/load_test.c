/* One load from its seats to their ends; load_end.c judges what comes. */
#include "load/load_world.h"
#include "store/record.h"

#define KEYS 4

/* A load of KEYS keys, a:0 to a:3, with one place for them all. */
static struct load_world *world_with(struct world_get *gets, int64_t retries)
{
    struct load_world *w = world_new();
    char key[32];
    w->loaders[0].policy.retries = retries;
    w->loaders[0].policy.breaker_failures = 1;
    w->loaders[0].policy.max_loads = 1;
    world_open(w);
    w->admissions[0].binding.batch_max = KEYS;
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &gets[i], NULL);
    }
    world_step(w);
    assert_int_equal(w->asked_count, 1);
    assert_int_equal(w->asked[0].count, KEYS);
    return w;
}

static struct run_result failed_batch(void)
{
    struct run_result r = world_result(RUN_FAILED);
    err_set(&r.err, ERR_LOAD_FAILED, "one of them is odd");
    return r;
}

static void all_told(struct load_world *w, const struct world_get *gets, enum flight_end end)
{
    world_step(w);
    for (int i = 0; i < KEYS; i++) {
        assert_true(gets[i].told);
        assert_int_equal(gets[i].end, end);
    }
    assert_true(list_empty(&w->thread.running));
    assert_int_equal(w->admissions[0].in_flight, 0);
    assert_int_equal(w->capacities[0].in_flight, 0);
}

static void a_batch_that_may_be_divided_runs_again_in_halves_until_one_key_fails_alone(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 0);
    for (int i = 0; i < w->asked_count && i < 20; i++) {
        struct world_asked *a = &w->asked[i];
        struct run_result r = failed_batch();
        r.divisible = a->count > 1;
        bool odd = world_asked_for(w, "a:2") == a;
        if (odd)
            world_answer_with(w, a, &r);
        else
            world_answer(w, a);
        if (!list_empty(&w->thread.running))
            world_await_asked(w, i + 2);
    }
    world_step(w);
    assert_int_equal(w->asked_count, 5); /* 4, 2, then its other half: 2, 1, 1 */
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(gets[i].end, i == 2 ? END_FAILED : END_FOUND);
    assert_int_equal(w->admissions[0].breaker.state, BREAKER_CLOSED); /* a value came */
    world_free(w);
}

static void the_key_that_a_script_suspects_runs_alone(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 0);
    struct run_result r = failed_batch();
    r.poisoned = true;
    r.poison = 1;
    world_answer_with(w, &w->asked[0], &r);
    world_await_asked(w, 2);
    assert_int_equal(w->asked[1].count, KEYS - 1);
    assert_string_equal(w->asked[1].keys[1], "a:2");
    world_answer(w, &w->asked[1]);
    world_step(w);
    assert_true(gets[0].told && !gets[1].told);
    world_await_asked(w, 3);
    assert_int_equal(w->asked[2].count, 1);
    assert_string_equal(w->asked[2].keys[0], "a:1");
    world_answer(w, &w->asked[2]);
    all_told(w, gets, END_FOUND);
    world_free(w);
}

static void keys_without_a_word_are_asked_for_apart_and_the_others_end(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 0);
    struct run_result many[KEYS], all = world_result(RUN_DONE);
    for (int i = 0; i < KEYS; i++)
        many[i] = world_result(i < 2 ? RUN_ABSENT : RUN_FAILED);
    many[2].apart = many[3].apart = true;
    all.many = many;
    all.many_count = KEYS;
    world_answer_with(w, &w->asked[0], &all);
    world_step(w);
    assert_true(gets[0].told && gets[1].told && !gets[2].told);
    assert_int_equal(gets[0].end, END_ABSENT);
    for (int i = 0; i < 2; i++) {
        world_await_asked(w, i + 2);
        assert_int_equal(w->asked[i + 1].count, 1);
        world_answer(w, &w->asked[i + 1]);
    }
    world_step(w);
    assert_int_equal(gets[3].end, END_FOUND);
    world_free(w);
}

static void what_is_worth_a_retry_is_asked_for_again_as_often_as_the_policy_says(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 2);
    for (int i = 0; i < 3; i++) {
        struct run_result r = failed_batch();
        r.retryable = true;
        r.health = HEALTH_BAD;
        err_set(&r.err, ERR_BACKEND_DOWN, "it is down");
        assert_int_equal(w->asked[i].attempt, i + 1);
        world_answer_with(w, &w->asked[i], &r);
        if (i < 2)
            world_await_asked(w, i + 2);
    }
    all_told(w, gets, END_FAILED);
    assert_int_equal(gets[0].code, ERR_BACKEND_DOWN);
    assert_int_equal(w->admissions[0].breaker.state, BREAKER_OPEN);
    world_free(w);
}

static void without_a_budget_nothing_is_tried_again(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 2);
    struct run_result r = failed_batch();
    r.retryable = true;
    w->thread.budget = (struct budget){.left = 0, .since_ms = clock_ms()};
    world_answer_with(w, &w->asked[0], &r);
    all_told(w, gets, END_FAILED);
    assert_int_equal(w->asked_count, 1);
    world_free(w);
}

static void a_vm_that_was_full_gets_one_more_run_in_a_load(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 0);
    for (int i = 0; i < 2; i++) {
        struct run_result r = failed_batch();
        r.full = true;
        world_answer_with(w, &w->asked[i], &r);
        if (i == 0)
            world_await_asked(w, 2);
    }
    all_told(w, gets, END_FAILED);
    world_free(w);
}

static void a_run_that_cannot_begin_is_tried_once_more(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g;
    world_open(w);
    w->refuse = 1;
    world_get(w, 0, "a:0", &g, NULL);
    world_step(w);
    assert_int_equal(w->asked_count, 0);
    world_await_asked(w, 1);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_int_equal(g.end, END_FOUND);
    w->refuse = 2;
    world_get(w, 0, "a:1", &g, NULL);
    for (int i = 0; !g.told && i < 5000; i++) {
        world_step(w);
        ev_run(w->bench.loop, EVRUN_NOWAIT);
    }
    assert_int_equal(g.end, END_FAILED);
    assert_int_equal(g.code, ERR_NOMEM);
    world_free(w);
}

static void what_is_below_its_floor_is_asked_for_again_at_the_primary(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g;
    bool dropped;
    int64_t version = 9;
    w->backends[0].primary = "other";
    world_open(w);
    struct invalidation i = {
        .key = slice_str("a:0"), .now_ms = clock_ms(), .version = &version, .floor_ttl_ms = 60000};
    i.hash = store_hash(w->store, i.key);
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    world_get(w, 0, "a:0", &g, NULL);
    world_step(w);
    struct run_result r = world_result(RUN_FOUND);
    r.has_version = true;
    r.version = 8;
    assert_false(w->asked[0].primary);
    world_answer_with(w, &w->asked[0], &r);
    world_step(w);
    assert_false(g.told);
    world_await_asked(w, 2);
    assert_true(w->asked[1].primary);
    r = world_result(RUN_FOUND);
    r.has_version = true;
    r.version = 9;
    world_answer_with(w, &w->asked[1], &r);
    world_step(w);
    assert_int_equal(g.end, END_FOUND);
    world_free(w);
}

static void past_its_deadline_a_load_is_cut_off_and_the_breaker_hears_of_the_source(void **state)
{
    (void)state;
    static const enum run_health healths[] = {HEALTH_BAD, HEALTH_GOOD};
    for (int k = 0; k < 2; k++) {
        struct load_world *w = world_new();
        struct world_get g;
        w->backends[0].min_loads = 1; /* it learns what the backend bears */
        w->loaders[0].policy.load_timeout_ms = 5;
        w->loaders[0].policy.breaker_failures = 1;
        w->health = healths[k];
        world_open(w);
        world_get(w, 0, "a:0", &g, NULL);
        for (int i = 0; !g.told && i < 5000; i++) {
            world_step(w);
            usleep(1000);
            ev_run(w->bench.loop, EVRUN_NOWAIT);
        }
        assert_int_equal(w->asked[0].stopped, ASKED_TIMED_OUT);
        assert_int_equal(g.code, ERR_LOAD_TIMEOUT);
        assert_int_equal(w->admissions[0].breaker.state, k == 0 ? BREAKER_OPEN : BREAKER_CLOSED);
        assert_int_equal(w->capacities[0].limit.seen, k == 0);
        assert_int_equal(w->capacities[0].limit.dropped, k == 0);
        world_free(w);
    }
}

static void on_shutdown_what_is_in_the_air_is_cancelled_and_refused(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_with(gets, 0);
    load_shutdown_all(&w->thread);
    assert_int_equal(w->asked[0].stopped, ASKED_CANCELLED);
    world_step(w);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(gets[i].code, ERR_SHUTDOWN);
    world_free(w);
}

/* Whether the key is stored fresh, of that version. */
static bool is_fresh(struct load_world *w, const char *key, int64_t version)
{
    struct hit hit;
    struct slice k = slice_str(key);
    enum lookup found =
        store_get(w->store, k, store_hash(w->store, k), clock_ms(), WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return found == LOOKUP_FRESH && hit.version == version;
}

static void what_came_back_unproven_is_shown_to_its_load_and_unchanged_makes_it_fresh(void **state)
{
    (void)state;
    static const struct restore how = {.as = RESTORED_CANDIDATE};
    const int64_t version = 9;
    struct load_world *w = world_new();
    struct world_get g, other;
    bool stored;
    struct record r = {.key = slice_str("a:1"),
                       .value = slice_str("\x07"),
                       .has_version = true,
                       .version = version,
                       .fresh_left_ms = 60000,
                       .tagged = TAGGED_TEXTS,
                       .tag_texts = slice_str("\xa3tag")};
    world_open(w);
    assert_int_equal(store_restore(w->store, &r, &how, clock_ms(), &stored, NULL), 0);
    assert_true(stored);
    world_get(w, 0, "a:1", &g, NULL);
    world_get(w, 0, "a:2", &other, NULL);
    world_step(w);
    assert_false(g.told); /* it is no answer */
    assert_int_equal(world_asked_for(w, "a:1")->shown[0], version);
    assert_int_equal(world_asked_for(w, "a:2")->shown[0], -1);
    struct run_result unchanged = world_result(RUN_UNCHANGED);
    world_answer_with(w, world_asked_for(w, "a:1"), &unchanged);
    world_answer(w, world_asked_for(w, "a:2"));
    world_step(w);
    assert_true(g.told && g.end == END_FOUND);
    assert_true(is_fresh(w, "a:1", version));
    marks_tag(w->marks, slice_str("tag"), false); /* which it still has */
    assert_false(is_fresh(w, "a:1", version));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_back_unproven_is_shown_to_its_load_and_unchanged_makes_it_fresh),
        cmocka_unit_test(
            a_batch_that_may_be_divided_runs_again_in_halves_until_one_key_fails_alone),
        cmocka_unit_test(the_key_that_a_script_suspects_runs_alone),
        cmocka_unit_test(keys_without_a_word_are_asked_for_apart_and_the_others_end),
        cmocka_unit_test(what_is_worth_a_retry_is_asked_for_again_as_often_as_the_policy_says),
        cmocka_unit_test(without_a_budget_nothing_is_tried_again),
        cmocka_unit_test(a_vm_that_was_full_gets_one_more_run_in_a_load),
        cmocka_unit_test(a_run_that_cannot_begin_is_tried_once_more),
        cmocka_unit_test(what_is_below_its_floor_is_asked_for_again_at_the_primary),
        cmocka_unit_test(past_its_deadline_a_load_is_cut_off_and_the_breaker_hears_of_the_source),
        cmocka_unit_test(on_shutdown_what_is_in_the_air_is_cancelled_and_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
