#include "bind/batch.h"

static void gives_each_row_to_the_key_of_its_id(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "assert(#ctx.ids == 3 and ctx.ids[1] == 1 and ctx.ids[3] == 3)\n"
               "return ctx:answer({ { id = 3, v = 7 }, { id = '1', v = 5 }, { id = 3, v = 8 } },"
               " 'id', 'v'), { [keys[3]] = { ttl = 2 }, [keys[1]] = { version = 6 } }");
    expect_done(&b);
    assert_int_equal(b.of[0].outcome, RUN_FOUND);
    assert_int_equal(b.of[0].version, 6); /* its own options go first */
    assert_int_equal(b.of[1].outcome, RUN_ABSENT);
    assert_int_equal(b.of[2].outcome, RUN_FOUND);
    assert_true(b.of[2].has_version);
    assert_int_equal(b.of[2].version, 7); /* the first row of an id */
    assert_int_equal(b.of[2].ttl_ms, 2000);
    batch_fini(&b);
    batch_eval(&b, *state, "return ctx:answer({ { n = 2 } }, 'n')");
    expect_done(&b);
    expect_packed(&b.of[1], "\x81\xa1n\x02", 4);
    assert_false(b.of[1].has_version);
    batch_fini(&b);
    batch_eval(&b, *state, "return ctx:answer({}, 'id')");
    expect_done(&b);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(b.of[i].outcome, RUN_ABSENT);
    batch_fini(&b);
}

static void takes_packed_rows_over_as_they_are(void **state)
{
    struct bench *bench = *state;
    struct batch b;
    static const char rows[] = "\x92\x82\xa2id\xa1\x32\xa1v\x09\x83\xa2id\x01\xa1v\x0a\xa1x\xc0";
    batch_init(&b, bench,
               "return { load_many = function(_, ctx)\n"
               "  return ctx:answer(ctx.db:packed_rows('SELECT', ctx.ids), 'id', 'v')\n"
               "end }");
    batch_start(&b);
    fake_answer(fake_oldest(&bench->main), slice_of(rows, sizeof rows - 1));
    assert_int_equal(b.calls, 1);
    expect_done(&b);
    expect_packed(&b.of[0], rows + 10, sizeof rows - 1 - 10);
    assert_int_equal(b.of[0].version, 10);
    expect_packed(&b.of[1], rows + 1, 9);
    assert_int_equal(b.of[1].version, 9);
    assert_int_equal(b.of[2].outcome, RUN_ABSENT);
    batch_fini(&b);
    batch_init(&b, bench, /* some of them, in an array */
               "return { load_many = function(_, ctx)\n"
               "  local rows = ctx.db:packed_rows('SELECT', ctx.ids)\n"
               "  return ctx:answer({ rows[2], { id = 3, v = 4 } }, 'id', 'v')\n"
               "end }");
    batch_start(&b);
    fake_answer(fake_oldest(&bench->main), slice_of(rows, sizeof rows - 1));
    expect_done(&b);
    expect_packed(&b.of[0], rows + 10, sizeof rows - 1 - 10);
    assert_int_equal(b.of[0].version, 10);
    assert_int_equal(b.of[1].outcome, RUN_ABSENT);
    assert_int_equal(b.of[2].version, 4);
    batch_fini(&b);
}

static void batch_of(struct batch *b, struct bench *bench, const char *const matches[KEYS],
                     const char *body)
{
    char script[600];
    struct slice match[KEYS];
    snprintf(script, sizeof script, "return { load_many = function(keys, ctx)\n%s\nend }", body);
    batch_init(b, bench, script);
    for (int i = 0; i < KEYS; i++) {
        match[i] = slice_str(matches[i]);
        b->keys[i].key = match[i];
        b->keys[i].captures = &match[i];
    }
    batch_start(b);
    assert_int_equal(b->calls, 1);
    expect_done(b);
}

/* As for the database, the spelling of an integer does not count. */
static void ids_are_the_integers_among_the_matches(void **state)
{
    struct batch b;
    static const char *const some[KEYS] = {"-12", "0", "abc"};
    batch_of(
        &b, *state, some,
        "assert(#ctx.ids == 2 and ctx.ids[1] == -12 and ctx.ids[2] == 0)\n"
        "assert(ctx.match[3][1] == 'abc' and ctx.match == ctx.match)\n"
        "return ctx:answer({ { id = 'abc', n = 1 }, { id = 0, n = 2 }, { id = '-12' } }, 'id')");
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(b.of[i].outcome, RUN_FOUND);
    batch_fini(&b);
}

