#include "bind/fake.h"
#include "store/store.h"

static void answers_without_waiting(void **state)
{
    struct bench *b = *state;
    expect_eval(b, "return key .. '/' .. ctx.match[1] .. '/' .. ctx.pattern .. '/' .. ctx.attempt",
                "user:42/42/user:*/1");
}

static void waits_for_a_query(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "user.lua",
                              "return { load = function(key, ctx)\n"
                              "  local n = ctx.db:value('SELECT n WHERE id = $1', ctx.match[1])\n"
                              "  return n + 1\n"
                              "end }");
    struct run *run = bench_begin(b, script, &end);
    assert_non_null(run);
    struct call *q = fake_oldest(&b->main);
    assert_true(slice_eq_str(q->text, "SELECT n WHERE id = $1"));
    assert_int_equal(q->shape, CALL_VALUE);
    assert_memory_equal(q->params.data,
                        "\x91\xa2"
                        "42",
                        4);
    struct runtime_stats stats;
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.parked, 1);
    fake_answer_int(q, 41);
    assert_int_equal(end.calls, 1);
    expect_int(&end, 42);
    ending_fini(&end);
}

static void is_told_what_is_stored(void **state)
{
    struct bench *b = *state;
    struct ending end = {0};
    struct err e;
    struct run *run;
    int script =
        bench_script(b, "a.lua",
                     "return { load = function(key, ctx)\n"
                     "  assert(ctx.value.a == 1 and ctx.value == ctx.value)\n"
                     "  assert(ctx.nothing == nil and ctx.attempt == 3 and ctx.key == key)\n"
                     "  local left = ctx:deadline_ms()\n"
                     "  assert(left > 0 and left <= 60000, left)\n"
                     "  return tostring(ctx.version)\n"
                     "end }");
    struct run_request q = bench_request(b, script, &end);
    q.stored = entry_new_value(slice_of("\x81\xa1"
                                        "a\x01",
                                        4));
    q.has_version = true;
    q.version = INT64_C(9007199254740993);
    q.attempt = 3;
    q.deadline_ms = clock_ms() + 60000;
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    entry_unref(q.stored);
    expect_str(&end, "9007199254740993");
    ending_fini(&end);
    expect_eval(b, "return tostring(ctx.value) .. tostring(ctx.version)", "nilnil");
    expect_failure(b, "local left = ctx.deadline_ms()", ERR_SCRIPT, "ctx:deadline_ms()");
    q = bench_request(b,
                      bench_script(b, "b.lua",
                                   "return { load = function(key, ctx) return "
                                   "tostring(ctx.db) end }"),
                      &end);
    q.backend = -1;
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    expect_str(&end, "nil");
    ending_fini(&end);
}

#define MANY 10000

static void parks_ten_thousand_and_ends_them_all(void **state)
{
    struct bench *b = *state;
    struct ending *ends = calloc(MANY, sizeof *ends);
    struct runtime_stats before, stats;
    runtime_read_stats(b->rt, &before);
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  return ctx.db:value('SELECT 1') + ctx.db:value('SELECT 2')\n"
                              "end }");
    for (int i = 0; i < MANY; i++)
        assert_non_null(bench_begin(b, script, &ends[i]));
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.parked, MANY);
    print_message("%d parked: %zu bytes of VM each\n", MANY,
                  (size_t)(stats.memory_bytes - before.memory_bytes) / MANY);
    for (int64_t i = 0; i < 2 * MANY; i++)
        fake_answer_int(fake_oldest(&b->main), i);
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.parked, 0);
    assert_int_equal(stats.failures, 0);
    for (int64_t i = 0; i < MANY; i++) {
        expect_int(&ends[i], i + i + MANY);
        ending_fini(&ends[i]);
    }
    free(ends);
}

