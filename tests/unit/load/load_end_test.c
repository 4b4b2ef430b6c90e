/* What comes of a load is counted, logged and told; and who is asked again, and where. */
#include "load/load_world.h"

#include "load/totals.h"
#include "logged.h"

#define KEYS 4

static uint64_t of(struct load_world *w, int loader, const char *name)
{
    static const char *const names[] = {
#define NAME(n) #n,
        LOADER_TOTALS(NAME)
#undef NAME
    };
    struct loader_totals t = totals_of_loader(w->edition.snapshot, (size_t)loader);
    for (size_t i = 0; i < TOTALS; i++)
        if (strcmp(names[i], name) == 0)
            return t.of[i];
    fail_msg("%s", name);
    return 0;
}

/* One load of a key, which its source answers with r. */
static void load_one(struct load_world *w, const char *key, struct world_get *g,
                     struct run_result *r)
{
    world_get(w, 0, key, g, NULL);
    world_step(w);
    world_answer_with(w, world_asked_for(w, key), r);
    world_step(w);
}

static void each_end_is_counted_in_its_kind(void **state)
{
    (void)state;
    static const enum metric_counter all[] = {M_LOADS, M_LOADS_FOUND, M_LOADS_ABSENT,
                                              M_LOADS_FAILED, M_LOADS_REFRESH};
    struct load_world *w = world_new();
    struct world_get g;
    uint64_t before[5];
    world_open(w);
    logged_begin();
    for (int i = 0; i < 5; i++)
        before[i] = metrics_sum(all[i]);
    struct run_result found = world_result(RUN_FOUND), absent = world_result(RUN_ABSENT),
                      failed = world_result(RUN_FAILED);
    err_set(&failed.err, ERR_BACKEND, "it \"fails\"");
    load_one(w, "a:0", &g, &found);
    assert_int_equal(g.end, END_FOUND);
    load_one(w, "a:1", &g, &absent);
    assert_int_equal(g.end, END_ABSENT);
    logged_none();
    load_one(w, "a:2", &g, &failed);
    assert_int_equal(g.end, END_FAILED);
    assert_string_equal(g.why.text, "a:2: it \"fails\"");
    logged_is("warn  load.failed pattern=\"a:*\" key=\"a:2\" attempt=1 code=BACKEND_ERROR "
              "error=\"it \\\"fails\\\"\"");
    world_get(w, 0, "a:3", NULL, &(struct join_request){.reason = REASON_REFRESH});
    world_answer_all(w);
    static const uint64_t wanted[] = {4, 2, 1, 1, 1};
    for (int i = 0; i < 5; i++)
        assert_int_equal(metrics_sum(all[i]) - before[i], wanted[i]);
    assert_int_equal(of(w, 0, "loads"), 4);
    assert_int_equal(of(w, 0, "found"), 2);
    assert_int_equal(of(w, 0, "absent"), 1);
    assert_int_equal(of(w, 0, "failed"), 1);
    struct loader_totals t = totals_of_loader(w->edition.snapshot, 0);
    assert_int_equal(t.failures[-ERR_BACKEND], 1);
    assert_int_equal(t.by_reason[REASON_REFRESH], 1);
    assert_int_equal(t.in_flight + t.queued, 0);
    assert_int_equal(of(w, 1, "loads"), 0);
    world_free(w);
}

static void a_batch_is_counted_once_and_by_its_keys(void **state)
{
    (void)state;
    struct world_get gets[KEYS];
    struct load_world *w = world_new();
    char key[32];
    world_open(w);
    w->admissions[0].binding.batch_max = KEYS;
    uint64_t batches = metrics_sum(M_BATCHES);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &gets[i], NULL);
    }
    world_answer_all(w);
    assert_int_equal(metrics_sum(M_BATCHES) - batches, 1);
    assert_int_equal(of(w, 0, "batches"), 1);
    assert_int_equal(of(w, 0, "batch_keys"), KEYS);
    assert_int_equal(of(w, 0, "loads"), KEYS);
    world_get(w, 0, "a:9", &gets[0], NULL); /* one alone is no batch */
    world_answer_all(w);
    assert_int_equal(of(w, 0, "batches"), 1);
    world_free(w);
}

/* Two keys of which there was no word are asked for apart; one alone has failed. */
static void two_keys_are_asked_for_apart_and_one_is_not(void **state)
{
    (void)state;
    struct world_get gets[2];
    struct load_world *w = world_new();
    world_open(w);
    w->admissions[0].binding.batch_max = 2;
    uint64_t split = metrics_sum(M_BATCHES_SPLIT);
    world_get(w, 0, "a:0", &gets[0], NULL);
    world_get(w, 0, "a:1", &gets[1], NULL);
    world_step(w);
    struct run_result many[2], all = world_result(RUN_DONE);
    for (int i = 0; i < 2; i++) {
        many[i] = world_result(RUN_FAILED);
        many[i].apart = true;
        err_set(&many[i].err, ERR_LOAD_FAILED, "no word of it");
    }
    all.many = many;
    all.many_count = 2;
    world_answer_with(w, &w->asked[0], &all);
    assert_int_equal(metrics_sum(M_BATCHES_SPLIT) - split, 1);
    for (int i = 1; i <= 2; i++) {
        world_await_asked(w, i + 1);
        assert_int_equal(w->asked[i].count, 1);
        world_answer_with(w, &w->asked[i], &many[0]);
        world_step(w);
    }
    assert_int_equal(gets[0].end, END_FAILED);
    assert_int_equal(gets[1].end, END_FAILED);
    assert_int_equal(w->asked_count, 3);
    assert_int_equal(metrics_sum(M_BATCHES_SPLIT) - split, 1);
    world_free(w);
}

