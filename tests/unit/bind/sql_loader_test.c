#include "bind/fake.h"

#include "wire/json.h"
#include "conf/conf.h"

static int add(struct bench *b, const char *version)
{
    struct conf_loader l = {.sql = "SELECT $1",
                            .version = version,
                            .script = "rtcache.conf:12",
                            .backend = "main",
                            .file = "/etc/rtcache.conf",
                            .line = 12};
    struct err e;
    int script;
    if (runtime_add_loader(b->rt, &l, &script, &e) != 0)
        fail_msg("%s", e.text);
    return script;
}

static const char row[] = "\x82\xa2id\x2a\xa1v\x05";

static void loads_a_row_with_its_version(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = add(b, "v");
    assert_non_null(bench_begin(b, script, &end));
    struct call *q = fake_oldest(&b->main);
    assert_int_equal(q->shape, CALL_ROW);
    assert_true(slice_eq_str(q->text, "SELECT $1"));
    assert_int_equal(q->params.size, 4);
    assert_memory_equal(q->params.data,
                        "\x91\xa2"
                        "42",
                        4);
    fake_answer(q, slice_of(row, sizeof row - 1));
    assert_int_equal(end.outcome, RUN_FOUND);
    assert_memory_equal(end.value.data, row, sizeof row - 1);
    assert_true(end.has_version);
    assert_int_equal(end.version, 5);
    ending_fini(&end);

    bench_begin(b, script, &end);
    fake_answer_nothing(fake_oldest(&b->main));
    assert_int_equal(end.outcome, RUN_ABSENT);
    ending_fini(&end);

    bench_begin(b, add(b, NULL), &end);
    fake_answer(fake_oldest(&b->main), slice_of(row, sizeof row - 1));
    assert_int_equal(end.outcome, RUN_FOUND);
    assert_false(end.has_version);
    ending_fini(&end);
}

static void names_the_configuration_in_errors(void **state)
{
    struct bench *b = *state;
    struct ending end;
    bench_begin(b, add(b, "version"), &end);
    fake_answer(fake_oldest(&b->main), slice_of(row, sizeof row - 1));
    assert_int_equal(end.outcome, RUN_FAILED);
    assert_int_equal(end.err.code, ERR_SCRIPT);
    expect_text(&end.err, "rtcache.conf:12: \"version\": the query has no column \"version\"; it "
                          "has id, v");
    ending_fini(&end);
    bench_begin(b, add(b, NULL), &end);
    fake_fail(fake_oldest(&b->main), ERR_BACKEND, "42P01 no such table");
    assert_int_equal(end.err.code, ERR_BACKEND);
    expect_text(&end.err, "rtcache.conf:12: 42P01 no such table");
    ending_fini(&end);
}

struct two {
    enum run_outcome outcome;
    struct err err;
    unsigned count;
    struct ending of[3];
};

static void take(struct run *r, struct run_result *result, void *arg)
{
    struct two *t = arg;
    t->outcome = result->outcome;
    t->err = result->err;
    t->count = result->many_count;
    for (unsigned i = 0; i < result->many_count && i < 3; i++)
        ending_take(r, &result->many[i], &t->of[i]);
}

static void start_three(struct bench *b, int script, struct two *t)
{
    struct run *run;
    struct err e;
    static const struct slice captures[] = {{"1", 1}, {"2", 1}, {"3", 1}};
    struct run_key keys[3] = {
        {.key = slice_str("user:1"), .captures = &captures[0], .capture_count = 1},
        {.key = slice_str("user:2"), .captures = &captures[1], .capture_count = 1},
        {.key = slice_str("user:3"), .captures = &captures[2], .capture_count = 1},
    };
    struct run_request q = {.what = RUN_LOAD_MANY,
                            .script = script,
                            .keys = keys,
                            .key_count = 3,
                            .pattern = "user:*",
                            .attempt = 1,
                            .deadline_ms = clock_ms() + 60000,
                            .done = take,
                            .arg = t};
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
}

