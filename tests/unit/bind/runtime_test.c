#include "bind/fake.h"

static void refuse(struct bench *b, const char *text, const char *part)
{
    struct err e;
    int script;
    bench_file(b, "bad.lua", text);
    int rc = runtime_add_script(b->rt, "bad.lua", &script, &e);
    assert_int_not_equal(rc, 0);
    expect_text(&e, part);
    expect_text(&e, "bad.lua");
}

static void takes_a_table_of_functions(void **state)
{
    struct bench *b = *state;
    int script =
        bench_script(b, "a.lua", "return { load = function() end, remove = function() end }");
    assert_true(runtime_has(b->rt, script, RUN_LOAD));
    assert_true(runtime_has(b->rt, script, RUN_REMOVE));
    assert_false(runtime_has(b->rt, script, RUN_SAVE));
    assert_false(runtime_has(b->rt, script + 1, RUN_LOAD));
    assert_int_equal(bench_script(b, "a.lua", "return {}"), script); /* read once */
    assert_int_not_equal(bench_script(b, "b.lua", "return { load_many = function() end }"), script);
}

static void refuses_what_is_no_script(void **state)
{
    struct bench *b = *state;
    struct err e;
    int script;
    refuse(b, "return {\n  load = function( end\n}", "bad.lua:2:");
    refuse(b, "local x = 1\nerror('not today')", "bad.lua:2: not today");
    refuse(b, "local x\nreturn x.y", "bad.lua:2: attempt to index local 'x'");
    refuse(b, "\nrtcache.sleep(1)",
           "bad.lua:2: rtcache.sleep cannot be called while the script is read, only while a load "
           "runs");
    refuse(b, "\nrtcache.backend('main'):row('SELECT 1')",
           "bad.lua:2: db:row cannot be called while the script is read, only while a load runs");
    refuse(b, "coroutine.yield()", "coroutine.yield outside of a coroutine");
    refuse(b, "error({})", "bad.lua:1: the script threw a table");
    refuse(b, "error('placed elsewhere', 0)", "bad.lua:1: placed elsewhere");
    refuse(b, "return 42", "bad.lua:1: the script returned a number, not a table {load = function");
    refuse(b, "return { load = function() end, [true] = 1 }",
           "bad.lua:1: the script's table has a key that is a boolean; it takes load, load_many, "
           "save and remove");
    refuse(b, "return { save = function() end }",
           "bad.lua:1: the script's table has no function \"load\" or \"load_many\"");
    refuse(b, "return 42", "returned a number");
    refuse(b, "", "returned a nil");
    refuse(b, "return {}", "no function \"load\"");
    refuse(b, "return { load = 1 }", "load is a number, not a function");
    refuse(b, "return { load = function() end, lod = function() end }", "\"lod\"");
    refuse(b, "return { load = function() end, 7 }", "a key that is a number");
    refuse(b, "\x1bLJ\x02\x02", "bad.lua");
    refuse(b, "error({})", "threw a table");
    refuse(b, "coroutine.yield(1)", "coroutine.yield outside");
    refuse(b, "rtcache.sleep(1)",
           "bad.lua:1: rtcache.sleep cannot be called while the script is read");
    refuse(b, "rtcache.backend('main'):row('SELECT 1')",
           "bad.lua:1: db:row cannot be called while");
    assert_int_equal(runtime_add_script(b->rt, "none.lua", &script, &e), ERR_IO);
    expect_text(&e, "none.lua: No such file");
    assert_int_equal(runtime_add_script(b->rt, ".", &script, &e), ERR_IO);
}

static void stops_a_main_chunk_that_does_not_end(void **state)
{
    struct bench *b = *state;
    refuse(b, "local n = 0\nwhile true do n = n + 1 end",
           "bad.lua:2: stopped after 2000 ms of CPU");
    refuse(b, "local t = {}\nwhile true do t[#t + 1] = {} end", "not enough memory");
    int script = bench_script(b, "good.lua", "return { load = function() return 'well' end }");
    struct ending end;
    bench_run(b, script, &end);
    expect_str(&end, "well");
    ending_fini(&end);
}

static void validates_without_a_loop(void **state)
{
    struct bench *b = *state;
    struct runtime_options o = {.scripts_dir = b->dir,
                                .lua_dir = b->lua_dir,
                                .memory_max = 16 << 20,
                                .run_cpu_ms = 100,
                                .value_max = 1000,
                                .backend_confs = fake_confs,
                                .backend_count = 1};
    struct runtime *rt;
    struct err e;
    int script;
    bench_file(b, "a.lua", "local db = rtcache.backend 'main'\nreturn { load = function() end }");
    bench_file(b, "b.lua", "local db = rtcache.backend 'shop'\nreturn { load = function() end }");
    assert_int_equal(runtime_new(&rt, &o, &e), 0);
    assert_int_equal(runtime_add_script(rt, "a.lua", &script, &e), 0);
    assert_int_equal(runtime_add_script(rt, "b.lua", &script, &e), ERR_SCRIPT);
    assert_string_equal(e.text, "b.lua:1: no backend is called \"shop\"; known: main");
    struct run *run;
    struct ending end = {0};
    struct run_request q = bench_request(b, 0, &end);
    assert_int_equal(run_start(&run, rt, &q, &e), ERR_INTERNAL);
    runtime_unref(rt);
}

