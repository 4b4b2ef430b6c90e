#include "bind/fake.h"

#include "bind/result.h"

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
        {"{ tags = { 'team:' .. 123456789012345 } }",
         "tag 1, \"team:1.2345678901235e+14\", has lost digits of an integer: string.format"},
        {"{ tags = { 'team:' .. 1e15 .. ':x' } }", "tag 1, \"team:1e+15:x\", has lost digits"},
        {"{ tags = { 'a', '' } }", "option \"tags\": tag 2 is not 1 to 255 bytes"},
        {"{ tags = { x = 'a' } }", "option \"tags\": it has keys beside 1..n"},
        {"{ tags = { 'a', nil, 'c' } }", "option \"tags\": the array has no element 2"},
        {"{ tags = (function() local t = {} t[1] = 'a' t[3] = 'c' return t end)() }",
         "option \"tags\": the array has no element 2"},
        {"{ tags = { nil, 'b' } }", "option \"tags\": the array has no element 1"},
        {"{ ttl = 0.0001 }", "option \"ttl\": 0.0001 s is no whole number of milliseconds"},
        {"{ ttl = 1e-9 }", "option \"ttl\": 1e-09 s is no whole number of milliseconds"},
        {"{ ttl = 1.2345 }", "1.2345 s is no whole number of milliseconds: round it, as in"},
        {"{ stale_ttl = '0.1ms' }", "is no whole number of milliseconds"},
        {"{ ttl = os.time() + 5 }",
         " s is more than 3650d, the most there is: a time since 1970? It is how long from now"},
        {"{ ttl = 315360001 }", "315360001 s is more than 3650d, the most there is"},
        {"{ ttl = '3651d' }", "315446400 s is more than 3650d, the most there is"},
        {"{ ttl = '60' }", "found \"60\" without a unit: write \"60s\""},
        {"{ ttl = '5 minutes' }", "expected a duration such as"},
        {"{ ttl = '60s\\0' }", "option \"ttl\": a text with a NUL byte"},
        {"{ ['ttl\\0'] = 5 }", "the options have a key"},
        {"{ ttl = true }", "option \"ttl\" is a boolean"},
        {"{ ttl = rtcache.null }", "option \"ttl\" is a userdata"},
        {"{ cache = 'false' }", "option \"cache\" is a string, not true or false"},
        {"{ negative_ttl = 5 }", "unknown option \"negative_ttl\""},
        {"{}, {}", "a third result, a table: there are two, and the second is a table of options"},
        {"{ cache = 0 }", "option \"cache\" is a number"},
        {"'soon'", "the second result is a string, not a table of options"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[160];
        snprintf(body, sizeof body, "return 1, %s", cases[i].options);
        expect_failure(b, body, ERR_SCRIPT, cases[i].part);
    }
}

static void takes_times_exactly(void **state)
{
    static const struct {
        const char *ttl;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"0.001", 1},
        {"0.29", 290}, /* 289.99999999999994 ms in floating point */
        {"0.1 + 0.2", 300},
        {"1764439611.123 - 1764439607.246", 3877}, /* as of rtcache.now() */
        {"math.ceil(1.23456 * 1000) / 1000", 1235},
        {"315360000", INT64_C(315360000000)},
        {"'3650d'", INT64_C(315360000000)},
        {"'5 min'", 300000},
        {"'1.5s'", 1500},
        {"'0'", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[120];
        struct ending end;
        snprintf(body, sizeof body, "return 1, { ttl = %s }", cases[i].ttl);
        bench_eval(*state, body, &end);
        if (end.outcome != RUN_FOUND || end.ttl_ms != cases[i].ms)
            fail_msg("%s: %lld ms, %s", cases[i].ttl, (long long)end.ttl_ms, end.err.text);
        ending_fini(&end);
    }
}