static void load_three(struct bench *b, int script, struct two *t)
{
    start_three(b, script, t);
    assert_int_equal(fake_oldest(&b->main)->shape, CALL_TYPES);
}

static void types_are(struct bench *b, const char *json)
{
    struct buf types;
    buf_init(&types, 0);
    assert_int_equal(json_to_mp(slice_str(json), &types, NULL), 0);
    fake_answer(fake_oldest(&b->main), buf_slice(&types));
    buf_fini(&types);
}

static void asks_at_once_only_where_the_query_reads_plain_tables(void **state)
{
    struct bench *b = *state;
    struct two t = {.outcome = RUN_FAILED};
    int script = add(b, NULL);
    load_three(b, script, &t);
    assert_int_equal(fake_oldest(&b->main)->verb, SQL_TYPES); /* it is to be found out */
    types_are(b, "[[20], [\"id\", \"v\"], true, false]");
    assert_int_equal(b->main.submitted, 4);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_oldest(&b->main)->verb, SQL_PACKED_ROW);
        fake_answer_nothing(fake_oldest(&b->main));
    }
    assert_int_equal(t.outcome, RUN_DONE);

    t = (struct two){.outcome = RUN_FAILED};
    load_three(b, script, &t);
    types_are(b, "[[20], [\"id\", \"v\"], true, true]");
    types_are(b, "[{\"name\": \"bigint\"}]");
    types_are(b, "[[1016], [\"rtcache_i\", \"id\", \"v\"], true, false]");
    struct call *q = fake_oldest(&b->main);
    assert_int_equal(q->shape, CALL_ROWS);
    assert_int_equal(q->verb, SQL_BATCH_ROWS);
    fake_answer(q, slice_of("\x90", 1));
    assert_int_equal(t.outcome, RUN_DONE);

    t = (struct two){.outcome = RUN_FAILED};
    load_three(b, script, &t); /* a policy was switched on */
    types_are(b, "[[20], [\"id\", \"v\"], true, false]");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_oldest(&b->main)->shape, CALL_ROW);
        fake_answer_nothing(fake_oldest(&b->main));
    }
    assert_int_equal(t.outcome, RUN_DONE);
}

/* Starts a batch and answers up to the query for all of its keys, which it returns. */
static struct call *ask_for_all(struct bench *b, int script, struct two *t, bool made)
{
    *t = (struct two){.outcome = RUN_FAILED};
    load_three(b, script, t);
    types_are(b, "[[20], [\"id\", \"v\"], true, true]");
    if (!made) {
        types_are(b, "[{\"name\": \"bigint\"}]");
        types_are(b, "[[1016], [\"rtcache_i\", \"id\", \"v\"], true, false]");
    }
    return fake_oldest(&b->main);
}

static void asks_only_for_rows_where_the_driver_knows_the_types(void **state)
{
    struct bench *b = *state;
    struct two t;
    struct buf known;
    int script = add(b, NULL);
    fake_answer(ask_for_all(b, script, &t, false), slice_of("\x90", 1));
    int submitted = b->main.submitted;
    buf_init(&known, 0);
    assert_int_equal(json_to_mp(slice_str("[[20], [\"id\", \"v\"], true, true]"), &known, NULL), 0);
    b->main.known = buf_slice(&known);
    for (int i = 1; i <= 3; i++) {
        t = (struct two){.outcome = RUN_FAILED};
        start_three(b, script, &t);
        assert_int_equal(fake_oldest(&b->main)->shape, CALL_ROWS);
        fake_answer(fake_oldest(&b->main), slice_of("\x90", 1));
        assert_int_equal(t.outcome, RUN_DONE);
        assert_int_equal(t.count, 3);
        assert_int_equal(b->main.submitted, submitted + i);
    }
    b->main.known = slice_of("\xc1", 1); /* what is no answer fails the batch, not the server */
    t = (struct two){.outcome = RUN_DONE};
    start_three(b, script, &t);
    assert_int_equal(t.outcome, RUN_FAILED);
    assert_true(list_empty(&b->main.queries));
    buf_fini(&known);
}

