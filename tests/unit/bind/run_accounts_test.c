/* To the microsecond and the byte: what scripts are charged, when memory is looked at, what is kept
 * of runs that ended, and what a call says of its source. */
#include "bind/batch.h"

#include "bind/runtime_priv.h"

static void the_price_rises_with_the_length_of_a_run(void **state)
{
    (void)state;
    static const struct {
        int64_t run_us, price_us;
    } cases[] = {{0, 0},       {100, 25},     {250, 62},     {1000, 1000},
                 {2000, 4000}, {8000, 64000}, {8001, 64008}, {100000, 800000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run_account a;
        memset(&a, 0x55, sizeof a);
        run_account_init(&a, cases[i].run_us);
        assert_int_equal(a.next_us, cases[i].price_us);
        assert_int_equal(a.spent_us, 0);
        assert_int_equal(a.expected_us, 0);
        assert_false(a.known);
    }
}

static void a_script_is_ahead_past_four_milliseconds(void **state)
{
    struct bench *b = *state;
    int script = bench_script(b, "a.lua", "return { load = function() end }");
    struct run_account *a = &b->rt->scripts[script].account;
    *a = (struct run_account){.spent_us = 1000, .next_us = 3000};
    assert_int_equal(runtime_ahead_us(b->rt, script), 0);
    a->next_us = 3001;
    assert_int_equal(runtime_ahead_us(b->rt, script), 4001);
    b->rt->turns.clock_us = 1;
    assert_int_equal(runtime_ahead_us(b->rt, script), 0);
    b->rt->turns.clock_us = 5000;
    runtime_awake(b->rt, script); /* nobody saves up time */
    assert_int_equal(a->spent_us, 5000);
    b->rt->turns.clock_us = 4000;
    runtime_awake(b->rt, script);
    assert_int_equal(a->spent_us, 5000);
}

static void what_a_run_takes_is_expected_of_the_next(void **state)
{
    struct bench *b = *state;
    int script = bench_script(b, "a.lua", "return { load = function() end }");
    struct run_account *a = &b->rt->scripts[script].account;
    assert_false(a->known);
    run_turns_ended(b->rt, script, 800);
    assert_true(a->known);
    assert_int_equal(a->expected_us, 800);
    assert_int_equal(a->next_us, 640);
    run_turns_ended(b->rt, script, 1600); /* an eighth of the way */
    assert_int_equal(a->expected_us, 900);
    assert_int_equal(a->next_us, 810);
    run_turns_ended(b->rt, script, 100);
    assert_int_equal(a->expected_us, 800);
}

/* The clock follows who has its turn; the price is that of the longer of the step and the mean. */
static void a_turn_is_paid_and_moves_the_clock(void **state)
{
    struct bench *b = *state;
    int script = bench_script(b, "a.lua", "return { load = function() end }");
    struct run_account *a = &b->rt->scripts[script].account;
    struct run_turns *t = &b->rt->turns;
    *a = (struct run_account){.spent_us = 700, .expected_us = 2000};
    runtime_turn(b->rt, 10000);
    run_turns_had(b->rt, script, 500);
    assert_int_equal(t->clock_us, 700);
    assert_int_equal(a->spent_us, 700 + 1000);
    assert_int_equal(t->left_us, 9500);
    run_turns_had(b->rt, script, 4000);
    assert_int_equal(t->clock_us, 1700);
    assert_int_equal(a->spent_us, 1700 + 16000);
    assert_int_equal(t->left_us, 5500);
    t->clock_us = 1000000; /* it never goes back */
    run_turns_had(b->rt, script, 0);
    assert_int_equal(t->clock_us, 1000000);
    runtime_turn(b->rt, INT64_MAX); /* nobody says when a turn begins */
    run_turns_charge(b->rt, script, 500);
    assert_true(t->left_us == INT64_MAX);
}

/* A quarter of the memory may come before the next look, and five eighths before any. */
static void memory_is_looked_at_where_a_quarter_has_come(void **state)
{
    (void)state;
    assert_int_equal(runtime_look_from(800, 0), 500);
    assert_int_equal(runtime_look_from(800, 300), 500);
    assert_int_equal(runtime_look_from(800, 301), 501);
    assert_int_equal(runtime_look_from(800, 700), 900);
}

static void who_keeps_an_eighth_of_a_bound_is_named(void **state)
{
    struct bench *b = *state;
    struct err e;
    int script = bench_script(b, "hoard.lua", "return { load = function() end }");
    b->rt->run_bytes = 80 * 1024;
    b->rt->scripts[script].kept = 10 * 1024 - 1;
    b->rt->most = script;
    err_set(&e, ERR_SCRIPT, "full");
    runtime_tell_most(b->rt, &e);
    assert_string_equal(e.text, "full");
    b->rt->scripts[script].kept = 10 * 1024;
    b->rt->most = -1;
    runtime_tell_most(b->rt, &e);
    assert_string_equal(e.text, "full");
    b->rt->most = script;
    runtime_tell_most(b->rt, &e);
    assert_string_equal(e.text, "full; hoard.lua keeps 10 KiB between its loads");
    memset(e.text, 'x', sizeof e.text - 1); /* there is no room behind it */
    e.text[sizeof e.text - 1] = '\0';
    runtime_tell_most(b->rt, &e);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    b->rt->scripts[script].kept = b->rt->run_bytes;
    assert_false(runtime_keeps_too_much(b->rt, script));
    b->rt->scripts[script].kept++;
    assert_true(runtime_keeps_too_much(b->rt, script));
}

/* A load that finds no memory even after a collection is told who has it. */
static void a_load_that_cannot_begin_says_who_keeps_the_memory(void **state)
{
    struct bench *b = *state;
    struct ending end;
    struct err e;
    struct run *run;
    struct vm *vm = b->rt->vm;
    int hoard = bench_script(b, "hoard.lua",
                             "local kept return { load = function() kept = ('k'):rep(8e6) end }");
    int script = bench_script(b, "a.lua", "return { load = function() return 1 end }");
    bench_run(b, hoard, &end);
    ending_fini(&end);
    size_t max = vm->max, before;
    do { /* a room for texts gets smaller with each collection */
        before = vm->used;
        runtime_look(b->rt);
    } while (vm->used < before);
    vm->max = vm->limit = vm->used - 100000; /* a collection frees less */
    b->rt->run_bytes = 16 << 20;
    struct run_request q = bench_request(b, script, &end);
    assert_int_equal(run_start(&run, b->rt, &q, &e), ERR_NOMEM);
    assert_null(run);
    expect_text(&e, "; hoard.lua keeps 78");
    vm->max = vm->limit = max;
    bench_run(b, script, &end); /* and it goes on */
    expect_int(&end, 1);
    ending_fini(&end);
    assert_true(runtime_is_idle(b->rt));
}

static struct runtime_stats numbers_from(uint64_t first)
{
    struct runtime_stats s = {0};
    s.runs = first;
    s.failures = first + 1;
    s.cpu_stops = first + 2;
    s.memory_stops = first + 3;
    s.call_stops = first + 4;
    s.collections = first + 5;
    s.replaced = first + 6;
    s.memory_bytes = first + 7;
    s.parked = (uint32_t)first + 8;
    return s;
}

static void is_sum(const struct runtime_stats *s, uint64_t first, uint64_t second, bool all)
{
    assert_int_equal(s->runs, first + second);
    assert_int_equal(s->failures, first + second + 2);
    assert_int_equal(s->cpu_stops, first + second + 4);
    assert_int_equal(s->memory_stops, first + second + 6);
    assert_int_equal(s->call_stops, first + second + 8);
    assert_int_equal(s->collections, first + second + 10);
    assert_int_equal(s->replaced, first + second + 12);
    assert_int_equal(s->parked, all ? first + second + 16 : first + 8);
    if (all)
        assert_int_equal(s->memory_bytes, first + second + 14);
}

/* What is parked there stays there; all else goes over. */
static void counts_of_two_become_one(void **state)
{
    struct bench *b = *state;
    struct runtime *other;
    struct err e;
    struct runtime_stats sum = numbers_from(100);
    const struct runtime_stats more = numbers_from(1000);
    runtime_add_stats(&sum, &more);
    is_sum(&sum, 100, 1000, true);
    assert_int_equal(bench_runtime(b, &other, (struct bench_bounds){0}, &e), 0);
    b->rt->stats = numbers_from(100);
    other->stats = more;
    runtime_absorb(b->rt, other);
    is_sum(&b->rt->stats, 100, 1000, false);
    assert_int_equal(other->stats.runs, 1000);
    b->rt->stats = numbers_from(100);
    runtime_replace(b->rt, other);
    assert_int_equal(b->rt->stats.replaced, 106 + 1006 + 1);
    assert_int_equal(other->stats.runs, 0);
    assert_int_equal(other->stats.parked, 1008);
    b->rt->stats = other->stats = (struct runtime_stats){0};
    runtime_unref(other);
}

/* ---- what is kept of runs that ended ---- */

/* Coroutines that the registry holds. */
static unsigned coroutines(lua_State *L)
{
    unsigned count = 0;
    lua_pushnil(L);
    while (lua_next(L, LUA_REGISTRYINDEX)) {
        count += lua_isthread(L, -1);
        lua_pop(L, 1);
    }
    return count;
}

static void so_many_coroutines_wait_for_the_next_runs_and_no_more(void **state)
{
    struct bench *b = *state;
    enum { MANY = RUNTIME_SPARE_MAX + 40 };
    struct ending *ends = calloc(MANY, sizeof *ends), end;
    unsigned before = coroutines(b->rt->vm->L);
    int waits =
        bench_script(b, "a.lua", "return { load = function(_, ctx) return ctx.db:value('S') end }");
    int quick = bench_script(b, "b.lua", "return { load = function() return 1 end }");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            assert_non_null(bench_begin(b, waits, &ends[i]));
        assert_int_equal(b->rt->spare_count, 0);
        assert_int_equal(coroutines(b->rt->vm->L), before + MANY);
        for (int i = 0; i < MANY; i++)
            fake_answer_int(fake_oldest(&b->main), i);
        assert_int_equal(b->rt->spare_count, RUNTIME_SPARE_MAX);
        assert_int_equal(coroutines(b->rt->vm->L), before + RUNTIME_SPARE_MAX);
        for (int i = 0; i < MANY; i++)
            ending_fini(&ends[i]);
    }
    for (int i = 0; i < 10; i++) { /* one goes and comes back */
        bench_run(b, quick, &end);
        ending_fini(&end);
        assert_int_equal(b->rt->spare_count, RUNTIME_SPARE_MAX);
    }
    struct run *run = bench_begin(b, waits, &end);
    assert_int_equal(b->rt->spare_count, RUNTIME_SPARE_MAX - 1);
    run_cancel(run); /* its coroutine is in the middle of something */
    assert_int_equal(b->rt->spare_count, RUNTIME_SPARE_MAX - 1);
    assert_int_equal(coroutines(b->rt->vm->L), before + RUNTIME_SPARE_MAX - 1);
    free(ends);
}

