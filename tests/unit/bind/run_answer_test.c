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
    static const char *const odd[KEYS] = {"007", "7", "9007199254740993"};
    batch_of(&b, *state, odd,
             "assert(#ctx.ids == 2 and ctx.ids[1] == 7 and ctx.ids[2] == 7)\n"
             "return ctx:answer({ { id = 7, n = 4 }, { id = 9007199254740993LL } }, 'id', 'n')");
    assert_int_equal(b.of[0].version, 4);
    assert_int_equal(b.of[1].version, 4);
    assert_int_equal(b.of[2].outcome, RUN_FAILED); /* no version */
    batch_fini(&b);
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

static void rows_that_do_not_fit_fail_the_run(void **state)
{
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"return ctx:answer({ { id = 1 }, { id = 9 } }, 'id')",
         "ctx:answer: row 2 has the id 9, which was not asked for; the first key is \"user:1\""},
        {"return ctx:answer({ { id = 1 } }, 'di')",
         "row 1 has no column \"di\" that is an integer or a text"},
        {"return ctx:answer({ { id = 1.5 } }, 'id')", "row 1 has no column \"id\""},
        {"return ctx:answer({ { id = rtcache.null } }, 'id')", "row 1 has no column \"id\""},
        {"return ctx:answer({ 5 }, 'id')", "row 1 has no column \"id\""},
        {"return ctx:answer({ rtcache.null }, 'id')", "row 1 has no column \"id\""},
        {"return ctx:answer(5, 'id')",
         "ctx:answer takes what db:rows or db:packed_rows gave, not a number"},
        {"return ctx:answer({})", "ctx:answer takes the name of the id's column, not a nil"},
        {"return ctx:answer({}, 'id', {})",
         "ctx:answer takes the name of the version's column, not a table"},
        {"return ctx.answer({}, 'id')", "call it as ctx:answer(rows, \"id\")"},
        {"local a = ctx:answer({}, 'id') a[1] = 4 return a", "that was changed"},
        {"local a = ctx:answer({}, 'id') a[2] = nil return a", "that was changed"},
        {"return ctx:answer({ { id = 1 } }, 'id'), { ['user:7'] = {} }", "options for \"user:7\""},
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
        CASE(gives_each_row_to_the_key_of_its_id),        CASE(takes_packed_rows_over_as_they_are),
        CASE(ids_are_the_integers_among_the_matches),     CASE(rows_that_do_not_fit_fail_the_run),
        CASE(a_version_that_is_none_fails_its_key_alone), CASE(patterns_of_two_stars_have_no_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
