/* Scripts that go out of bounds: each is stopped, and harms no other. */
#include "bind/fake.h"

#include "bind/runtime_priv.h"
#include "conf/conf.h"

static const struct bench_bounds tight = {.run_cpu_ms = 20, .memory_max = 32 << 20};

static const struct bench_bounds patient = {.run_cpu_ms = 10000, .memory_max = 32 << 20};

static int with_tight_bench(void **state)
{
    struct bench *b = malloc(sizeof *b);
    bench_start(b, tight);
    *state = b;
    return 0;
}

static int with_patient_bench(void **state)
{
    struct bench *b = malloc(sizeof *b);
    bench_start(b, patient);
    *state = b;
    return 0;
}

#define TIGHT(name)   cmocka_unit_test_setup_teardown(name, with_tight_bench, without_bench)
#define PATIENT(name) cmocka_unit_test_setup_teardown(name, with_patient_bench, without_bench)

static void stops_what_does_not_end(void **state)
{
    struct bench *b = *state;
    static const char *const bodies[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(error, 'x') end",
        "local function f() return f() end return f()",
        "local function f() pcall(f) while true do pcall(f) end end return f()",
        "local function f(...) xpcall(f, pcall, ...) while true do pcall(f, ...) end end return "
        "f(1, 2, 3)",
        "while true do xpcall(function() while true do end end, function() while true do end end) "
        "end",
        "local f = coroutine.wrap(function() while true do end end) while true do f() end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "return (('a'):rep(500)):find(('.-'):rep(20) .. 'b')",
        "while true do pcall(string.find, ('a'):rep(500), ('.-'):rep(20) .. 'b') end",
        "return (('a'):rep(1000)):gsub('a', function() while true do end end)",
        "while true do pcall(string.gsub, 'a', 'a', function() while true do end end) end",
        "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() while true do end "
        "end)",
        "local t = {} for i = 1, 1000 do t[i] = i end\n"
        "while true do pcall(table.sort, t, function() while true do end end) end",
        "local s = ('x'):rep(1e6) while true do local u = s:upper() end",
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.insert(t, 1, 0) t[#t] = "
        "nil end",
        "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true "
        "do pcall(function() return t[1] end) end",
        "local t = setmetatable({}, { __tostring = function() while true do end end }) return "
        "tostring(t)",
        "local t = setmetatable({}, { __tostring = function() while true do end end }) return "
        "('%s'):format(t)",
        "for k in function() return 1 end do end",
        "repeat until false",
        "::top:: goto top",
        "return rtcache.all { function() while true do end end }",
        "while true do pcall(rtcache.all, { function() while true do end end }) end",
        "while true do rtcache.json.encode { 1, 2, 3 } end",
        "while true do pcall(rtcache.json.decode, '[') end",
        "while true do pcall(ctx.db.row) end",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct ending end;
        int64_t before_us = clock_thread_cpu_us();
        bench_eval(b, bodies[i], &end);
        int64_t took_us = clock_thread_cpu_us() - before_us;
        if (end.outcome != RUN_FAILED || !strstr(end.err.text, ": stopped after 20 ms of CPU"))
            fail_msg("%s: %d %s", bodies[i], end.outcome, end.err.text);
        assert_int_equal(end.err.code, ERR_SCRIPT);
        assert_false(end.retryable);
        expect_text(&end.err, ".lua:");
        if (took_us > 100000)
            print_message("slow to stop (%d ms): %s\n", (int)(took_us / 1000), bodies[i]);
        ending_fini(&end);
        expect_eval(b, "return 'well'", "well");
    }
    struct runtime_stats stats;
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.cpu_stops, sizeof bodies / sizeof *bodies);
}

static void counts_the_time_of_all_resumes_together(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  while true do\n"
                              "    for i = 1, 100000 do end\n"
                              "    ctx.db:row('SELECT 1')\n"
                              "  end\n"
                              "end }");
    bench_begin(b, script, &end);
    int steps = 0;
    for (; end.calls == 0 && steps < 100000; steps++)
        fake_answer_nothing(fake_oldest(&b->main));
    assert_true(steps > 1);
    assert_int_equal(end.outcome, RUN_FAILED);
    expect_text(&end.err, "stopped after 20 ms of CPU");
    ending_fini(&end);
}

