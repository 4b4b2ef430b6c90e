#include "bind/batch.h"

static void gives_each_key_its_own_answer(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "return { [keys[1]] = 'one', [keys[3]] = rtcache.unchanged },"
               " { [keys[1]] = { version = 7, ttl = 2, tags = { 'a' }, cache = false } }");
    expect_done(&b);
    assert_int_equal(b.of[0].outcome, RUN_FOUND);
    expect_str(&b.of[0], "one");
    assert_int_equal(b.of[0].version, 7);
    assert_int_equal(b.of[0].ttl_ms, 2000);
    assert_int_equal(b.of[0].tags.size, 3);
    assert_true(b.of[0].no_store);
    assert_int_equal(b.of[1].outcome, RUN_ABSENT);
    assert_int_equal(b.of[2].outcome, RUN_UNCHANGED);
    assert_false(b.of[2].has_version);
    assert_int_equal(b.of[2].ttl_ms, -1);
    batch_fini(&b);
    batch_eval(&b, *state, "return { [keys[2]] = rtcache.null }");
    expect_done(&b);
    assert_int_equal(b.of[1].outcome, RUN_FOUND);
    assert_int_equal(bench_token(&b.of[1]).type, MP_NIL);
    batch_fini(&b);
    batch_eval(&b, *state, "return {}");
    expect_done(&b);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(b.of[i].outcome, RUN_ABSENT);
    batch_fini(&b);
}

/* Names are kept from one row to the next; those of another shape are their own. */
static void rows_of_other_shapes_keep_their_names(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "local long = ('n'):rep(60)\n"
               "return { [keys[1]] = { a = 1 }, [keys[2]] = { b = { a = 2 } },"
               " [keys[3]] = { [long] = 3 } }");
    expect_done(&b);
    expect_packed(&b.of[0],
                  "\x81\xa1"
                  "a\x01",
                  4);
    expect_packed(&b.of[1],
                  "\x81\xa1"
                  "b\x81\xa1"
                  "a\x02",
                  7);
    assert_int_equal(b.of[2].value.size, 1 + 2 + 60 + 1);
    batch_fini(&b);
    batch_eval(&b, *state,
               "return { [keys[1]] = { c = 1 }, [keys[2]] = { c = 300 }, [keys[3]] = { 'c' } }");
    expect_done(&b);
    expect_packed(&b.of[0],
                  "\x81\xa1"
                  "c\x01",
                  4);
    expect_packed(&b.of[1],
                  "\x81\xa1"
                  "c\xcd\x01\x2c",
                  6);
    expect_packed(&b.of[2],
                  "\x91\xa1"
                  "c",
                  3);
    batch_fini(&b);
}

/* An error among a key's options is its outcome, whatever stands beside it. */
static void an_error_among_options_goes_first(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "return { [keys[1]] = 'one', [keys[2]] = 'two' },"
               " { [keys[1]] = { ttl = 'never', error = 'no', tags = 5 },"
               "   [keys[2]] = { tags = { 'a' }, ttl = 1, error = { code = 'LOAD_FAILED' } } }");
    expect_done(&b);
    assert_int_equal(b.of[0].outcome, RUN_FAILED);
    expect_text(&b.of[0].err, "no");
    assert_int_equal(b.of[1].outcome, RUN_FAILED);
    assert_int_equal(b.of[1].ttl_ms, -1);
    assert_int_equal(b.of[1].tags.size, 0);
    batch_fini(&b);
}