static void is_cancelled_while_it_is_parked(void **state)
{
    struct bench *b = *state;
    struct ending ends[100];
    struct run *runs[100];
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  if key == 'never' then return rtcache.sleep(1) end\n"
                              "  local db = ctx.db\n"
                              "  return rtcache.all {\n"
                              "    function() return db:value('SELECT 1') end,\n"
                              "    function() rtcache.sleep(1000) end,\n"
                              "  }\n"
                              "end }");
    for (int i = 0; i < 100; i++)
        runs[i] = bench_begin(b, script, &ends[i]);
    assert_int_equal(b->main.submitted, 100);
    for (int i = 0; i < 100; i += 2)
        run_cancel(runs[i]);
    assert_int_equal(b->main.cancelled, 50);
    for (int i = 0; i < 50; i++)
        fake_answer_int(fake_oldest(&b->main), i);
    struct runtime_stats stats;
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.parked, 50); /* they sleep */
    for (int i = 1; i < 100; i += 2)
        run_cancel(runs[i]);
    runtime_read_stats(b->rt, &stats);
    assert_int_equal(stats.parked, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ends[i].calls, 0);
    expect_eval(b, "return 'well'", "well");
}

/* done may start the next run: that must not grow the C stack. */
struct chain {
    struct bench *b;
    int script, left;
};

static void start_next(struct run *r, struct run_result *result, void *arg)
{
    (void)r;
    struct chain *c = arg;
    assert_int_equal(result->outcome, RUN_FOUND);
    if (c->left-- == 0)
        return;
    struct run *run;
    struct err e;
    struct run_request q = bench_request(c->b, c->script, NULL);
    q.done = start_next;
    q.arg = c;
    assert_int_equal(run_start(&run, c->b->rt, &q, &e), 0);
}

static void may_start_the_next_one_from_done(void **state)
{
    struct bench *b = *state;
    struct chain c = {.b = b, .left = 100000};
    c.script = bench_script(b, "a.lua", "return { load = function() return 1 end }");
    struct run *run;
    struct err e;
    struct run_request q = bench_request(b, c.script, NULL);
    q.done = start_next;
    q.arg = &c;
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    assert_null(run);
    assert_int_equal(c.left, -1);
}

static void reports_a_failed_query_with_its_line(void **state)
{
    struct bench *b = *state;
    static const char *const bodies[] = {
        "\nlocal row = ctx.db:row('SELECT')\nreturn row",
        "\nreturn ctx.db:row('SELECT')",
        "\nreturn (ctx.db:row('SELECT'))",
        "\nlocal f = function() return ctx.db:row('SELECT') end\nreturn f()",
        "\nlocal co = coroutine.wrap(function() return ctx.db:row('SELECT') end)\nreturn co()",
        "\nlocal t = rtcache.all { function() return ctx.db:row('SELECT') end }\nreturn t",
        "\nlocal ok, e = pcall(ctx.db.row, ctx.db, 'SELECT')\nerror(e)",
        "local ok, e = pcall(function()\nreturn ctx.db:row('SELECT') end)\nerror(e)",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[300], file[16], expected[100];
        struct ending end;
        snprintf(text, sizeof text, "return { load = function(key, ctx)\n%s\nend }", bodies[i]);
        snprintf(file, sizeof file, "q%zu.lua", i);
        bench_begin(b, bench_script(b, file, text), &end);
        fake_fail(fake_oldest(&b->main), ERR_BACKEND, "42601 syntax error");
        assert_int_equal(end.outcome, RUN_FAILED);
        snprintf(expected, sizeof expected, "q%zu.lua:3: 42601 syntax error", i);
        assert_string_equal(end.err.text, expected);
        assert_int_equal(end.err.code, ERR_BACKEND);
        assert_false(end.retryable);
        ending_fini(&end);
    }
}

static void may_catch_a_failed_query(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script =
        bench_script(b, "a.lua",
                     "return { load = function(key, ctx)\n"
                     "  local ok, e = pcall(ctx.db.row, ctx.db, 'SELECT')\n"
                     "  assert(not ok)\n"
                     "  assert(getmetatable(e) == false)\n"
                     "  return e.code .. '|' .. e.message .. '|' .. tostring(e.retryable)\n"
                     "    .. '|' .. tostring(e)\n"
                     "end }");
    bench_begin(b, script, &end);
    fake_fail(fake_oldest(&b->main), ERR_BACKEND_DOWN, "57P01 terminating");
    expect_str(&end, "BACKEND_DOWN|57P01 terminating|true|a.lua:2: 57P01 terminating");
    ending_fini(&end);
}

