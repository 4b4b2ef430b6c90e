#include "bind/fake.h"

static void tells_found_absent_failed_and_unchanged_apart(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *body;
        enum run_outcome outcome;
    } cases[] = {
        {"return 1", RUN_FOUND},
        {"return false", RUN_FOUND},
        {"return ''", RUN_FOUND},
        {"return rtcache.null", RUN_FOUND},
        {"return {}", RUN_FOUND},
        {"", RUN_ABSENT},
        {"return", RUN_ABSENT},
        {"return nil", RUN_ABSENT},
        {"return nil, nil", RUN_ABSENT},
        {"return rtcache.unchanged", RUN_UNCHANGED},
        {"return nil, 'broken'", RUN_FAILED},
        {"error 'broken'", RUN_FAILED},
        {"return 1, 2", RUN_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ending end;
        bench_eval(b, cases[i].body, &end);
        if (end.outcome != cases[i].outcome)
            fail_msg("%s: %d", cases[i].body, end.outcome);
        ending_fini(&end);
    }
}

static void reads_options_beside_the_value(void **state)
{
    struct bench *b = *state;
    struct ending end;
    bench_eval(b,
               "return 1, { ttl = 1.5, stale_ttl = '60s', version = 9007199254740993LL,"
               " tags = { 'a', 'b' }, cache = false }",
               &end);
    assert_int_equal(end.outcome, RUN_FOUND);
    assert_int_equal(end.ttl_ms, 1500);
    assert_int_equal(end.stale_ttl_ms, 60000);
    assert_true(end.has_version);
    assert_int_equal(end.version, INT64_C(9007199254740993));
    assert_true(end.no_store);
    assert_int_equal(end.tags.size, 5);
    assert_memory_equal(end.tags.data,
                        "\x92\xa1"
                        "a\xa1"
                        "b",
                        5);
    ending_fini(&end);
    bench_eval(b, "return 1", &end);
    assert_int_equal(end.ttl_ms, -1);
    assert_int_equal(end.stale_ttl_ms, -1);
    assert_false(end.has_version);
    assert_false(end.no_store);
    assert_int_equal(end.tags.size, 0);
    ending_fini(&end);
    bench_eval(b, "return rtcache.unchanged, { ttl = 3, version = -5 }", &end);
    assert_int_equal(end.outcome, RUN_UNCHANGED);
    assert_int_equal(end.ttl_ms, 3000);
    assert_int_equal(end.version, -5);
    ending_fini(&end);
}

static void names_the_option_that_is_wrong(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *options, *part;
    } cases[] = {
        {"{ tll = 5 }", "unknown option \"tll\", did you mean \"ttl\"?"},
        {"{ quite_another = 5 }", "unknown option \"quite_another\""},
        {"{ 5 }", "a key that is a number"},
        {"{ ttl = -1 }", "option \"ttl\": -1 is no number of seconds"},
        {"{ ttl = 0/0 }", "option \"ttl\""},
        {"{ ttl = 1/0 }", "option \"ttl\": inf"},
        {"{ ttl = {} }", "option \"ttl\" is a table"},
        {"{ stale_ttl = 'soon' }", "option \"stale_ttl\": "},
        {"{ version = 1.5 }", "option \"version\": 1.5 is not an exact integer"},
        {"{ version = 2^60 }", "option \"version\": 1.152921504606847e+18 is not an exact"},
        {"{ version = '7' }", "option \"version\" is a string"},
        {"{ version = rtcache.null }", "option \"version\" is rtcache.null"},
        {"{ version = 18446744073709551615ULL }", "option \"version\" is a cdata"},
        {"{ tags = 'a' }", "option \"tags\" is a string"},
        {"{ tags = { 1 } }", "option \"tags\": tag 1 is a number"},
        {"{ tags = { 'a', '' } }", "option \"tags\": tag 2 is not 1 to 255 bytes"},
        {"{ tags = { x = 'a' } }", "option \"tags\" is a map"},
        {"{ cache = 0 }", "option \"cache\" is a number"},
        {"'soon'", "the second result is a string, not a table of options"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[160];
        snprintf(body, sizeof body, "return 1, %s", cases[i].options);
        expect_failure(b, body, ERR_SCRIPT, cases[i].part);
    }
}