static void ids_past_2_53_are_ids(void **state)
{
    struct batch b;
    static const char *const wide[KEYS] = {"9007199254740993", "-9223372036854775808",
                                           "9223372036854775807"};
    batch_of(&b, *state, wide,
             "local ids, by = ctx.ids, {}\n"
             "assert(#ids == 3 and ids[1] == 9007199254740993LL)\n"
             "assert(ids[2] == -9223372036854775807LL - 1 and ids[3] == 9223372036854775807LL)\n"
             "for _, id in ipairs(ids) do by['name:' .. id] = id end\n"
             "assert(by['name:9007199254740993'] == ids[1])\n"
             "return ctx:answer({ { id = ids[1], n = 4 }, { id = '-9223372036854775808', n = 5 },\n"
             "  { id = 9223372036854775807LL, n = ids[3] } }, 'id', 'n')");
    assert_int_equal(b.of[0].version, 4);
    assert_int_equal(b.of[1].version, 5);
    assert_true(b.of[2].version == INT64_MAX);
    batch_fini(&b);
    static const char *const beyond[KEYS] = {"9223372036854775808", "18446744073709551616", "1e3"};
    batch_of(&b, *state, beyond,
             "assert(#ctx.ids == 0)\n"
             "return ctx:answer({ { id = '9223372036854775808', n = 1 } }, 'id', 'n')");
    assert_int_equal(b.of[0].version, 1);
    assert_int_equal(b.of[1].outcome, RUN_ABSENT);
    assert_int_equal(b.of[2].outcome, RUN_ABSENT);
    batch_fini(&b);
}

static void another_spelling_of_a_number_is_no_id(void **state)
{
    struct batch b;
    static const char *const zeros[KEYS] = {"007", "7", "-0"};
    batch_of(&b, *state, zeros,
             "assert(#ctx.ids == 1 and ctx.ids[1] == 7)\n"
             "return ctx:answer({ { id = 7, n = 4 } }, 'id', 'n')");
    assert_int_equal(b.of[0].outcome, RUN_ABSENT);
    assert_int_equal(b.of[1].version, 4);
    assert_int_equal(b.of[2].outcome, RUN_ABSENT);
    batch_fini(&b);
    static const char *const codes[KEYS] = {"007", "7", " 7"}; /* a column of texts has all */
    batch_of(&b, *state, codes,
             "return ctx:answer({ { id = '7', n = 1 }, { id = '007', n = 2 },"
             " { id = ' 7', n = 3 } }, 'id', 'n')");
    assert_int_equal(b.of[0].version, 2);
    assert_int_equal(b.of[1].version, 1);
    assert_int_equal(b.of[2].version, 3);
    batch_fini(&b);
}

