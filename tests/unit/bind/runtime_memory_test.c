/* A VM whose memory is short: it is emptied, what scripts keep is told by name, and another VM
 * takes its place where that does not help. */
#include "bind/fake.h"

#include "bind/runtime_priv.h"

#define MEMORY ((size_t)16 << 20)

static const struct bench_bounds small = {.run_cpu_ms = 60000, .memory_max = MEMORY};

static int with_small_bench(void **state)
{
    struct bench *b = malloc(sizeof *b);
    bench_start(b, small);
    *state = b;
    return 0;
}

#define SMALL(name) cmocka_unit_test_setup_teardown(name, with_small_bench, without_bench)

/* What a VM that is full has told. */
struct told {
    int calls;
    char script[64];
    struct runtime_full last;
};

static void take_full(void *arg, const struct runtime_full *f)
{
    struct told *t = arg;
    t->calls++;
    t->last = *f;
    snprintf(t->script, sizeof t->script, "%s", f->script ? f->script : "");
}

static void listen(struct bench *b, struct told *t)
{
    *t = (struct told){0};
    b->rt->full = take_full;
    b->rt->full_arg = t;
}

static struct runtime_stats stats_of(const struct bench *b)
{
    struct runtime_stats s;
    runtime_read_stats(b->rt, &s);
    return s;
}

/* Fills the whole VM within one load, and catches each error. */
#define FILLS                                                                                      \
    "  local keep = {}\n"                                                                          \
    "  pcall(function() for i = 1, 1e9 do keep[#keep + 1] = ('m'):rep(1000) .. i end end)\n"       \
    "  pcall(function() for i = 1, 1e9 do keep[#keep + 1] = 'm' .. i end end)\n"                   \
    "  pcall(function() for i = 1, 1e9 do keep[#keep + 1] = {} end end)\n"

static void is_emptied_after_a_load_that_caught_the_error(void **state)
{
    struct bench *b = *state;
    struct told told;
    struct ending end;
    listen(b, &told);
    int script = bench_script(b, "a.lua", "return { load = function()\n" FILLS "return 1 end }");
    for (int i = 0; i < 8; i++) {
        bench_run(b, script, &end);
        if (end.outcome == RUN_FAILED) /* there may be no memory for the next pcall either */
            expect_text(&end.err, "not enough memory");
        ending_fini(&end);
        assert_true(stats_of(b).memory_bytes < MEMORY / 4);
        expect_eval(b, "local t = {} for i = 1, 200 do t[i] = {} end return 'well'", "well");
    }
    assert_int_equal(told.calls, 0);
    assert_true(stats_of(b).collections >= 8);
    assert_int_equal(stats_of(b).replaced, 0);
}

/* Nothing is left where the load is to begin: it begins all the same. */
static void is_emptied_for_a_load_that_cannot_begin(void **state)
{
    struct bench *b = *state;
    struct ending end;
    lua_State *L = b->rt->vm->L;
    int script = bench_script(b, "a.lua", "return { load = function() return 'well' end }");
    lua_gc(L, LUA_GCSTOP, 0);
    while (b->rt->vm->max - b->rt->vm->used > 1000)
        lua_newuserdata(L, 500), lua_settop(L, 0);
    b->rt->vm->max = b->rt->vm->limit = b->rt->vm->used;
    bench_run(b, script, &end);
    expect_str(&end, "well");
    ending_fini(&end);
    assert_int_equal(stats_of(b).collections, 1);
}

static const char hoard[] = "local kept, n = {}, 0\n"
                            "return { load = function(key, ctx)\n"
                            "  n = n + 1\n"
                            "  kept[n] = ('k'):rep(1e6) .. n\n"
                            "  return n\n"
                            "end }";

/* Loads until one fails; its error. */
static struct ending load_until_it_fails(struct bench *b, int script)
{
    struct ending end = {0};
    for (int i = 0; i < 100; i++) {
        bench_run(b, script, &end);
        if (end.outcome == RUN_FAILED)
            return end;
        ending_fini(&end);
    }
    fail_msg("it never failed");
    return end;
}

static void tells_by_name_what_a_script_keeps(void **state)
{
    struct bench *b = *state;
    struct told told;
    listen(b, &told);
    bench_script(b, "good.lua",
                 "local mine = ('g'):rep(1e6) return { load = function() return mine "
                 "end }");
    int script = bench_script(b, "hoard.lua", hoard);
    struct ending end = load_until_it_fails(b, script);
    assert_int_equal(end.err.code, ERR_SCRIPT);
    assert_false(end.retryable);
    expect_text(&end.err, "hoard.lua:2: not enough memory: hoard.lua keeps ");
    expect_text(&end.err, "KiB between its loads, and may keep 8192 KiB");
    ending_fini(&end);
    assert_int_equal(told.calls, 1);
    assert_string_equal(told.script, "hoard.lua");
    assert_true(told.last.kept_bytes > MEMORY / 2 && told.last.kept_bytes < MEMORY);
    assert_true(told.last.used_bytes > told.last.kept_bytes + 1000000);
    assert_int_equal(told.last.max_bytes, MEMORY);
    assert_int_equal(stats_of(b).memory_stops, 1);
    expect_eval(b, "return 'well'", "well"); /* others go on */
}

