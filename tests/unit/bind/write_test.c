/* save and remove: bind/run.c gives them what they need, bind/result.c reads what they return. */
#include "bind/fake.h"

#define KEY_SAVE "return { load = function() end, save = function(key, value, ctx)\n"
#define KEY_GONE "return { load = function() end, remove = function(key, ctx)\n"

/* Runs a body as save of "user:42" with {name = "Ann"}, or as remove. */
static void write_with(struct bench *b, enum run_what what, const char *body, struct ending *end)
{
    char text[1024];
    struct err e;
    struct run *run;
    static int count;
    char file[32];
    snprintf(file, sizeof file, "w%d.lua", count++);
    snprintf(text, sizeof text, "%s %s end }", what == RUN_SAVE ? KEY_SAVE : KEY_GONE, body);
    struct run_request q = bench_request(b, bench_script(b, file, text), end);
    q.what = what;
    q.input = slice_str("\x81\xa4name\xa3"
                        "Ann");
    q.has_version = true;
    q.version = 7;
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    assert_null(run);
    assert_int_equal(end->calls, 1);
}

static void fails_with(struct bench *b, enum run_what what, const char *body, const char *text)
{
    struct ending end = {0};
    write_with(b, what, body, &end);
    assert_int_equal(end.outcome, RUN_FAILED);
    if (!strstr(end.err.text, text))
        print_error("\"%s\" lacks \"%s\"\n", end.err.text, text);
    assert_non_null(strstr(end.err.text, text));
    assert_int_equal(end.effect, EFFECT_NONE);
    ending_fini(&end);
}

static void save_gets_the_value_and_what_its_client_has_seen(void **state)
{
    struct ending end = {0};
    write_with(*state, RUN_SAVE,
               "assert(key == 'user:42' and ctx.match[1] == '42' and ctx.version == 7)"
               "assert(ctx.value == nil) return key .. value.name",
               &end);
    assert_int_equal(end.outcome, RUN_FOUND);
    expect_str(&end, "user:42Ann");
    ending_fini(&end);
}

static void save_may_return_the_row_with_its_version_and_tags(void **state)
{
    struct ending end = {0};
    write_with(*state, RUN_SAVE, "return 'row', { version = 8, tags = { 'a' }, ttl = 2 }", &end);
    assert_int_equal(end.outcome, RUN_FOUND);
    assert_true(end.has_version);
    assert_int_equal(end.version, 8);
    assert_int_equal(end.ttl_ms, 2000);
    assert_memory_equal(end.tags.data,
                        "\x91\xa1"
                        "a",
                        3);
    ending_fini(&end);
}