static void race_40_a_row_for_no_key_proves_no_absence(void **state)
{
    struct batch b;
    static const struct {
        const char *row, *part;
    } cases[] = {
        {"{ id = 9 }", "row 2 of ctx:answer, whose \"id\" is 9, which was not asked for, and "
                       "nothing for \"user:2\""},
        {"{ id = '07' }", "whose \"id\" is 07, which was not asked for"},
        {"{ id = 1.5 }", "whose \"id\" is no integer or text, which was not asked for"},
        {"{ id = rtcache.null }", "whose \"id\" is no integer or text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[160];
        snprintf(body, sizeof body, "return ctx:answer({ { id = 1 }, %s, { id = 3 } }, 'id')",
                 cases[i].row);
        batch_eval(&b, *state, body);
        expect_done(&b);
        assert_int_equal(b.of[0].outcome, RUN_FOUND);
        expect_apart(&b, 1, cases[i].part);
        assert_int_equal(b.of[2].outcome, RUN_FOUND);
        batch_fini(&b);
    }
    batch_eval(&b, *state, /* all that were asked for have an answer */
               "return ctx:answer({ { id = 1 }, { id = 2 }, { id = 3 }, { id = 4 } }, 'id')");
    expect_done(&b);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(b.of[i].outcome, RUN_FOUND);
    batch_fini(&b);
    batch_eval(&b, *state,
               "return ctx:answer({ { id = 1 } }, 'id'), { ['user:7'] = {}, [keys[2]] = {} }");
    expect_done(&b);
    assert_int_equal(b.of[1].outcome, RUN_ABSENT); /* its options are a word of it */
    expect_apart(&b, 2, "returned options for \"user:7\", which was not asked for");
    batch_fini(&b);
}

static void an_absence_has_options_of_its_own(void **state)
{
    struct batch b;
    batch_eval(&b, *state,
               "return ctx:answer({ { id = 1 } }, 'id'),"
               " { [keys[2]] = { ttl = 60, version = 4, tags = { 'a' } } }");
    expect_done(&b);
    assert_int_equal(b.of[1].outcome, RUN_ABSENT);
    assert_int_equal(b.of[1].ttl_ms, 60000);
    assert_int_equal(b.of[1].version, 4);
    assert_int_equal(b.of[1].tags.size, 3);
    assert_int_equal(b.of[2].outcome, RUN_ABSENT);
    assert_int_equal(b.of[2].ttl_ms, -1);
    batch_fini(&b);
}

static void rows_that_do_not_fit_fail_the_run(void **state)
{
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"return ctx:answer({ { id = 1 } }, 'di')", "row 1 has no column \"di\""},
        {"return ctx:answer({ 5 }, 'id')", "row 1 has no column \"id\""},
        {"return ctx:answer({ rtcache.null }, 'id')", "row 1 has no column \"id\""},
        {"return ctx:answer({ { id = 1 }, nil, { id = 3 } }, 'id')",
         "ctx:answer: its rows: the array has no element 2"},
        {"local rows = {} rows[1] = { id = 1 } rows[3] = { id = 3 } return ctx:answer(rows, 'id')",
         "ctx:answer: its rows: the array has no element 2"},
        {"return ctx:answer({ ['user:1'] = { id = 1 } }, 'id')",
         "ctx:answer: its rows: it has keys beside 1..n, as no array has"},
        {"return ctx:answer({}, 'id', 'v', {})", "options by key stand behind it"},
        {"return ctx:answer(5, 'id')",
         "ctx:answer takes what db:rows or db:packed_rows gave, not a number"},
        {"return ctx:answer({})", "ctx:answer takes the name of the id's column, not a nil"},
        {"return ctx:answer({}, 'id', {})",
         "ctx:answer takes the name of the version's column, not a table"},
        {"return ctx.answer({}, 'id')", "call it as ctx:answer(rows, \"id\")"},
        {"local a = ctx:answer({}, 'id') a[1] = 4 return a", "that was changed"},
        {"local a = ctx:answer({}, 'id') a[2] = nil return a", "that was changed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct batch b;
        batch_eval(&b, *state, cases[i].body);
        assert_int_equal(b.outcome, RUN_FAILED);
        expect_text(&b.err, cases[i].part);
        batch_fini(&b);
    }
}

static void a_version_that_is_none_fails_its_key_alone(void **state)
{
    struct batch b;
    batch_eval(
        &b, *state,
        "return ctx:answer({ { id = 1, v = 'x' }, { id = 2 }, { id = 3, v = 3 } }, 'id', 'v')");
    expect_done(&b);
    assert_int_equal(b.of[0].outcome, RUN_FAILED);
    expect_text(&b.of[0].err, "column \"v\", is a string, \"x\" (a numeric column comes as text)");
    assert_int_equal(b.of[1].outcome, RUN_FAILED);
    expect_text(&b.of[1].err, "the rows have no column \"v\" for the version");
    assert_int_equal(b.of[2].outcome, RUN_FOUND);
    batch_fini(&b);
}

static void patterns_of_two_stars_have_no_ids(void **state)
{
    static const struct slice two[2] = {{"1", 1}, {"2", 1}};
    static const char *const bodies[] = {"return {}, ctx.ids", "return ctx:answer({}, 'id')"};
    for (size_t i = 0; i < 2; i++) {
        struct batch b;
        char script[200];
        snprintf(script, sizeof script, "return { load_many = function(keys, ctx)\n%s\nend }",
                 bodies[i]);
        batch_init(&b, *state, script);
        for (int k = 0; k < KEYS; k++) {
            b.keys[k].captures = two;
            b.keys[k].capture_count = 2;
        }
        batch_start(&b);
        assert_int_equal(b.outcome, RUN_FAILED);
        expect_text(&b.err, "is for a pattern with one star, this one has 2");
        batch_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(gives_each_row_to_the_key_of_its_id),
        CASE(takes_packed_rows_over_as_they_are),
        CASE(ids_are_the_integers_among_the_matches),
        CASE(rows_that_do_not_fit_fail_the_run),
        CASE(ids_past_2_53_are_ids),
        CASE(another_spelling_of_a_number_is_no_id),
        CASE(race_40_a_row_for_no_key_proves_no_absence),
        CASE(an_absence_has_options_of_its_own),
        CASE(a_version_that_is_none_fails_its_key_alone),
        CASE(patterns_of_two_stars_have_no_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