/* What is below its floor is asked for at the primary, whichever of the backends that is. */
static void the_primary_may_be_any_backend(void **state)
{
    (void)state;
    for (int primary = 0; primary < 2; primary++) {
        struct load_world *w = world_new();
        const int loader = primary ? 0 : 2; /* which reads the other backend */
        const char *key = primary ? "a:0" : "c:0";
        int64_t version = 9;
        bool dropped;
        struct world_get g;
        w->backends[1 - primary].primary = primary ? "other" : "main";
        w->loaders[loader].policy.retry_base_ms = 3600000; /* the primary is asked at once */
        w->loaders[loader].policy.retry_cap_ms = 3600000;
        world_open(w);
        assert_int_equal(w->admissions[loader].binding.primary, primary);
        struct invalidation i = {.key = slice_str(key),
                                 .now_ms = clock_ms(),
                                 .version = &version,
                                 .floor_ttl_ms = 60000};
        i.hash = store_hash(w->store, i.key);
        assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
        uint64_t below = metrics_sum(M_LOADS_BELOW);
        world_get(w, loader, key, &g, NULL);
        world_step(w);
        struct run_result r = world_result(RUN_FOUND);
        r.has_version = true;
        r.version = 8;
        assert_false(w->asked[0].primary);
        world_answer_with(w, &w->asked[0], &r);
        assert_int_equal(metrics_sum(M_LOADS_BELOW) - below, 1);
        world_await_asked(w, 2);
        assert_true(w->asked[1].primary);
        assert_int_equal(w->asked[1].attempt, 2);
        r = world_result(RUN_FOUND);
        r.has_version = true;
        r.version = 9;
        world_answer_with(w, &w->asked[1], &r);
        world_step(w);
        assert_int_equal(g.end, END_FOUND);
        /* Who asks for the primary at once has it in the first attempt. */
        world_get(w, loader, key, &g, &(struct join_request){.reload = true, .primary = true});
        world_step(w);
        assert_true(w->asked[2].primary);
        world_answer_all(w);
        world_free(w);
    }
}

static void past_the_deadline_what_is_below_its_floor_is_told(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g;
    int64_t version = 9;
    bool dropped;
    w->loaders[0].policy.load_timeout_ms = 1;
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
    world_answer_with(w, &w->asked[0], &r); /* no wait ends before the deadline */
    world_step(w);
    assert_int_equal(g.code, ERR_STALE_SOURCE);
    assert_string_equal(g.why.text, "a:0: all.lua: the source has version 8, where 9 is known of "
                                    "(load_timeout 1 ms)");
    world_free(w);
}

static void what_no_shard_can_hold_is_told_once(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    static char text[600000];
    uint64_t told = metrics_sum(M_LOADS_TOO_LARGE);
    world_open(w);
    logged_begin();
    for (int i = 0; i < 2; i++) {
        struct world_get g;
        struct run_result r = world_result(RUN_FOUND);
        buf_clear(&r.value);
        assert_int_equal(mpw_bin(&r.value, slice_of(text, sizeof text)), 0);
        load_one(w, "a:0", &g, &r);
        assert_int_equal(g.end, END_FOUND); /* it is delivered all the same */
    }
    assert_int_equal(metrics_sum(M_LOADS_TOO_LARGE) - told, 2);
    assert_int_equal(of(w, 0, "too_large"), 2);
    logged_is(
        "warn  load.too_large pattern=\"a:*\" key=\"a:0\" bytes=600048 largest=524288 "
        "error=\"it cannot be kept: an entry takes at most an eighth of its shard's memory\"");
    logged_none();
    world_free(w);
}

/* The breaker hears of a load as its last run and its errors tell of the source. */
static void the_probe_of_a_breaker_is_told_apart(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g[2];
    w->loaders[0].policy.breaker_failures = 1;
    w->loaders[0].policy.breaker_open_ms = 1;
    world_open(w);
    uint64_t opened = metrics_sum(M_BREAKER_OPENED);
    logged_begin();
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_fail(w, &w->asked[0], ERR_BACKEND_DOWN);
    world_step(w);
    assert_int_equal(metrics_sum(M_BREAKER_OPENED) - opened, 1);
    logged_is("warn  load.failed pattern=\"a:*\" key=\"a:0\" attempt=1 code=BACKEND_DOWN "
              "error=\"it fails\"");
    logged_is("warn  loader.breaker_opened pattern=\"a:*\" failures=1 open_ms=1");
    assert_int_equal(w->admissions[0].breaker.state, BREAKER_OPEN);
    for (int64_t from_ms = clock_ms(); clock_ms() < from_ms + 2;)
        usleep(1000);
    world_get(w, 0, "a:1", &g[1], NULL);
    world_step(w);
    assert_int_equal(w->admissions[0].breaker.state, BREAKER_HALF_OPEN);
    struct run_result r = world_result(RUN_FAILED);
    r.health = HEALTH_UNKNOWN; /* it says nothing of the source, and gives its place up */
    err_set(&r.err, ERR_SCRIPT, "it is wrong");
    world_answer_with(w, &w->asked[1], &r);
    assert_false(w->admissions[0].breaker.probing);
    assert_int_equal(w->admissions[0].breaker.state, BREAKER_HALF_OPEN);
    world_step(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_is_counted_in_its_kind),
        cmocka_unit_test(a_batch_is_counted_once_and_by_its_keys),
        cmocka_unit_test(two_keys_are_asked_for_apart_and_one_is_not),
        cmocka_unit_test(the_primary_may_be_any_backend),
        cmocka_unit_test(past_the_deadline_what_is_below_its_floor_is_told),
        cmocka_unit_test(what_no_shard_can_hold_is_told_once),
        cmocka_unit_test(the_probe_of_a_breaker_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
