#include "bind/fake.h"

static const struct bench_bounds usual = {0};

static int with_bench(void **state)
{
    struct bench *b = malloc(sizeof *b);
    bench_start(b, usual);
    *state = b;
    return 0;
}

static int without_bench(void **state)
{
    bench_stop(*state);
    free(*state);
    return 0;
}

static void answers_a_value_without_waiting(void **state)
{
    struct bench *b = *state;
    expect_eval(b, "return key .. '/' .. ctx.match[1] .. '/' .. ctx.pattern .. '/' .. ctx.attempt",
                "user:42/42/user:*/1");
}

static void waits_for_a_row(void **state)
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
    struct query *q = fake_oldest(&b->main);
    assert_true(slice_eq_str(q->sql, "SELECT n WHERE id = $1"));
    assert_int_equal(q->shape, QUERY_VALUE);
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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, with_bench, without_bench)
    const struct CMUnitTest tests[] = {
        CASE(answers_a_value_without_waiting),
        CASE(waits_for_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