static void keeps_code_text_and_place_of_an_error(void **state)
{
    struct bench *b = *state;
    expect_failure(b, "error 'broken'", ERR_LOAD_FAILED, ".lua:2: broken");
    expect_failure(b, "error('broken', 0)", ERR_LOAD_FAILED, ".lua:2: broken");
    expect_failure(b, "assert(false, 'broken')", ERR_LOAD_FAILED, ".lua:2: broken");
    expect_failure(b, "assert(nil)", ERR_LOAD_FAILED, ".lua:2: assertion failed!");
    expect_failure(b, "\n\nreturn nil, 'broken'", ERR_LOAD_FAILED, ".lua:1: broken");
    expect_failure(b, "return nil, { code = 'BACKEND_DOWN', message = 'gone' }", ERR_BACKEND_DOWN,
                   ".lua:1: gone");
    expect_failure(b, "\nerror { code = 'TIMEOUT', message = 'late' }", ERR_TIMEOUT,
                   ".lua:3: late");
    expect_failure(b, "error { code = 'E42', message = 'odd' }", ERR_LOAD_FAILED,
                   ".lua:2: E42 odd");
    expect_failure(b, "error {}", ERR_LOAD_FAILED, "an error table without a message");
    expect_failure(b, "error(nil)", ERR_LOAD_FAILED, "the error is a nil");
    expect_failure(b, "error(42)", ERR_LOAD_FAILED, "42");
    expect_failure(b, "return nil, true", ERR_LOAD_FAILED, "the error is a boolean");
    expect_failure(b, "local t\nlocal x = t.y", ERR_SCRIPT, ".lua:3: attempt to index");
    expect_failure(b, "return undefined()", ERR_SCRIPT, ".lua:2: attempt to call global");
    expect_failure(b, "local ok, e = pcall(function() local t\nreturn t.x end)\nerror(e, 0)",
                   ERR_LOAD_FAILED, ".lua:3: attempt to index");
    expect_failure(b, "coroutine.wrap(function() local t\nlocal x = t.x end)()", ERR_SCRIPT,
                   ".lua:3: attempt to index");
    expect_failure(b, "local function f() return 1 + f() end return f()", ERR_SCRIPT,
                   "stack overflow");
}

static void says_whether_a_retry_may_help(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *body;
        bool retryable;
    } cases[] = {
        {"error 'x'", true},
        {"return nil, 'x'", true},
        {"return nil, { message = 'x', retryable = false }", false},
        {"return nil, { code = 'BACKEND_ERROR', message = 'x' }", false},
        {"error { code = 'BACKEND_ERROR', message = 'x', retryable = true }", true},
        {"local t\nlocal x = t.y", false},
        {"return print", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ending end;
        bench_eval(b, cases[i].body, &end);
        assert_int_equal(end.outcome, RUN_FAILED);
        assert_int_equal(end.retryable, cases[i].retryable);
        ending_fini(&end);
    }
}

static void names_the_path_to_what_cannot_be_packed(void **state)
{
    struct bench *b = *state;
    expect_failure(b, "return { items = { 1, 2, { price = print } } }", ERR_BAD_VALUE,
                   ".lua:1: value.items[3].price: a function cannot be packed");
    struct bench_bounds small = {.value_max = 100};
    struct runtime *rt;
    struct err e;
    assert_int_equal(bench_runtime(b, &rt, small, &e), 0);
    runtime_unref(b->rt);
    b->rt = rt;
    expect_failure(b, "return { big = ('x'):rep(200) }", ERR_TOO_LARGE,
                   "value.big: the packed value passes 100 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tells_found_absent_failed_and_unchanged_apart),
        CASE(reads_options_beside_the_value),
        CASE(names_the_option_that_is_wrong),
        CASE(keeps_code_text_and_place_of_an_error),
        CASE(says_whether_a_retry_may_help),
        CASE(names_the_path_to_what_cannot_be_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