static void needs_memory_to_begin(void **state)
{
    struct bench *b = *state;
    struct runtime *rt;
    struct err e;
    for (size_t memory = 1000; memory < 200000; memory += 1777) {
        int rc = bench_runtime(b, &rt, (struct bench_bounds){.memory_max = memory}, &e);
        if (rc == 0)
            runtime_unref(rt);
        else
            assert_int_equal(rc, ERR_NOMEM);
    }
    assert_int_equal(b->main.head.refs, 2);
}

static void requires_modules_of_two_folders(void **state)
{
    struct bench *b = *state;
    bench_write(b->lua_dir, "shared/words.lua", "return { hello = 'hello from lua' }");
    bench_file(b, "near.lua", "count = (count or 0) + 1\nreturn { count = count }");
    expect_eval(b, "return require('shared.words').hello .. require('near').count",
                "hello from lua1");
    expect_eval(b, "require 'near' return 'read once: ' .. require('near').count", "read once: 1");
    expect_failure(b, "return require 'nowhere'", ERR_SCRIPT, "there is no nowhere.lua");
    expect_failure(b, "local m = require '../near'", ERR_SCRIPT, "require takes a module's name");
    expect_failure(b, "local m = require '/etc/passwd'", ERR_SCRIPT, "require takes");
    expect_failure(b, "local m = require 'a..b'", ERR_SCRIPT, "require takes");
    static const char *const closed[] = {"ffi", "jit", "debug", "io", "package", "_G"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        char body[64], why[64];
        snprintf(body, sizeof body, "local m = require '%s'", closed[i]);
        snprintf(why, sizeof why, "there is no %s.lua", closed[i]);
        expect_failure(b, body, ERR_SCRIPT, why);
    }
    expect_eval(b, "local bit = require 'bit' bit.band = nil return 'own: ' .. _G.bit.bor(4, 3)",
                "own: 7");
    expect_eval(b, "return 'whole: ' .. tostring(require('bit').band(-1LL, 0xffffffffffffLL))",
                "whole: 281474976710655");
    bench_file(b, "bit.lua", "return { mine = 'a file of that name goes first' }");
    expect_eval(b, "return require('bit').mine", "a file of that name goes first");
    bench_file(b, "wrong.lua", "return nil nil");
    expect_failure(b, "local m = require 'wrong'", ERR_SCRIPT, "wrong.lua:1:");
    bench_file(b, "throws.lua", "\n\nerror 'thrown in a module'");
    expect_failure(b, "local m = require 'throws'", ERR_LOAD_FAILED, "throws.lua:3: thrown in");
    bench_file(b, "self.lua", "return require 'self'");
    expect_failure(b, "local m = require 'self'", ERR_SCRIPT, "requires itself");
    bench_file(b, "waits.lua", "return { n = rtcache.backend('main'):value('SELECT 7') }");
    int script =
        bench_script(b, "late.lua", "return { load = function() return require('waits').n end }");
    struct ending end;
    bench_begin(b, script, &end);
    fake_answer_int(fake_oldest(&b->main), 7);
    expect_int(&end, 7);
    ending_fini(&end);
}

/* A reload makes a second runtime on the same backends. */
static void lives_until_its_last_run_has_ended(void **state)
{
    struct bench *b = *state;
    struct err e;
    struct ending old_end, new_end;
    int script = bench_script(b, "user.lua",
                              "return { load = function(key, ctx) return 'old ' .. "
                              "ctx.db:value('SELECT 1') end }");
    bench_begin(b, script, &old_end);
    struct runtime *old = b->rt;
    assert_int_equal(bench_runtime(b, &b->rt, (struct bench_bounds){0}, &e), 0);
    assert_int_equal(b->main.head.refs, 3);
    script = bench_script(b, "user.lua",
                          "return { load = function(key, ctx) return 'new ' .. "
                          "ctx.db:value('SELECT 1') end }");
    runtime_unref(old);
    bench_begin(b, script, &new_end);
    fake_answer_int(fake_oldest(&b->main), 1);
    expect_str(&old_end, "old 1");
    assert_int_equal(b->main.head.refs, 2); /* the old runtime is gone */
    fake_answer_int(fake_oldest(&b->main), 2);
    expect_str(&new_end, "new 2");
    ending_fini(&old_end);
    ending_fini(&new_end);
}

static void counts_what_it_runs(void **state)
{
    struct bench *b = *state;
    struct runtime_stats stats;
    struct ending end;
    bench_eval(b, "return 1", &end);
    ending_fini(&end);
    bench_eval(b, "error 'no'", &end);
    ending_fini(&end);
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.runs, 2);
    assert_int_equal(stats.failures, 1);
    assert_int_equal(stats.parked, 0);
    assert_true(stats.memory_bytes > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(takes_a_table_of_functions),
        CASE(refuses_what_is_no_script),
        CASE(stops_a_main_chunk_that_does_not_end),
        CASE(validates_without_a_loop),
        CASE(needs_memory_to_begin),
        CASE(requires_modules_of_two_folders),
        CASE(lives_until_its_last_run_has_ended),
        CASE(counts_what_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