/* Its bound is not passed by what it makes and lets go. */
static void lets_a_script_use_much_and_keep_little(void **state)
{
    struct bench *b = *state;
    struct told told;
    struct ending end;
    listen(b, &told);
    int script = bench_script(b, "a.lua",
                              "local mine = ('m'):rep(4e6)\n"
                              "return { load = function() local t = {}\n"
                              "  for i = 1, 6 do t[i] = ('x'):rep(1e6) .. i end return #t end }");
    for (int i = 0; i < 50; i++) {
        bench_run(b, script, &end);
        expect_int(&end, 6);
        ending_fini(&end);
    }
    assert_int_equal(told.calls, 0);
}

/* What parked loads hold is not kept by their script, and yet the VM is full. */
static void tells_of_loads_that_fill_it_together(void **state)
{
    struct bench *b = *state;
    struct told told;
    struct ending parked[3], end;
    listen(b, &told);
    int script = bench_script(
        b, "a.lua",
        "return { load = function(key, ctx)\n"
        "  local t = {} for i = 1, 65 do t[i] = ('x'):rep(1e5) .. tostring(t) .. i end\n"
        "  ctx.db:row('SELECT 1') return #t end }");
    bench_begin(b, script, &parked[0]);
    bench_begin(b, script, &parked[1]);
    assert_true(told.calls > 0);
    assert_true(told.last.kept_bytes < 100000);
    bench_begin(b, script, &parked[2]);
    assert_int_equal(parked[2].calls, 1);
    assert_int_equal(parked[2].outcome, RUN_FAILED);
    assert_null(strstr(parked[2].err.text, "keeps"));
    expect_text(&parked[2].err,
                "not enough memory: one load may use 8192 KiB, all scripts 16384 KiB");
    fake_answer_nothing(fake_oldest(&b->main));
    fake_answer_nothing(fake_oldest(&b->main));
    expect_int(&parked[0], 65);
    expect_int(&parked[1], 65);
    for (int i = 0; i < 3; i++)
        ending_fini(&parked[i]);
    bench_run(b, bench_script(b, "b.lua", "return { load = function() return 1 end }"), &end);
    expect_int(&end, 1);
    ending_fini(&end);
}

/* ---- another one in its place ---- */

static struct runtime *take_place(struct bench *b, const char *file, int *script)
{
    struct bench_bounds bounds = {.memory_max = MEMORY, .again = b->rt};
    struct runtime *next, *before = b->rt;
    struct err e;
    assert_int_equal(bench_runtime(b, &next, bounds, &e), 0);
    assert_int_equal(runtime_add_script(next, file, script, &e), 0);
    runtime_replace(next, before);
    b->rt = next;
    return before;
}

static void goes_on_with_counts_and_texts_in_another(void **state)
{
    struct bench *b = *state;
    struct ending parked, end;
    struct told told;
    listen(b, &told);
    int script = bench_script(b, "a.lua",
                              "local n = 0 return { load = function(key, ctx) n = n + 1\n"
                              "  if n == 2 then ctx.db:row('SELECT 1') end return n end }");
    bench_run(b, script, &end);
    expect_int(&end, 1);
    ending_fini(&end);
    bench_begin(b, script, &parked);
    bench_file(b, "a.lua", "return 42"); /* to be read by the next reload */
    struct runtime *before = take_place(b, "a.lua", &script);
    assert_int_equal(stats_of(b).runs, 2);
    assert_int_equal(stats_of(b).replaced, 1);
    assert_int_equal(stats_of(b).parked, 0);
    assert_null(before->full);
    bench_run(b, script, &end);
    expect_int(&end, 1); /* it keeps nothing of what was kept */
    ending_fini(&end);
    assert_false(runtime_is_idle(before));
    fake_answer_nothing(fake_oldest(&b->main));
    expect_int(&parked, 2);
    ending_fini(&parked);
    assert_true(runtime_is_idle(before));
    runtime_absorb(b->rt, before);
    assert_int_equal(stats_of(b).runs, 3);
    runtime_unref(before);
}

static void ends_what_still_runs_cleanly(void **state)
{
    struct bench *b = *state;
    struct ending parked[3];
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx) return ctx.db:value('SELECT 1') "
                              "end, save = function(key, v, ctx) ctx.db:exec('INSERT') end }");
    for (int i = 0; i < 3; i++)
        bench_begin(b, script, &parked[i]);
    struct runtime *before = take_place(b, "a.lua", &script);
    runtime_end_runs(before);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(parked[i].calls, 1);
        assert_int_equal(parked[i].outcome, RUN_FAILED);
        assert_int_equal(parked[i].err.code, ERR_NOMEM);
        assert_int_equal(parked[i].effect, EFFECT_UNKNOWN);
        assert_true(parked[i].retryable);
        ending_fini(&parked[i]);
    }
    assert_int_equal(b->main.cancelled, 3);
    assert_true(runtime_is_idle(before));
    struct runtime_stats s;
    runtime_read_stats(before, &s);
    assert_int_equal(s.parked, 0);
    assert_int_equal(s.failures, 3);
    runtime_unref(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL(is_emptied_after_a_load_that_caught_the_error),
        SMALL(is_emptied_for_a_load_that_cannot_begin),
        SMALL(tells_by_name_what_a_script_keeps),
        SMALL(lets_a_script_use_much_and_keep_little),
        SMALL(tells_of_loads_that_fill_it_together),
        SMALL(goes_on_with_counts_and_texts_in_another),
        SMALL(ends_what_still_runs_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