static void runs_several_at_once(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script =
        bench_script(b, "a.lua",
                     "return { load = function(key, ctx)\n"
                     "  local function ask(n) return function()\n"
                     "    local v = ctx.db:value('SELECT $1', n)\n"
                     "    return v, 'second'\n"
                     "  end end\n"
                     "  local inner\n"
                     "  local t = rtcache.all {\n"
                     "    ask(1), function() return 'at once' end, ask(2),\n"
                     "    function() inner = rtcache.all { ask(3), ask(4) } end,\n"
                     "  }\n"
                     "  return table.concat({ t[1], t[2], t[3], inner[1], inner[2] }, ' ')\n"
                     "end }");
    bench_begin(b, script, &end);
    assert_int_equal(b->main.submitted, 4);
    struct call *q[4];
    for (int i = 0; i < 4; i++) {
        q[i] = fake_oldest(&b->main);
        list_remove(&q[i]->link);
    }
    fake_answer_int(q[3], 40);
    fake_answer_int(q[1], 20);
    fake_answer_int(q[2], 30);
    assert_int_equal(end.calls, 0);
    fake_answer_int(q[0], 10);
    expect_str(&end, "10 at once 20 30 40");
    ending_fini(&end);
    expect_eval(b, "return tostring(#rtcache.all {})", "0");
}

static void gives_the_others_up_when_one_of_several_fails(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  local function ask() return ctx.db:value('SELECT 1') end\n"
                              "  local ok, e = pcall(rtcache.all, {\n"
                              "    ask, function() return rtcache.all { ask, ask } end, ask })\n"
                              "  return tostring(ok) .. tostring(e)\n"
                              "end }");
    bench_begin(b, script, &end);
    assert_int_equal(b->main.submitted, 4);
    fake_fail(container_of(b->main.queries.prev, struct call, link), ERR_BACKEND, "boom");
    assert_int_equal(b->main.cancelled, 3);
    expect_str(&end, "falsea.lua:2: boom");
    ending_fini(&end);
    expect_failure(b, "rtcache.all { function() error 'x' end }", ERR_LOAD_FAILED, ".lua:2: x");
    expect_failure(b, "local t = rtcache.all { 1 }", ERR_SCRIPT, "element 1 is a number");
    expect_failure(b, "local t = rtcache.all()", ERR_SCRIPT, "a table of functions, not a nil");
}

static void sleeps(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "a.lua",
                              "return { load = function(key, ctx)\n"
                              "  rtcache.sleep(0.001) rtcache.sleep(0)\n"
                              "  return 'awake'\n"
                              "end }");
    assert_non_null(bench_begin(b, script, &end));
    while (end.calls == 0)
        ev_run(b->loop, EVRUN_ONCE);
    expect_str(&end, "awake");
    ending_fini(&end);
    expect_failure(b, "rtcache.sleep(-1)", ERR_SCRIPT, "0 to 3600 seconds, not -1");
    expect_failure(b, "rtcache.sleep(0/0)", ERR_SCRIPT, "0 to 3600 seconds");
    expect_failure(b, "rtcache.sleep '1'", ERR_SCRIPT, "takes seconds, not a string");
}

static void waits_inside_coroutines_of_the_script(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script =
        bench_script(b, "a.lua",
                     "return { load = function(key, ctx)\n"
                     "  local texts = {}\n"
                     "  local co = coroutine.create(function(a)\n"
                     "    local n = ctx.db:value('SELECT 1')\n"
                     "    local b = coroutine.yield(a + n)\n"
                     "    local ok, m = pcall(function() return ctx.db:value('SELECT 2') end)\n"
                     "    return b + m\n"
                     "  end)\n"
                     "  texts[1] = tostring(select(2, coroutine.resume(co, 100)))\n"
                     "  texts[2] = tostring(select(2, coroutine.resume(co, 1000)))\n"
                     "  texts[3] = coroutine.status(co)\n"
                     "  local gen = coroutine.wrap(function()\n"
                     "    for i = 1, 2 do coroutine.yield(ctx.db:value('SELECT 3')) end\n"
                     "  end)\n"
                     "  for v in gen do texts[#texts + 1] = tostring(v) end\n"
                     "  texts[#texts + 1] = tostring(coroutine.running())\n"
                     "  return table.concat(texts, ' ')\n"
                     "end }");
    bench_begin(b, script, &end);
    for (int i = 1; i <= 4; i++)
        fake_answer_int(fake_oldest(&b->main), i);
    expect_str(&end, "101 1002 dead 3 4 nil");
    ending_fini(&end);
}