static void names_the_line_that_was_stopped(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "deep/er.lua",
                              "local function spin()\n"
                              "  while true do end\n"
                              "end\n"
                              "return { load = function()\n"
                              "  spin()\n"
                              "end }");
    bench_run(b, script, &end);
    assert_string_equal(end.err.text, "deep/er.lua:2: stopped after 20 ms of CPU");
    ending_fini(&end);
}

static void stops_what_takes_all_memory(void **state)
{
    struct bench *b = *state;
    static const char *const bodies[] = {
        "local s = 'x' while true do s = s .. s end",
        "return #(('x'):rep(2 ^ 31))",
        "return #(('x'):rep(3e7))",
        "local t = {} while true do t[#t + 1] = { {}, {} } end",
        "local t = {} for i = 1, 1e9 do t[i] = ('%d'):format(i):rep(100) end",
        "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(100) end return table.concat(t)",
        "return (('a'):rep(1e6)):gsub('a', ('b'):rep(1000))",
        "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
        "kept = {} while true do kept[#kept + 1] = { {}, {} } end",
        "return ('%s'):rep(1e6):format(unpack({}))",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct ending end;
        bench_eval(b, bodies[i], &end);
        if (end.outcome != RUN_FAILED)
            fail_msg("%s: %d", bodies[i], end.outcome);
        expect_text(&end.err, ".lua:");
        assert_int_equal(end.err.code, ERR_SCRIPT);
        ending_fini(&end);
        expect_eval(b, "return ('x'):rep(10)", "xxxxxxxxxx");
    }
    struct runtime_stats stats;
    runtime_read_stats(b->rt, &stats);
    assert_true(stats.memory_stops >= 5);
    assert_true(stats.memory_bytes < 32 << 20);
}

static void says_which_limit_of_memory_was_passed(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "a.lua",
                              "return { load = function()\n"
                              "  return ('x'):rep(3e7)\n"
                              "end }");
    bench_run(b, script, &end);
    expect_text(&end.err, "not enough memory: one load may use 16384 KiB, all scripts 32768 KiB");
    ending_fini(&end);
}

/* A run that fills the memory must not make the ones that are parked fail. */
static void keeps_parked_runs_whole(void **state)
{
    struct bench *b = *state;
    struct ending parked, end;
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  local mine = ('m'):rep(100000)\n"
                              "  ctx.db:row('SELECT 1')\n"
                              "  return #(mine .. ('n'):rep(100000))\n"
                              "end }");
    bench_begin(b, script, &parked);
    for (int i = 0; i < 10; i++) {
        bench_eval(b, "local t = {} while true do t[#t + 1] = { {} } end", &end);
        assert_int_equal(end.outcome, RUN_FAILED);
        ending_fini(&end);
    }
    fake_answer_nothing(fake_oldest(&b->main));
    expect_int(&parked, 200000);
    ending_fini(&parked);
}

static void refuses_what_nests_too_deep(void **state)
{
    struct bench *b = *state;
    static const char *const bodies[] = {
        "local function f() return 1 + f() end return f()",
        "local function f() return coroutine.wrap(f)() end return f()",
        "local function f() local ok, e = coroutine.resume(coroutine.create(f)) error(e, 0) end "
        "return f()",
        "local function f() return rtcache.all { f }[1] end return f()",
        "local function f() return (('a'):gsub('a', f)) end return f()",
        "local function f() table.sort({ 1, 2 }, f) end return f()",
        "local t = setmetatable({}, { __tostring = function(t) return ('%s'):format(t) end }) "
        "return tostring(t)",
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) "
        "rtcache.log('%s', t) end return ('%s'):format(t)",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
        "local t = setmetatable({}, { __index = function(t, k) return t[k] .. 'x' end }) return "
        "t.x",
        "local f = print for i = 1, 1e5 do local g = f f = function() return g() .. '' end end "
        "return f()",
        "local p = ('(a'):rep(1000) return ('a'):rep(1000):find(p)",
        "return ('a'):rep(1000):find(('a?'):rep(1000) .. 'b')",
        "return ('x'):rep(1000):match(('x*'):rep(500))",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct ending end;
        bench_eval(b, bodies[i], &end);
        if (end.outcome != RUN_FAILED)
            fail_msg("%s: %d", bodies[i], end.outcome);
        ending_fini(&end);
        expect_eval(b, "return 'well'", "well");
    }
}