static void a_row_of_no_key_fails_the_batch(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *number, *says; /* of the second row; NULL: it belongs to a key */
    } cases[] = {
        {"\x01", NULL},
        {"\x03", NULL},
        {"\x04", "rtcache.conf:12: row 2 belongs to no key"},
        {"\xff", "rtcache.conf:12: row 2 belongs to no key"},
        {"\xc0", "rtcache.conf:12: row 2 belongs to no key"},
        {"\xa1\x33", "rtcache.conf:12: row 2 belongs to no key"},
    };
    int script = add(b, NULL);
    struct two t;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char rows[64];
        int size = snprintf(rows, sizeof rows, "\x92\x82\xa1i\x02\xa1v\x07\x82\xa1i%s\xa1v\x08",
                            cases[i].number);
        fake_answer(ask_for_all(b, script, &t, i > 0), slice_of(rows, (size_t)size));
        if (!cases[i].says) {
            assert_int_equal(t.outcome, RUN_DONE);
            assert_int_equal(t.of[1].outcome, RUN_FOUND);
            assert_memory_equal(t.of[1].value.data, "\x81\xa1v\x07", 4);
            assert_int_equal(t.of[cases[i].number[0] - 1].outcome, RUN_FOUND);
        } else {
            assert_int_equal(t.outcome, RUN_FAILED);
            expect_text(&t.err, cases[i].says);
        }
        for (int k = 0; k < 3; k++)
            ending_fini(&t.of[k]);
    }
    /* Zero, which a text cannot hold. */
    fake_answer(ask_for_all(b, script, &t, true), slice_of("\x91\x81\xa1i\x00", 5));
    assert_int_equal(t.outcome, RUN_FAILED);
    expect_text(&t.err, "rtcache.conf:12: row 1 belongs to no key");
}

static void asks_for_several_keys_at_once(void **state)
{
    struct bench *b = *state;
    struct two t = {.outcome = RUN_FAILED};
    load_three(b, add(b, "v"), &t);
    assert_int_equal(b->main.submitted, 1);
    fake_answer_nothing(fake_oldest(&b->main)); /* it cannot be asked for all of them at once */
    assert_int_equal(b->main.submitted, 4);     /* before any answer */
    fake_answer(fake_oldest(&b->main), slice_of(row, sizeof row - 1));
    fake_fail(fake_oldest(&b->main), ERR_BACKEND, "22P02 odd");
    assert_int_equal(t.count, 0);
    fake_answer_nothing(fake_oldest(&b->main));
    assert_int_equal(t.outcome, RUN_DONE);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.of[0].outcome, RUN_FOUND);
    assert_int_equal(t.of[0].version, 5);
    assert_memory_equal(t.of[0].value.data, row, sizeof row - 1);
    assert_int_equal(t.of[1].outcome, RUN_FAILED);
    assert_int_equal(t.of[1].err.code, ERR_BACKEND);
    expect_text(&t.of[1].err, "rtcache.conf:12: 22P02 odd");
    assert_int_equal(t.of[2].outcome, RUN_ABSENT);
    for (int i = 0; i < 3; i++)
        ending_fini(&t.of[i]);
}

static void is_no_script_of_that_name(void **state)
{
    struct bench *b = *state;
    int first = add(b, NULL), second = add(b, NULL);
    assert_int_not_equal(first, second); /* two loaders may stand on one line */
    int script =
        bench_script(b, "rtcache.conf", "return { load = function() return 'script' end }");
    struct ending end;
    bench_run(b, script, &end);
    expect_str(&end, "script");
    ending_fini(&end);
    assert_true(runtime_has(b->rt, first, RUN_LOAD_MANY));
    assert_false(runtime_has(b->rt, first, RUN_SAVE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(loads_a_row_with_its_version),
        CASE(names_the_configuration_in_errors),
        CASE(asks_for_several_keys_at_once),
        CASE(asks_at_once_only_where_the_query_reads_plain_tables),
        CASE(asks_only_for_rows_where_the_driver_knows_the_types),
        CASE(a_row_of_no_key_fails_the_batch),
        CASE(is_no_script_of_that_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