static void batches_of_any_size_follow_each_other(void **state)
{
    static const unsigned sizes[] = {1, 3, 1, 2, 3, 3};
    struct batch b;
    batch_init(&b, *state,
               "return { load_many = function(keys) local v = {}\n"
               "for i = 1, #keys do v[keys[i]] = keys[i] end return v end }");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        b.calls = 0;
        b.q.key_count = sizes[i];
        batch_start(&b);
        assert_int_equal(b.calls, 1);
        assert_int_equal(b.outcome, RUN_DONE);
        assert_int_equal(b.count, sizes[i]);
        for (unsigned k = 0; k < sizes[i]; k++)
            expect_str(&b.of[k], k == 0 ? "user:1" : k == 1 ? "user:2" : "user:3");
        batch_fini(&b);
    }
}

/* What rtcache.poison makes is an error like that of a query. */
static void a_poison_is_printed_and_closed_as_other_errors(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "local e = rtcache.poison(keys[2], 'odd')\n"
               "return nil, tostring(e) .. '|' .. tostring(getmetatable(e)) .. '|' .. e.code .. "
               "'|' .. e.poison");
    assert_int_equal(b.outcome, RUN_FAILED);
    expect_text(&b.err, ".lua:2: odd|false|LOAD_FAILED|user:2");
    batch_fini(&b);
}