static void is_told_of_the_keys_and_of_what_is_stored(void **state)
{
    struct bench *bench = *state;
    struct batch b;
    struct entry *stored = entry_new_value(slice_of("\x81\xa1"
                                                    "a\x05",
                                                    4));
    batch_init(&b, bench,
               "return { load_many = function(keys, ctx)\n"
               "  assert(#keys == 3 and keys[2] == 'user:2' and ctx.key == nil)\n"
               "  assert(#ctx.match == 3 and ctx.match[3][1] == '3')\n"
               "  assert(ctx.pattern == 'user:*' and ctx.attempt == 2 and ctx.db)\n"
               "  assert(ctx:deadline_ms() > 0)\n"
               "  assert(ctx.versions['user:1'] == nil and ctx.versions['user:3'] == -4)\n"
               "  assert(ctx.values['user:1'] == nil and ctx.values.nothing == nil)\n"
               "  assert(ctx.values['user:2'].a == 5)\n"
               "  assert(ctx.values['user:2'] == ctx.values['user:2'])\n"
               "  kept = kept or ctx.values\n"
               "  assert(ctx.values == kept or kept['user:3'] == nil)\n"
               "  return { [keys[1]] = tostring(ctx.db) }\n"
               "end }");
    b.keys[1].stored = stored;
    b.keys[2].stored = stored;
    b.keys[2].has_version = true;
    b.keys[2].version = -4;
    batch_start(&b);
    expect_done(&b);
    expect_str(&b.of[0], "backend main");
    batch_fini(&b);
    b.calls = 0;
    batch_start(&b); /* what the last run kept of its ctx.values is not this one's */
    expect_done(&b);
    batch_fini(&b);
    entry_unref(stored); /* the last reference, as the sanitizer would tell */
}

static void loads_in_one_query(void **state)
{
    struct bench *bench = *state;
    struct batch b;
    batch_init(&b, bench,
               "return { load_many = function(keys, ctx)\n"
               "  local ids, values = {}, {}\n"
               "  for i = 1, #keys do ids[i] = ctx.match[i][1] end\n"
               "  for _, row in ipairs(ctx.db:rows('SELECT', ids)) do\n"
               "    values['user:' .. row.id] = row.name\n"
               "  end\n"
               "  return values\n"
               "end }");
    batch_start(&b);
    assert_non_null(b.run);
    struct call *q = fake_oldest(&bench->main);
    assert_int_equal(q->params.size, 8);
    assert_memory_equal(q->params.data,
                        "\x91\x93\xa1"
                        "1\xa1"
                        "2\xa1"
                        "3",
                        8);
    struct buf rows;
    buf_init(&rows, 0);
    assert_int_equal(mpw_array(&rows, 2), 0);
    for (int id = 2; id <= 3; id++) {
        assert_int_equal(mpw_map(&rows, 2), 0);
        assert_int_equal(mpw_str(&rows, slice_str("id")), 0);
        assert_int_equal(mpw_int(&rows, id), 0);
        assert_int_equal(mpw_str(&rows, slice_str("name")), 0);
        assert_int_equal(mpw_str(&rows, slice_str(id == 2 ? "two" : "three")), 0);
    }
    fake_answer(q, buf_slice(&rows));
    buf_fini(&rows);
    assert_int_equal(b.calls, 1);
    expect_done(&b);
    assert_int_equal(b.of[0].outcome, RUN_ABSENT);
    expect_str(&b.of[1], "two");
    expect_str(&b.of[2], "three");
    batch_fini(&b);
}