static void both_may_say_no_more_than_that_it_is_done(void **state)
{
    static const char *const bodies[] = {"", "return", "return nil", "return true",
                                         "return true, { version = 9 }"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (int what = RUN_SAVE; what <= RUN_REMOVE; what++) {
            struct ending end = {0};
            write_with(*state, (enum run_what)what, bodies[i], &end);
            assert_int_equal(end.outcome, RUN_DONE);
            assert_int_equal(end.has_version, i == 4);
            assert_int_equal(end.version, i == 4 ? 9 : 0);
            ending_fini(&end);
        }
}

static void wrong_results_are_refused_with_what_is_right(void **state)
{
    struct bench *b = *state;
    fails_with(b, RUN_SAVE, "return false", "save returned false");
    fails_with(b, RUN_SAVE, "return rtcache.unchanged", "rtcache.unchanged, which is for load");
    fails_with(b, RUN_REMOVE, "return 'row'", "remove returned a string");
    fails_with(b, RUN_REMOVE, "return false", "remove returned a boolean");
    fails_with(b, RUN_REMOVE, "return true, { versoin = 1 }", "did you mean \"version\"");
    fails_with(b, RUN_SAVE, "return nil, 'no'", "no");
    fails_with(b, RUN_SAVE, "return nil, { code = 'VERSION_CONFLICT', message = 'late' }", "late");
    fails_with(b, RUN_REMOVE, "error 'broken'", "broken");
}

static void a_conflict_that_a_script_names_keeps_its_code(void **state)
{
    struct ending end = {0};
    write_with(*state, RUN_SAVE, "return nil, { code = 'VERSION_CONFLICT', message = 'late' }",
               &end);
    assert_int_equal(end.err.code, ERR_VERSION_CONFLICT);
    ending_fini(&end);
}

/* Begins a save with that body; its queries are to be answered. */
static struct run *begin_save(struct bench *b, const char *body, struct ending *end)
{
    char text[512], file[32];
    static int count;
    struct err e;
    struct run *run;
    snprintf(file, sizeof file, "s%d.lua", count++);
    snprintf(text, sizeof text, "%s %s end }", KEY_SAVE, body);
    struct run_request q = bench_request(b, bench_script(b, file, text), end);
    q.what = RUN_SAVE;
    q.input = slice_str("\x01");
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    assert_non_null(run);
    return run;
}

static void a_failure_tells_what_its_queries_have_done(void **state)
{
    static const struct {
        const char *sql;
        enum call_fate fate;
        enum run_effect effect;
    } cases[] = {
        {"UPDATE a SET b = 1", CALL_UNSENT, EFFECT_NONE},
        {"UPDATE a SET b = 1", CALL_UNDONE, EFFECT_NONE},
        {"UPDATE a SET b = 1", CALL_SENT, EFFECT_UNKNOWN},
        {"UPDATE a SET b = 1", CALL_DONE, EFFECT_SOME},
        {"SELECT f(1)", CALL_SENT, EFFECT_UNKNOWN},
        {"CALL f(1)", CALL_UNDONE, EFFECT_NONE}, /* it is the driver that reads the text */
        {"CALL f(1)", CALL_UNSENT, EFFECT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench *b = *state;
        struct ending end = {0};
        char body[128];
        snprintf(body, sizeof body, "ctx.db:exec('%s')", cases[i].sql);
        begin_save(b, body, &end);
        fake_fail_with(fake_oldest(&b->main), ERR_BACKEND, cases[i].fate);
        assert_int_equal(end.outcome, RUN_FAILED);
        if (end.effect != cases[i].effect)
            fail_msg("case %zu: %d", i, end.effect);
        ending_fini(&end);
    }
}

static void what_succeeded_before_the_failure_counts(void **state)
{
    struct bench *b = *state;
    struct ending end = {0};
    begin_save(b, "ctx.db:exec('UPDATE') error 'late'", &end);
    fake_answer_int(fake_oldest(&b->main), 1);
    assert_int_equal(end.effect, EFFECT_SOME);
    ending_fini(&end);
    begin_save(b, "ctx.db:exec('UPDATE') ctx.db:exec('UPDATE')", &end);
    fake_answer_int(fake_oldest(&b->main), 1);
    fake_fail_with(fake_oldest(&b->main), ERR_BACKEND, CALL_UNDONE);
    assert_int_equal(end.effect, EFFECT_SOME);
    ending_fini(&end);
    /* The next run has the coroutine of the last one, and none of its past. */
    write_with(b, RUN_SAVE, "return nil, 'no'", &end);
    assert_int_equal(end.effect, EFFECT_NONE);
    ending_fini(&end);
}

static void an_error_that_the_script_caught_is_not_forgotten(void **state)
{
    struct bench *b = *state;
    struct ending end = {0};
    begin_save(b, "pcall(ctx.db.exec, ctx.db, 'UPDATE') return nil, 'never mind'", &end);
    fake_fail_with(fake_oldest(&b->main), ERR_BACKEND_DOWN, CALL_SENT);
    assert_int_equal(end.effect, EFFECT_UNKNOWN);
    ending_fini(&end);
    begin_save(b, "pcall(ctx.db.exec, ctx.db, 'UPDATE')", &end);
    fake_fail_with(fake_oldest(&b->main), ERR_BACKEND_DOWN, CALL_SENT);
    assert_int_equal(end.outcome, RUN_DONE);
    assert_int_equal(end.effect, EFFECT_UNKNOWN);
    ending_fini(&end);
}

static void what_is_given_up_in_the_air_is_unknown(void **state)
{
    struct bench *b = *state;
    struct ending end = {0};
    struct run *run = begin_save(b, "ctx.db:exec('UPDATE')", &end);
    assert_int_equal(run_cancel(run), EFFECT_UNKNOWN);
    run = begin_save(b, "ctx.db:exec('UPDATE')", &end);
    fake_oldest(&b->main)->fate = CALL_UNSENT; /* it still waits for a connection */
    assert_int_equal(run_cancel(run), EFFECT_NONE);
    run = begin_save(b, "ctx.db:exec('UPDATE') rtcache.sleep(60)", &end);
    fake_answer_int(fake_oldest(&b->main), 1);
    assert_int_equal(run_cancel(run), EFFECT_SOME);
    begin_save(b,
               "rtcache.all { function() ctx.db:exec('UPDATE') end,"
               " function() rtcache.backend('other'):exec('UPDATE') end }",
               &end);
    fake_fail_with(fake_oldest(&b->main), ERR_BACKEND, CALL_UNDONE);
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.effect, EFFECT_UNKNOWN); /* the other one was cancelled */
    ending_fini(&end);
}

static void a_value_that_is_no_messagepack_fails_the_write_alone(void **state)
{
    struct bench *b = *state;
    struct ending end = {0};
    struct err e;
    struct run *run;
    struct run_request q =
        bench_request(b, bench_script(b, "cut.lua", KEY_SAVE "return value end }"), &end);
    q.what = RUN_SAVE;
    q.input = slice_of("\xa5"
                       "ab",
                       3);
    int rc = run_start(&run, b->rt, &q, &e);
    assert_true(rc != 0 || end.outcome == RUN_FAILED);
    ending_fini(&end);
    expect_eval(b, "return 'alive'", "alive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(save_gets_the_value_and_what_its_client_has_seen),
        CASE(save_may_return_the_row_with_its_version_and_tags),
        CASE(both_may_say_no_more_than_that_it_is_done),
        CASE(wrong_results_are_refused_with_what_is_right),
        CASE(a_conflict_that_a_script_names_keeps_its_code),
        CASE(a_failure_tells_what_its_queries_have_done),
        CASE(what_succeeded_before_the_failure_counts),
        CASE(an_error_that_the_script_caught_is_not_forgotten),
        CASE(what_is_given_up_in_the_air_is_unknown),
        CASE(a_value_that_is_no_messagepack_fails_the_write_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