static void waits_inside_metamethods_and_iterators(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script =
        bench_script(b, "a.lua",
                     "return { load = function(key, ctx)\n"
                     "  local t = setmetatable({}, {\n"
                     "    __index = function(_, k) return ctx.db:value('SELECT 1') end })\n"
                     "  local sum = t.x\n"
                     "  for v in function(_, last)\n"
                     "    if not last then return ctx.db:value('SELECT 2') end end do\n"
                     "    sum = sum + v\n"
                     "  end\n"
                     "  return sum\n"
                     "end }");
    bench_begin(b, script, &end);
    fake_answer_int(fake_oldest(&b->main), 10);
    fake_answer_int(fake_oldest(&b->main), 20);
    expect_int(&end, 30);
    ending_fini(&end);
}

static void cannot_wait_inside_calls_of_c_functions(void **state)
{
    struct bench *b = *state;
    expect_failure(b, "return (('a'):gsub('a', function() return ctx.db:value('SELECT 1') end))",
                   ERR_SCRIPT,
                   ".lua:2: db:value cannot wait here: inside a function that string.gsub");
    expect_failure(b, "table.sort({ 2, 1 }, function() return ctx.db:value('SELECT 1') end)",
                   ERR_SCRIPT, ".lua:2: db:value cannot wait here");
    expect_failure(b, "table.sort({ 2, 1 }, function() rtcache.sleep(1) end)", ERR_SCRIPT,
                   "rtcache.sleep cannot wait here");
    assert_int_equal(b->main.submitted, 0);
}

/* A coroutine kept beyond its run, or between runs, must not confuse the runtime. */
static void survives_coroutines_that_outlive_their_run(void **state)
{
    struct bench *b = *state;
    struct ending first, second;
    int script = bench_script(b, "a.lua",
                              "local kept\n"
                              "return { load = function(key, ctx)\n"
                              "  if not kept then\n"
                              "    kept = coroutine.create(function()\n"
                              "      return ctx.db:value('SELECT 1') end)\n"
                              "    return coroutine.resume(kept)\n"
                              "  end\n"
                              "  local ok, e = coroutine.resume(kept)\n"
                              "  return tostring(ok) .. ' ' .. tostring(e)\n"
                              "end }");
    struct run *run = bench_begin(b, script, &first);
    bench_run(b, script, &second);
    expect_str(&second, "false cannot resume a coroutine that waits for a backend");
    ending_fini(&second);
    run_cancel(run);
    bench_run(b, script, &second);
    expect_str(&second, "false cannot resume a coroutine that waits for a backend");
    ending_fini(&second);
}

static void keeps_a_context_to_its_own_run(void **state)
{
    struct bench *b = *state;
    struct ending first, second;
    int script = bench_script(b, "a.lua",
                              "local kept\n"
                              "return { load = function(key, ctx)\n"
                              "  if not kept then\n"
                              "    kept = ctx\n"
                              "    return ctx.db:value('SELECT 1')\n"
                              "  end\n"
                              "  assert(kept ~= ctx)\n"
                              "  return tostring(kept.value)\n"
                              "end }");
    bench_begin(b, script, &first);
    bench_run(b, script, &second);
    expect_str(&second, "nil");
    ending_fini(&second);
    fake_answer_int(fake_oldest(&b->main), 1);
    ending_fini(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_without_waiting),
        CASE(waits_for_a_query),
        CASE(is_told_what_is_stored),
        CASE(parks_ten_thousand_and_ends_them_all),
        CASE(is_cancelled_while_it_is_parked),
        CASE(may_start_the_next_one_from_done),
        CASE(reports_a_failed_query_with_its_line),
        CASE(may_catch_a_failed_query),
        CASE(runs_several_at_once),
        CASE(gives_the_others_up_when_one_of_several_fails),
        CASE(sleeps),
        CASE(waits_inside_coroutines_of_the_script),
        CASE(waits_inside_metamethods_and_iterators),
        CASE(cannot_wait_inside_calls_of_c_functions),
        CASE(survives_coroutines_that_outlive_their_run),
        CASE(keeps_a_context_to_its_own_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