static void fails_one_key_alone(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "return { [keys[1]] = { f = print }, [keys[2]] = 2, [keys[3]] = 3 },"
               " { [keys[2]] = { error = 'broken' },"
               "   [keys[3]] = { error = { code = 'BACKEND_DOWN', message = 'gone' } } }");
    expect_done(&b);
    assert_int_equal(b.of[0].outcome, RUN_FAILED);
    assert_int_equal(b.of[0].err.code, ERR_BAD_VALUE);
    expect_text(&b.of[0].err, ".lua:1: value.f: a function cannot be packed");
    assert_int_equal(b.of[1].outcome, RUN_FAILED);
    assert_int_equal(b.of[1].err.code, ERR_LOAD_FAILED);
    expect_text(&b.of[1].err, ".lua:1: broken");
    assert_int_equal(b.of[2].err.code, ERR_BACKEND_DOWN);
    assert_true(b.of[2].retryable);
    batch_fini(&b);
    batch_eval(&b, *state,
               "return { [keys[1]] = 1, [keys[2]] = 2 }, { [keys[1]] = { version = 'x' },"
               " [keys[2]] = { errr = 'x' }, [keys[3]] = { error = 'absent and broken' } }");
    expect_done(&b);
    assert_int_equal(b.of[0].err.code, ERR_SCRIPT);
    expect_text(&b.of[0].err, "option \"version\" is a string");
    expect_text(&b.of[1].err, "unknown option \"errr\", did you mean \"error\"?");
    assert_int_equal(b.of[2].outcome, RUN_FAILED);
    batch_fini(&b);
    batch_eval(&b, *state, "return { [keys[1]] = 1, [keys[2]] = 2 }, { [keys[1]] = 5 }");
    expect_done(&b);
    expect_text(&b.of[0].err, "its options are a number, not a table of options");
    assert_int_equal(b.of[1].outcome, RUN_FOUND);
    batch_fini(&b);
}

static void refuses_what_would_make_keys_absent_silently(void **state)
{
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"", "load_many returned nothing; it returns a table of values by key"},
        {"return nil, nil", "load_many returned nothing"},
        {"return 5", "load_many returned a number, not a table of values by key"},
        {"return rtcache.unchanged", "rtcache.unchanged, which stands for one key"},
        {"return { 'one', 'two' }", "a value under a number 1; it returns them by key"},
        {"return { [true] = 1 }", "a value under a boolean"},
        {"return rtcache.absent", "rtcache.absent, which stands for one key"},
        {"return {}, {}, {}", "a third result, a table: there are two, and the second is a table"},
        {"return {}, 7", "the second result is a number, not a table of options by key"},
        {"return {}, { { ttl = 1 } }", "options under a number 1"},
        {"return {}, { ttl = 5 }",
         "the option \"ttl\" where a key should be; its options are by key, as in "
         "options[keys[i]] = {ttl = ...}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(*state, cases[i].body, ERR_SCRIPT, cases[i].part);
    expect_refused(*state, "return 5", ERR_SCRIPT, ".lua:1: load_many");
}

static void race_40_an_answer_for_a_key_that_was_not_asked_for_proves_no_absence(void **state)
{
    struct batch b;
    batch_eval(&b, *state, "return { ['user:01'] = 1, [keys[2]] = 5 }");
    expect_done(&b);
    expect_apart(&b, 0,
                 ".lua:1: load_many returned a value for \"user:01\", which was not asked for, and "
                 "nothing for \"user:1\"");
    expect_packed(&b.of[1], "\x05", 1);
    expect_apart(&b, 2, "nothing for \"user:3\"");
    assert_false(b.of[2].retryable);
    batch_fini(&b);
    batch_eval(&b, *state,
               "return { ['1'] = 1, [keys[1]] = 1, [keys[2]] = rtcache.absent,"
               " [keys[3]] = rtcache.null }");
    expect_done(&b); /* there was a word of each */
    assert_int_equal(b.of[0].outcome, RUN_FOUND);
    assert_int_equal(b.of[1].outcome, RUN_ABSENT);
    assert_int_equal(b.of[2].outcome, RUN_FOUND);
    batch_fini(&b);
    batch_eval(&b, *state, "return {}, { ['user:9'] = { error = 'x' }, [keys[3]] = {} }");
    expect_done(&b);
    expect_apart(&b, 0, "load_many returned options for \"user:9\"");
    expect_apart(&b, 1, "nothing for \"user:2\"");
    assert_int_equal(b.of[2].outcome, RUN_ABSENT);
    batch_fini(&b);
    batch_eval(&b, *state, "return { ['user:' .. 123456789012345] = 1 }");
    expect_apart(&b, 0, "string.format(\"%d\", id) writes all digits of an integer");
    batch_fini(&b);
}