/* The library's functions that work through a whole text allocate nothing where their result is
 * there already: only the hook looks at the clock then, and every call is one instruction. */
static void looks_often_where_texts_are_long(void **state)
{
    struct bench *b = *state;
    static const char *const bodies[] = {
        "local s = ('x'):rep(2e6) local u = s:upper() while true do u = s:upper() end",
        "local s = ('x'):rep(4e6) local a, b = s .. 'a', s .. 'b' while true do s = a < b end",
        "local s = ('1'):rep(4e6) while true do tonumber(s) end",
        "local s = ('x'):rep(4e6) while true do s:find('y', 1, true) end",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct ending end;
        struct vm *vm = b->rt->vm;
        bench_eval(b, bodies[i], &end);
        expect_text(&end.err, ": stopped after 20 ms of CPU");
        ending_fini(&end);
        assert_true(vm->hook_every < 40);
        for (int k = 0; k < 20; k++) /* each halves LuaJIT's own buffer */
            lua_gc(vm->L, LUA_GCCOLLECT, 0);
        expect_eval(b, "return 'well'", "well");
        assert_int_equal(vm->hook_every, VM_HOOK_EVERY);
    }
}

static void stops_what_asks_too_often(void **state)
{
    struct bench *b = *state;
    struct bench_bounds few = {.run_calls = 3};
    struct runtime *rt;
    struct ending end;
    struct err e;
    assert_int_equal(bench_runtime(b, &rt, few, &e), 0);
    runtime_unref(b->rt);
    b->rt = rt;
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  for i = 1, tonumber(ctx.match[1]) == 42 and 5 or 3 do\n"
                              "    pcall(function()\n"
                              "      local row = ctx.db:row('SELECT 1')\n"
                              "      return row\n"
                              "    end)\n"
                              "  end\n"
                              "  return 'enough'\n"
                              "end }");
    bench_begin(b, script, &end);
    while (end.calls == 0)
        fake_answer_nothing(fake_oldest(&b->main));
    assert_int_equal(end.outcome, RUN_FAILED);
    assert_int_equal(end.err.code, ERR_SCRIPT);
    assert_string_equal(end.err.text, "a.lua:4: stopped after 3 calls of backends (script_calls), "
                                      "by one load");
    assert_int_equal(b->main.submitted, 3);
    ending_fini(&end);

    static const struct slice other[] = {{"1", 1}};
    struct run_request q = bench_request(b, script, &end);
    struct run *run;
    q.captures = other;
    end = (struct ending){0};
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    while (end.calls == 0)
        fake_answer_nothing(fake_oldest(&b->main));
    expect_str(&end, "enough");
    ending_fini(&end);
    struct runtime_stats stats;
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.call_stops, 1);
}

static void refuses_one_text_that_is_too_long(void **state)
{
    struct bench *b = *state;
    expect_eval(b, "return #('x'):rep(15e6) .. ''", "15000000");
    expect_failure(b, "return #('x'):rep(17e6)", ERR_SCRIPT, "not enough memory");
    expect_failure(b, "return rtcache.json.decode(('1'):rep(5e6))", ERR_SCRIPT,
                   "a text of 5000000 bytes");
}