static void an_absence_may_have_options(void **state)
{
    struct bench *b = *state;
    struct ending end;
    bench_eval(b, "return rtcache.absent, { ttl = '90s', tags = { 'a' }, version = 3 }", &end);
    assert_int_equal(end.outcome, RUN_ABSENT);
    assert_int_equal(end.ttl_ms, 90000);
    assert_int_equal(end.version, 3);
    assert_int_equal(end.tags.size, 3);
    ending_fini(&end);
    bench_eval(b, "return rtcache.absent", &end);
    assert_int_equal(end.outcome, RUN_ABSENT);
    assert_int_equal(end.ttl_ms, -1);
    ending_fini(&end);
    expect_failure(b, "return nil, nil, { ttl = 5 }", ERR_SCRIPT,
                   "a third result, a table: there are two, and the second is a table of the error "
                   "(for an absence with options: return rtcache.absent, {...})");
    expect_failure(b, "return rtcache.absent, 'gone'", ERR_SCRIPT,
                   "the second result is a string, not a table of options");
    expect_failure(b, "return { rtcache.absent }", ERR_BAD_VALUE,
                   "value[1]: rtcache.absent stands for a whole answer, it is no value");
    expect_failure(b, "return ctx.db:row('S', rtcache.absent)", ERR_SCRIPT,
                   "parameter 1: rtcache.absent stands for a whole answer");
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
    expect_failure(b, "error { code = 'E42', message = 'odd' }", ERR_OWN, ".lua:2: odd");
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

static void takes_a_word_of_the_scripts_own_as_it_is(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *error, *word;
    } cases[] = {
        {"{ code = 'NOT_FOUND', message = 'no user 7' }", "NOT_FOUND"},
        {"{ code = 'E42' }", "E42"},
        {"{ code = 'AB' }", "AB"},
        {"{ code = 'A234567890123456789012345678901_' }", "A234567890123456789012345678901_"},
        {"{ code = 'MOVED_ON' }", "MOVED_ON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[160];
        struct ending end;
        snprintf(body, sizeof body, "return nil, %s", cases[i].error);
        bench_eval(b, body, &end);
        assert_int_equal(end.outcome, RUN_FAILED);
        assert_int_equal(end.err.code, ERR_OWN);
        assert_string_equal(err_word(&end.err), cases[i].word);
        assert_false(end.retryable);
        ending_fini(&end);
    }
}

static void refuses_codes_that_mean_something_else(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *code, *part;
    } cases[] = {
        {"'MOVED'", "\"MOVED\" is one that clients of Redis act on"},
        {"'ERR'", "\"ERR\" is one that clients of Redis act on"},
        {"'WRONGPASS'", "\"WRONGPASS\" is one that"},
        {"'UNAUTHENTICATED'", "\"UNAUTHENTICATED\" is the server's own"},
        {"'INTERNAL'", "\"INTERNAL\" is the server's own"},
        {"'SCRIPT'", "\"SCRIPT\" is the server's own"},
        {"'OK'", "\"OK\" is the server's own"},
        {"'WRITE_UNKNOWN'", "\"WRITE_UNKNOWN\" is the server's own"}, /* of a load */
        {"'not found'", "\"not found\" is no word"},
        {"'Not_Found'", "\"Not_Found\" is no word"},
        {"'A'", "\"A\" is no word"},
        {"'_AB'", "\"_AB\" is no word"},
        {"'A B'", "\"A B\" is no word"},
        {"'AB\\0'", "is no word"},
        {"('A'):rep(33)", "is no word"},
        {"''", "is no word"},
        {"404", "of type number"},
        {"{}", "of type table"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[160];
        snprintf(body, sizeof body, "return nil, { code = %s, message = 'so', retryable = true }",
                 cases[i].code);
        expect_failure(b, body, ERR_SCRIPT, cases[i].part);
        expect_failure(b, body, ERR_SCRIPT, ".lua:1: so");
    }
}

static void keeps_the_code_of_a_query_that_no_script_may_give(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "inner.lua",
                              "return { load = function(key, ctx)"
                              " ctx.db:value('SELECT') end }");
    bench_begin(b, script, &end);
    fake_fail(fake_oldest(&b->main), ERR_INTERNAL, "odd");
    assert_int_equal(end.err.code, ERR_INTERNAL);
    ending_fini(&end);
    bench_begin(b, script, &end); /* what the driver says of the SQL is the script's fault */
    fake_fail(fake_oldest(&b->main), ERR_BAD_REQUEST, "BEGIN is refused");
    assert_int_equal(end.err.code, ERR_SCRIPT);
    expect_text(&end.err, "inner.lua:1: BEGIN is refused");
    ending_fini(&end);
}