static void an_absence_has_options_of_its_own(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "return { [keys[1]] = rtcache.absent, [keys[2]] = rtcache.absent },"
               " { [keys[1]] = { ttl = 2, version = 8 }, [keys[3]] = { cache = false } }");
    expect_done(&b);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(b.of[i].outcome, RUN_ABSENT);
    assert_int_equal(b.of[0].ttl_ms, 2000);
    assert_int_equal(b.of[0].version, 8);
    assert_int_equal(b.of[1].ttl_ms, -1);
    assert_true(b.of[2].no_store);
    batch_fini(&b);
}

static void a_query_that_fails_by_what_is_in_it_may_be_one_keys_fault(void **state)
{
    struct bench *bench = *state;
    static const struct {
        int code;
        const char *text;
        bool divisible;
    } cases[] = {
        {ERR_BACKEND, "22003 value \"99999999999\" is out of range for type integer", true},
        {ERR_BACKEND, "22P02 invalid input syntax for type integer: \"abc\"", true},
        {ERR_BACKEND, "P0001 no such tenant", true},
        {ERR_BACKEND, "parameter 1: a string with a NUL byte in it", true},
        {ERR_BAD_VALUE, "parameter $1: a text that is not UTF-8", true},
        {ERR_TOO_LARGE, "a result of more than 1 MB", true},
        {ERR_BACKEND, "42P01 relation \"usres\" does not exist", false},
        {ERR_BACKEND, "40001 could not serialize access", false},
        {ERR_BACKEND_DOWN, "no connection", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct batch b;
        batch_init(&b, bench,
                   "return { load_many = function(_, ctx)\n"
                   "  return ctx:answer(ctx.db:packed_rows('SELECT', ctx.ids), 'id')\n"
                   "end }");
        batch_start(&b);
        fake_fail(fake_oldest(&bench->main), cases[i].code, cases[i].text);
        assert_int_equal(b.outcome, RUN_FAILED);
        assert_int_equal(b.divisible, cases[i].divisible);
        assert_false(b.poisoned);
        batch_fini(&b);
    }
    struct batch b;
    batch_eval(&b, bench, "local n = nil + 1");
    assert_true(b.divisible);
    batch_fini(&b);
    batch_eval(&b, bench, "error 'broken'"); /* its own word, for all */
    assert_false(b.divisible);
    batch_fini(&b);
    batch_eval(&b, bench, "while true do end");
    assert_false(b.divisible);
    batch_fini(&b);
}

static void fails_as_a_whole(void **state)
{
    struct batch b;
    expect_refused(*state, "return nil, 'broken'", ERR_LOAD_FAILED, ".lua:1: broken");
    expect_refused(*state, "error 'broken'", ERR_LOAD_FAILED, ".lua:2: broken");
    expect_refused(*state, "return undefined()", ERR_SCRIPT, ".lua:2: attempt to call");
    expect_refused(*state, "while true do end", ERR_SCRIPT, "stopped after 2000 ms of CPU");
    batch_eval(&b, *state, "error 'broken'");
    assert_true(b.retryable);
    assert_false(b.poisoned);
    batch_fini(&b);
}

static void names_the_poisonous_key(void **state)
{
    static const struct {
        const char *body;
        int poison, code;
        const char *part;
    } cases[] = {
        {"error(rtcache.poison(keys[2]))", 1, ERR_LOAD_FAILED,
         ".lua:2: the script suspects the key \"user:2\""},
        {"return nil, rtcache.poison(keys[3])", 2, ERR_LOAD_FAILED, "user:3"},
        {"error(rtcache.poison())", -1, ERR_LOAD_FAILED, "the script suspects one of the keys"},
        {"error(rtcache.poison('user:9'))", -1, ERR_LOAD_FAILED, "user:9"},
        {"return nil, rtcache.poison(keys[1], 'odd bytes')", 0, ERR_LOAD_FAILED,
         ".lua:2: odd bytes"},
        {"return nil, rtcache.poison(nil, { code = 'BACKEND_ERROR', message = 'no', where = 'x' })",
         -1, ERR_BACKEND, "x: no"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct batch b;
        batch_eval(&b, *state, cases[i].body);
        assert_int_equal(b.outcome, RUN_FAILED);
        assert_true(b.poisoned);
        if (b.poison != cases[i].poison)
            fail_msg("%s: %d", cases[i].body, b.poison);
        assert_int_equal(b.err.code, cases[i].code);
        expect_text(&b.err, cases[i].part);
        batch_fini(&b);
    }
    expect_refused(*state, "rtcache.poison(5)", ERR_SCRIPT,
                   "rtcache.poison takes the key that it suspects, or nothing, not a number");
    expect_failure(*state, "error(rtcache.poison(key))", ERR_LOAD_FAILED, "user:42");
}

static void holds_each_value_to_value_max(void **state)
{
    struct bench *b = *state;
    struct err e;
    runtime_unref(b->rt);
    assert_int_equal(bench_runtime(b, &b->rt, (struct bench_bounds){.value_max = 100}, &e), 0);
    struct batch batch;
    batch_eval(&batch, b,
               "local s = ('x'):rep(90)\n"
               "return { [keys[1]] = s, [keys[2]] = s .. s, [keys[3]] = s }");
    expect_done(&batch);
    assert_int_equal(batch.of[0].outcome, RUN_FOUND);
    assert_int_equal(batch.of[1].err.code, ERR_TOO_LARGE);
    assert_int_equal(batch.of[2].outcome, RUN_FOUND);
    batch_fini(&batch);
}

static void lets_go_of_all_when_it_is_cancelled(void **state)
{
    struct bench *bench = *state;
    struct batch b;
    batch_init(&b, bench, "return { load_many = function(keys, ctx) ctx.db:row 'SELECT' end }");
    for (int i = 0; i < KEYS; i++)
        b.keys[i].stored = entry_new_value(slice_of("\x01", 1));
    batch_start(&b);
    assert_non_null(b.run);
    for (int i = 0; i < KEYS; i++)
        entry_unref(b.keys[i].stored);
    run_cancel(b.run);
    assert_int_equal(b.calls, 0);
    assert_int_equal(bench->main.cancelled, 1);
}

static void needs_the_function_and_keys(void **state)
{
    struct bench *bench = *state;
    struct batch b;
    struct err e;
    batch_init(&b, bench, "return { load_many = function() return {} end }");
    assert_true(runtime_has(bench->rt, b.q.script, RUN_LOAD_MANY));
    assert_false(runtime_has(bench->rt, b.q.script, RUN_LOAD));
    b.q.key_count = 0;
    assert_int_equal(run_start(&b.run, bench->rt, &b.q, &e), ERR_INTERNAL);
    b.q.what = RUN_LOAD;
    assert_int_equal(run_start(&b.run, bench->rt, &b.q, &e), ERR_SCRIPT);
    batch_init(&b, bench, "return { load = function() end }");
    assert_int_equal(run_start(&b.run, bench->rt, &b.q, &e), ERR_SCRIPT);
    expect_text(&e, "it cannot be run for \"load_many\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(gives_each_key_its_own_answer),
        CASE(rows_of_other_shapes_keep_their_names),
        CASE(an_error_among_options_goes_first),
        CASE(is_told_of_the_keys_and_of_what_is_stored),
        CASE(loads_in_one_query),
        CASE(fails_one_key_alone),
        CASE(refuses_what_would_make_keys_absent_silently),
        CASE(race_40_an_answer_for_a_key_that_was_not_asked_for_proves_no_absence),
        CASE(an_absence_has_options_of_its_own),
        CASE(a_query_that_fails_by_what_is_in_it_may_be_one_keys_fault),
        CASE(fails_as_a_whole),
        CASE(names_the_poisonous_key),
        CASE(holds_each_value_to_value_max),
        CASE(lets_go_of_all_when_it_is_cancelled),
        CASE(needs_the_function_and_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