static void stays_sound_over_many_stops(void **state)
{
    struct bench *b = *state;
    struct bench_bounds quick = {.run_cpu_ms = 2, .memory_max = 16 << 20};
    struct runtime *rt;
    struct err e;
    assert_int_equal(bench_runtime(b, &rt, quick, &e), 0);
    runtime_unref(b->rt);
    b->rt = rt;
    int script =
        bench_script(b, "a.lua",
                     "local n = 0\n"
                     "return { load = function(key, ctx)\n"
                     "  n = n + 1\n"
                     "  if n % 3 == 0 then return n end\n"
                     "  local t = {}\n"
                     "  while true do\n"
                     "    pcall(function() for i = 1, 100 do t[i] = { tostring(i) } end end)\n"
                     "  end\n"
                     "end }");
    int found = 0;
    for (int i = 0; i < 600; i++) {
        struct ending end;
        bench_run(b, script, &end);
        found += end.outcome == RUN_FOUND;
        ending_fini(&end);
    }
    assert_int_equal(found, 200);
}

/* Whether LuaJIT has made machine code of anything so far. */
static bool has_compiled(struct bench *b)
{
    lua_State *L = b->rt->vm->L;
    bool compiled = false;
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    if (lua_istable(L, -1))
        lua_getfield(L, -1, "jit.util");
    if (lua_isfunction(L, -1)) { /* else the compiler was never opened */
        lua_call(L, 0, 1);
        lua_getfield(L, -1, "traceinfo");
        lua_pushinteger(L, 1);
        lua_call(L, 1, 1);
        compiled = lua_istable(L, -1);
    }
    lua_settop(L, 0);
    return compiled;
}

static int add_with_jit(struct bench *b, const char *file, bool jit)
{
    const struct conf_loader l = {.script = file, .jit = jit};
    struct err e;
    int script;
    if (runtime_add_loader(b->rt, &l, &script, &e) != 0)
        fail_msg("%s", e.text);
    return script;
}

static void run_loop(struct bench *b, int script)
{
    struct ending end;
    bench_run(b, script, &end);
    assert_int_equal(end.outcome, RUN_FOUND);
    ending_fini(&end);
}

static void makes_machine_code_only_of_those_who_ask_for_it(void **state)
{
    struct bench *b = *state;
    static const char text[] = "local seen = rawget(_G, 'jit') ~= nil or pcall(require, 'jit')\n"
                               "return { load = function()\n"
                               "  if seen then return nil, 'the compiler can be reached' end\n"
                               "  local sum = 0\n"
                               "  for i = 1, 10000 do sum = sum + i end\n"
                               "  return sum\n"
                               "end }";
    bench_file(b, "loop.lua", text);
    int plain = add_with_jit(b, "loop.lua", false);
    run_loop(b, plain);
    assert_false(has_compiled(b));
    int compiled = add_with_jit(b, "loop.lua", true);
    assert_int_not_equal(plain, compiled);
    assert_int_equal(add_with_jit(b, "loop.lua", true), compiled);
    assert_int_equal(add_with_jit(b, "loop.lua", false), plain);
    run_loop(b, plain);
    assert_false(has_compiled(b));
    run_loop(b, compiled);
    assert_true(has_compiled(b));
    /* The others are stopped as before. */
    bench_file(b, "endless.lua", "return { load = function() while true do end end }");
    struct ending end;
    bench_run(b, add_with_jit(b, "endless.lua", false), &end);
    assert_int_equal(end.outcome, RUN_FAILED);
    ending_fini(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIGHT(stops_what_does_not_end),
        TIGHT(counts_the_time_of_all_resumes_together),
        TIGHT(names_the_line_that_was_stopped),
        PATIENT(stops_what_takes_all_memory),
        PATIENT(says_which_limit_of_memory_was_passed),
        PATIENT(keeps_parked_runs_whole),
        TIGHT(refuses_what_nests_too_deep),
        TIGHT(looks_often_where_texts_are_long),
        TIGHT(stops_what_asks_too_often),
        CASE(refuses_one_text_that_is_too_long),
        TIGHT(stays_sound_over_many_stops),
        TIGHT(makes_machine_code_only_of_those_who_ask_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