static void asks_an_object_for_its_text(void **state)
{
    struct bench *b = *state;
#define OBJECT(body) "setmetatable({}, { __tostring = function(e) " body " end })"
    expect_failure(b, "error(" OBJECT("return 'of itself'") ")", ERR_LOAD_FAILED,
                   ".lua:2: of itself");
    expect_failure(b, "return nil, " OBJECT("return 'of itself'"), ERR_LOAD_FAILED,
                   ".lua:1: of itself");
    expect_failure(b,
                   "return nil, setmetatable({ code = 'NO_CREDIT', n = 3 },"
                   " { __tostring = function(e) return 'left: ' .. e.n end })",
                   ERR_OWN, ".lua:1: left: 3");
    expect_failure(b, "error(" OBJECT("error 'again'") ")", ERR_LOAD_FAILED, "without a message");
    expect_failure(b, "error(" OBJECT("return {}") ")", ERR_LOAD_FAILED, "without a message");
    expect_failure(b, "error(" OBJECT("return coroutine.yield()") ")", ERR_LOAD_FAILED,
                   "without a message");
    expect_failure(b, "error(" OBJECT("return rtcache.sleep(1)") ")", ERR_LOAD_FAILED,
                   "without a message");
    expect_failure(b, "error(" OBJECT("return ('x'):rep(1e6)") ")", ERR_LOAD_FAILED, "xxxxxxx");
    expect_failure(b, "error(9007199254740993LL)", ERR_LOAD_FAILED, "9007199254740993");
    expect_eval(b, "return 'alive'", "alive");
    struct bench_bounds quick = {.run_cpu_ms = 20, .memory_max = 8 << 20};
    struct runtime *rt;
    struct err e;
    assert_int_equal(bench_runtime(b, &rt, quick, &e), 0);
    runtime_unref(b->rt);
    b->rt = rt;
    expect_failure(b, "error(" OBJECT("while true do end") ")", ERR_LOAD_FAILED,
                   "without a message");
    expect_failure(b, "error(" OBJECT("local t = {} while true do t[#t + 1] = {} end") ")",
                   ERR_LOAD_FAILED, "without a message");
    expect_eval(b, "return 'alive'", "alive");
#undef OBJECT
}

static void an_object_has_what_its_class_has(void **state)
{
    struct bench *b = *state;
#define CLASS                                                                                      \
    "local Base = { code = 'NO_CREDIT', retryable = true } Base.__index = Base\n"                  \
    "local Class = setmetatable({ message = 'of the class' }, Base) Class.__index = Class\n"
    struct ending end;
    bench_eval(b, CLASS "error(setmetatable({}, Class))", &end);
    assert_int_equal(end.err.code, ERR_OWN);
    assert_string_equal(err_word(&end.err), "NO_CREDIT");
    assert_true(end.retryable);
    expect_text(&end.err, ".lua:4: of the class");
    ending_fini(&end);
    expect_failure(b, CLASS "return nil, setmetatable({ code = 'MINE', message = 'm' }, Class)",
                   ERR_OWN, ": m");
    expect_failure(b, CLASS "return nil, setmetatable({ message = 'm' }, { __index = type })",
                   ERR_LOAD_FAILED, ": m"); /* no code is run for it */
    expect_failure(b, "local t = { message = 'm' } t.__index = t error(setmetatable(t, t))",
                   ERR_LOAD_FAILED, ".lua:2: m");
#undef CLASS
}