/* ---- what a call says of its source ---- */

struct told {
    enum run_health health;
    enum run_effect effect;
    int calls;
};

static void take_health(struct run *r, struct run_result *result, void *arg)
{
    (void)r;
    struct told *t = arg;
    t->health = result->health;
    t->effect = result->effect;
    t->calls++;
}

static const struct {
    int code; /* 0: it is answered */
    enum call_fate fate;
    bool sick;
    enum run_health health;
} healths[] = {
    {0, CALL_SENT, false, HEALTH_GOOD},
    {ERR_BACKEND, CALL_UNDONE, false, HEALTH_GOOD},
    {ERR_BACKEND, CALL_UNSENT, false, HEALTH_GOOD},
    {ERR_BACKEND, CALL_UNDONE, true, HEALTH_BAD},
    {ERR_BAD_VALUE, CALL_UNSENT, false, HEALTH_UNKNOWN},
    {ERR_BAD_REQUEST, CALL_UNSENT, false, HEALTH_UNKNOWN},
    {ERR_TOO_LARGE, CALL_DONE, false, HEALTH_GOOD},
    {ERR_BACKEND_DOWN, CALL_UNSENT, false, HEALTH_BAD},
    {ERR_BACKEND_DOWN, CALL_SENT, false, HEALTH_BAD},
};

static void an_error_tells_of_its_sources_health(void **state)
{
    struct bench *b = *state;
    int script = bench_script(b, "a.lua",
                              "return { load = function(_, ctx) pcall(ctx.db.row, ctx.db, 'S')\n"
                              "return 1 end }");
    for (size_t i = 0; i < sizeof healths / sizeof *healths; i++) {
        struct told told = {0};
        struct run *run;
        struct err e;
        struct run_request q = bench_request(b, script, NULL);
        q.done = take_health;
        q.arg = &told;
        assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
        struct call *call = fake_oldest(&b->main);
        call->err.sick = healths[i].sick;
        if (healths[i].code == 0) {
            fake_answer_nothing(call);
        } else {
            call->fate = healths[i].fate;
            list_remove(&call->link);
            call->code = err_set(&call->err, healths[i].code, "no");
            call->err.sick = healths[i].sick;
            call->done(call);
        }
        assert_int_equal(told.calls, 1);
        if (told.health != healths[i].health)
            fail_msg("case %zu: %d", i, (int)told.health);
    }
}

/* The worst of several counts; one that is waited for when time is over is bad. */
static void the_worst_of_several_calls_counts(void **state)
{
    struct bench *b = *state;
    struct told told = {0};
    struct run *run;
    struct err e;
    int script = bench_script(b, "a.lua",
                              "return { load = function(_, ctx)\n"
                              "  pcall(ctx.db.row, ctx.db, 'S') pcall(ctx.db.row, ctx.db, 'S')\n"
                              "  return 1 end }");
    for (int bad_first = 0; bad_first < 2; bad_first++) {
        struct run_request q = bench_request(b, script, NULL);
        q.done = take_health;
        q.arg = &told;
        told = (struct told){0};
        assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
        for (int i = 0; i < 2; i++)
            if (i == !bad_first)
                fake_fail_with(fake_oldest(&b->main), ERR_BACKEND_DOWN, CALL_UNSENT);
            else
                fake_answer_nothing(fake_oldest(&b->main));
        assert_int_equal(told.calls, 1);
        assert_int_equal(told.health, HEALTH_BAD);
        assert_int_equal(told.effect, EFFECT_SOME);
    }
    struct run_request q = bench_request(b, script, NULL);
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    fake_answer_nothing(fake_oldest(&b->main));
    assert_int_equal(run_time_out(run), HEALTH_BAD);
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    assert_int_equal(run_cancel(run), EFFECT_UNKNOWN);
    int sleeps = bench_script(b, "b.lua", "return { load = function() rtcache.sleep(3600) end }");
    q.script = sleeps;
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    assert_int_equal(run_time_out(run), HEALTH_UNKNOWN); /* it asked nobody */
}

static void an_error_says_when_to_ask_again(void **state)
{
    struct bench *b = *state;
    static const struct {
        int32_t ms;
        const char *want;
    } cases[] = {{-1, "nil"}, {0, "0"}, {150, "150"}};
    int script = bench_script(b, "a.lua",
                              "return { load = function(_, ctx)\n"
                              "  local _, e = pcall(ctx.db.row, ctx.db, 'S')\n"
                              "  return tostring(e.retry_after_ms) end }");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ending end;
        bench_begin(b, script, &end);
        struct call *call = fake_oldest(&b->main);
        list_remove(&call->link);
        call->code = err_set(&call->err, ERR_BACKEND_DOWN, "no");
        call->err.retry_after_ms = cases[i].ms;
        call->done(call);
        expect_str(&end, cases[i].want);
        ending_fini(&end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_price_rises_with_the_length_of_a_run),
        CASE(a_script_is_ahead_past_four_milliseconds),
        CASE(what_a_run_takes_is_expected_of_the_next),
        CASE(a_turn_is_paid_and_moves_the_clock),
        cmocka_unit_test(memory_is_looked_at_where_a_quarter_has_come),
        CASE(who_keeps_an_eighth_of_a_bound_is_named),
        CASE(a_load_that_cannot_begin_says_who_keeps_the_memory),
        CASE(counts_of_two_become_one),
        CASE(so_many_coroutines_wait_for_the_next_runs_and_no_more),
        CASE(batches_of_any_size_follow_each_other),
        CASE(a_poison_is_printed_and_closed_as_other_errors),
        CASE(an_error_tells_of_its_sources_health),
        CASE(the_worst_of_several_calls_counts),
        CASE(an_error_says_when_to_ask_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