static void takes_any_message_and_makes_one_line_of_it(void **state)
{
    struct bench *b = *state;
    struct ending end;
    expect_failure(b, "error('a\\nb\\0c\\27[31m')", ERR_LOAD_FAILED, ".lua:2: a b c [31m");
    expect_failure(b, "return nil, { message = 42 }", ERR_LOAD_FAILED, ".lua:1: 42");
    expect_failure(b, "return nil, { message = {} }", ERR_LOAD_FAILED,
                   "the error's message is a table, not a text");
    expect_failure(b, "return nil, { code = 'NO_CREDIT' }", ERR_OWN, ".lua:1: NO_CREDIT");
    for (int shift = 0; shift < 4; shift++) {
        char body[80];
        snprintf(body, sizeof body, "error(('x'):rep(%d) .. ('\\226\\130\\172'):rep(999), 0)",
                 shift);
        bench_eval(b, body, &end);
        assert_true(mp_utf8_valid(slice_str(end.err.text)));
        assert_in_range(strlen(end.err.text), ERR_TEXT_MAX - 4, ERR_TEXT_MAX - 1);
        ending_fini(&end);
    }
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
        {"error { code = 'NO_CREDIT', message = 'x' }", false},
        {"error { code = 'NO_CREDIT', message = 'x', retryable = true }", true},
        {"error { code = 'ASK', message = 'x', retryable = true }", false},
        {"local t\nlocal x = t.y", false},
        {"return print", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ending end;
        bench_eval(b, cases[i].body, &end);
        assert_int_equal(end.outcome, RUN_FAILED);
        assert_int_equal(end.retryable, cases[i].retryable);
        assert_int_equal(err_may_retry(&end.err), cases[i].retryable);
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

static void a_word_is_of_capitals_digits_and_underscores(void **state)
{
    struct bench *b = *state;
    for (int c = ' '; c < 0x7f; c++) {
        bool capital = c >= 'A' && c <= 'Z', may = capital || (c >= '0' && c <= '9') || c == '_';
        for (int first = 0; first < 2; first++) {
            char body[80];
            struct ending end;
            snprintf(
                body, sizeof body,
                first ? "return nil, { code = '\\%dQXQ' }" : "return nil, { code = 'Q\\%dXQ' }", c);
            bench_eval(b, body, &end);
            assert_int_equal(end.outcome, RUN_FAILED);
            if (end.err.code != ((first ? capital : may) ? ERR_OWN : ERR_SCRIPT))
                fail_msg("%s: %s", body, end.err.text);
            ending_fini(&end);
        }
    }
}

static void a_number_that_lua_has_shortened_is_known_by_its_exponent(void **state)
{
    (void)state;
    char text[16];
    for (int c = '/'; c <= ':'; c++) {
        for (int last = '0'; last <= '9'; last++) {
            snprintf(text, sizeof text, "%ce+1%c", c, last);
            bool is = c >= '0' && c <= '9' && (last == '4' || last == '5');
            assert_int_equal(result_is_shortened(slice_str(text)), is);
        }
    }
    static const char *const others[] = {"", "e+14", "1e+1", "1e14", "1e-14", "1E+14", "1e+2", "x"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(result_is_shortened(slice_str(others[i])));
    assert_true(result_is_shortened(slice_str("user:1.5e+15:x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tells_found_absent_failed_and_unchanged_apart),
        CASE(reads_options_beside_the_value),
        CASE(names_the_option_that_is_wrong),
        CASE(takes_times_exactly),
        CASE(an_absence_may_have_options),
        CASE(keeps_code_text_and_place_of_an_error),
        CASE(takes_a_word_of_the_scripts_own_as_it_is),
        CASE(a_word_is_of_capitals_digits_and_underscores),
        cmocka_unit_test(a_number_that_lua_has_shortened_is_known_by_its_exponent),
        CASE(refuses_codes_that_mean_something_else),
        CASE(keeps_the_code_of_a_query_that_no_script_may_give),
        CASE(asks_an_object_for_its_text),
        CASE(an_object_has_what_its_class_has),
        CASE(takes_any_message_and_makes_one_line_of_it),
        CASE(says_whether_a_retry_may_help),
        CASE(names_the_path_to_what_cannot_be_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
