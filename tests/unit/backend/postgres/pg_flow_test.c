#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "pg_fixture.h"

#include <sys/resource.h>

#define MANY 1000

static void a_thousand_at_once_each_get_their_own_answer(void **state)
{
    struct fixture *f = opened(state, 2);
    struct ask *asks = calloc(MANY, sizeof *asks);
    char text[128];
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "[%d]", i);
        ask_init(&asks[i], CALL_ROW, "SELECT $1::int AS n, repeat('x', $1::int % 50) AS pad", text);
        ask_send(f, &asks[i]);
        assert_int_equal(asks[i].done, 0);
    }
    assert_true(stats(f).queued > 0);
    for (int i = 0; i < MANY; i++) {
        fixture_wait(f, &asks[i].done, 1);
        snprintf(text, sizeof text, "{\"n\":%d,\"pad\":\"%.*s\"}", i, i % 50,
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        result_is(&asks[i].q, text);
        ask_fini(&asks[i]);
    }
    assert_int_equal(stats(f).queries, MANY);
    while (stats(f).in_flight > 0) /* a question of the driver's own may still be on its way */
        ev_run(f->loop, EVRUN_ONCE);
    while (stats(f).connections < 2) /* the second may still be on its way when all is answered */
        gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    free(asks);
    fixture_close(f);
}

static void an_error_is_its_own_querys_alone(void **state)
{
    struct fixture *f = opened(state, 1);
    enum { N = 90 };
    struct ask asks[N];
    gives(f, CALL_COUNT, "CREATE TABLE kept (n int)", NULL, "0");
    for (int i = 0; i < N; i++) {
        char params[32];
        snprintf(params, sizeof params, "[%d]", i % 3);
        const char *sql = i % 3 == 1   ? "SELECT 1 / ($1::int - 1)"
                          : i % 3 == 2 ? "SELECT nope + $1::int"
                                       : "INSERT INTO kept VALUES ($1) RETURNING 7";
        ask_init(&asks[i], CALL_VALUE, sql, params);
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < N; i++) {
        fixture_wait(f, &asks[i].done, 1);
        assert_string_equal(err_name(asks[i].q.code), i % 3 ? "BACKEND_ERROR" : "OK");
        if (i % 3)
            assert_memory_equal(asks[i].q.err.text, i % 3 == 1 ? "22012 " : "42703 ", 6);
        else
            result_is(&asks[i].q, "7");
        ask_fini(&asks[i]);
    }
    gives(f, CALL_VALUE, "SELECT count(*) FROM kept", NULL, "30");
    assert_int_equal(stats(f).disconnects, 0);
    assert_int_equal(stats(f).failures, 60);
    fixture_close(f);
}

static void an_error_at_commit_is_an_error(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_COUNT, "CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)", NULL,
          "0");
    gives(f, CALL_COUNT, "INSERT INTO late VALUES (1)", NULL, "1");
    fails(f, CALL_VALUE, "INSERT INTO late VALUES (1) RETURNING n", NULL, ERR_BACKEND, "23505");
    gives(f, CALL_VALUE, "SELECT count(*) FROM late", NULL, "1");
    fixture_close(f);
}

static void what_may_commit_on_its_way_is_not_undone_by_its_error(void **state)
{
    static const struct {
        const char *sql;
        enum call_fate fate;
    } cases[] = {
        {"UPDATE pg_class SET relname = NULL WHERE 1 / (random() * 0)::int = 1", CALL_UNDONE},
        {"DO $$ BEGIN RAISE 'no'; END $$", CALL_DONE},
    };
    struct fixture *f = opened(state, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask a;
        ask_init(&a, CALL_COUNT, cases[i].sql, NULL);
        ask_wait(f, &a);
        assert_int_equal(a.q.code, ERR_BACKEND);
        assert_int_equal(a.q.fate, cases[i].fate);
        ask_fini(&a);
    }
    fixture_close(f);
}

static void statements_stay_within_their_bound(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.statements = 4;
    fixture_open(f, 1);
    char sql[64], want[16];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 20; i++) {
            snprintf(sql, sizeof sql, "SELECT %d", i);
            snprintf(want, sizeof want, "%d", i);
            gives(f, CALL_VALUE, sql, NULL, want);
        }
    const char *names = "SELECT count(*) FROM pg_prepared_statements";
    gives(f, CALL_VALUE, names, NULL, "4");
    /* All at once: more in the air than may be kept. */
    struct ask asks[40];
    for (int i = 0; i < 40; i++) {
        snprintf(sql, sizeof sql, "SELECT %d + 0", i);
        ask_init(&asks[i], CALL_VALUE, "", NULL);
        asks[i].q.text = slice_str(strdup(sql));
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < 40; i++) {
        fixture_wait(f, &asks[i].done, 1);
        snprintf(want, sizeof want, "%d", i);
        result_is(&asks[i].q, want);
        free((void *)asks[i].q.text.data);
        ask_fini(&asks[i]);
    }
    gives(f, CALL_VALUE, names, NULL, "4");
    fixture_close(f);
}

static void a_table_altered_between_two_reads_is_read_as_it_is(void **state)
{
    struct fixture *f = opened(state, 1);
    struct fixture other = *f;
    fixture_open(&other, 1);
    gives(&other, CALL_COUNT, "CREATE TABLE alt (id int PRIMARY KEY, a int)", NULL, "0");
    gives(&other, CALL_COUNT, "INSERT INTO alt VALUES (1, 2)", NULL, "1");
    const char *all = "SELECT * FROM alt WHERE id = $1";
    gives(f, CALL_ROW, all, "[1]", "{\"id\":1,\"a\":2}");
    gives(&other, CALL_COUNT, "ALTER TABLE alt ADD COLUMN b text DEFAULT 'x'", NULL, "0");
    gives(f, CALL_ROW, all, "[1]", "{\"id\":1,\"a\":2,\"b\":\"x\"}");
    gives(&other, CALL_COUNT, "ALTER TABLE alt RENAME COLUMN a TO c", NULL, "0");
    gives(f, CALL_ROW, all, "[1]", "{\"id\":1,\"c\":2,\"b\":\"x\"}");
    /* The type of a parameter changes with its column. */
    gives(&other, CALL_COUNT, "ALTER TABLE alt ALTER COLUMN id TYPE text", NULL, "0");
    gives(f, CALL_ROW, all, "[\"1\"]", "{\"id\":\"1\",\"c\":2,\"b\":\"x\"}");
    gives(&other, CALL_COUNT, "DROP TABLE alt", NULL, "0");
    fails(f, CALL_ROW, all, "[\"1\"]", ERR_BACKEND, "42P01");
    assert_int_equal(stats(f).disconnects, 0);
    fixture_close(&other);
    fixture_close(f);
}

static void statements_lost_by_the_server_are_prepared_again(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    gives(f, CALL_COUNT, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", NULL, "0");
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    fixture_close(f);
}

static void a_result_past_its_bound_is_refused_and_the_connection_goes_on(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->conf.max_result = 1000;
    fixture_open(f, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    struct ask before, after;
    ask_init(&before, CALL_VALUE, "SELECT 2", NULL);
    ask_init(&after, CALL_VALUE, "SELECT 3", NULL);
    ask_send(f, &before);
    struct ask large;
    ask_init(&large, CALL_ROWS, "SELECT n FROM generate_series(1, 3000000) n", NULL);
    ask_send(f, &large);
    ask_send(f, &after);
    fixture_wait(f, &large.done, 1);
    assert_string_equal(err_name(large.q.code), "TOO_LARGE");
    assert_non_null(strstr(large.q.err.text, "1000 bytes"));
    fixture_wait(f, &after.done, 1);
    result_is(&before.q, "2");
    result_is(&after.q, "3");
    ask_fini(&large);
    ask_fini(&before);
    ask_fini(&after);
    fails(f, CALL_VALUE, "SELECT repeat('x', 1001)", NULL, ERR_TOO_LARGE,
          "the result takes more than 1000 bytes (max_result)");
    gives(f, CALL_VALUE, "SELECT 4", NULL, "4");
    assert_int_equal(stats(f).connects, 1);
    fixture_close(f);
}

static long peak_kib(void)
{
    struct rusage use;
    assert_int_equal(getrusage(RUSAGE_SELF, &use), 0);
    return use.ru_maxrss;
}

/* Rows of a statement that had few come all at once; where they are many after all, one by one. */
static void rows_that_were_few_and_are_many_now_take_no_more_memory(void **state)
{
    struct fixture *f = opened(state, 1);
    const char *rows = "SELECT repeat('x', 10000) AS x FROM generate_series(1, $1::int)";
    const char *numbers = "SELECT n, nextval('runs') > 0 AS b FROM generate_series(1, $1::int) n";
    gives(f, CALL_COUNT, "CREATE SEQUENCE runs", NULL, "0");
    gives(f, CALL_ROWS, numbers, "[1]", "[{\"n\":1,\"b\":true}]");
    fixture_share(f);
    gives(f, CALL_ROWS, numbers, "[1]", "[{\"n\":1,\"b\":true}]");
    gives(f, CALL_VALUE, numbers, "[1000000]", "1");
    gives(f, CALL_VALUE, "SELECT last_value > 1000002 FROM runs", NULL, /* it ran twice */
          memory_is_counted() ? "true" : "false");
    assert_int_equal(stats(f).reruns, memory_is_counted());
    gives(f, CALL_VALUE, numbers, "[2]", "1");
    gives(f, CALL_ROW, rows, "[0]", "nothing");
    fixture_share(f);
    long before = peak_kib();
    struct ask large, after;
    ask_init(&large, CALL_ROWS, rows, "[50000]");
    ask_init(&after, CALL_VALUE, "SELECT 3", NULL);
    ask_send(f, &large);
    ask_send(f, &after);
    fixture_wait(f, &large.done, 1);
    assert_string_equal(err_name(large.q.code), "TOO_LARGE");
    fixture_wait(f, &after.done, 1);
    result_is(&after.q, "3");
    assert_true(peak_kib() - before < 250 * 1024); /* of 500 MB */
    ask_fini(&large);
    ask_fini(&after);
    gives(f, CALL_ROWS, numbers, "[1]", "[{\"n\":1,\"b\":true}]");
    assert_int_equal(stats(f).connects, 1);
    fixture_close(f);
}

/* What is sent while rows come leaves the count of their memory as it is. */
static void rows_are_many_however_much_is_sent_beside_them(void **state)
{
    enum { BESIDE = 900 };
    static struct ask asks[BESIDE];
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.pipeline = 2 * BESIDE;
    fixture_open(f, 1);
    const char *rows = "SELECT n, repeat('x', 1000) AS x," /* a few at a time */
                       " CASE n % 8 WHEN 0 THEN pg_sleep(0.0003)::text END AS s"
                       " FROM generate_series(1, $1::int) n";
    gives(f, CALL_VALUE, rows, "[1]", "1");
    fixture_share(f);
    gives(f, CALL_VALUE, rows, "[1]", "1");
    gives(f, CALL_VALUE, "SELECT 3", NULL, "3");
    struct ask large;
    int count = 0;
    ask_init(&large, CALL_VALUE, rows, "[3000]");
    ask_send(f, &large);
    while (large.done == 0 && count < BESIDE) { /* one more in each turn */
        ev_run(f->loop, EVRUN_ONCE);
        ask_init(&asks[count], CALL_VALUE, "SELECT 3", NULL);
        ask_send(f, &asks[count++]);
    }
    fixture_wait(f, &large.done, 1);
    result_is(&large.q, "1");
    for (int i = 0; i < count; i++) {
        fixture_wait(f, &asks[i].done, 1);
        result_is(&asks[i].q, "3");
        ask_fini(&asks[i]);
    }
    ask_fini(&large);
    assert_int_equal(stats(f).reruns, memory_is_counted());
    fixture_close(f);
}

/* What may leave a trace is not run twice for the sake of memory. */
static void rows_of_what_may_write_come_one_by_one_and_it_runs_once(void **state)
{
    struct fixture *f = opened(state, 1);
    const char *numbers = "SELECT n, nextval('once') > 0 AS b FROM generate_series(1, $1::int) n";
    gives(f, CALL_COUNT, "CREATE SEQUENCE once", NULL, "0");
    gives(f, CALL_VALUE, numbers, "[1]", "1");
    gives(f, CALL_VALUE, numbers, "[1]", "1");
    gives(f, CALL_VALUE, numbers, "[1000000]", "1");
    gives(f, CALL_VALUE, "SELECT last_value FROM once", NULL, "1000002");
    assert_int_equal(stats(f).reruns, 0);
    fixture_close(f);
}

static void past_the_queues_bound_is_overloaded_at_once(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->conf.max_queue = 3;
    f->own.pipeline = 2;
    fixture_open(f, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    struct ask asks[6];
    for (int i = 0; i < 6; i++) {
        ask_init(&asks[i], CALL_VALUE, "SELECT 1", NULL);
        ask_send(f, &asks[i]);
    }
    assert_int_equal(stats(f).queued, 3);
    assert_int_equal(stats(f).in_flight, 2);
    assert_int_equal(stats(f).idle, 0);
    for (int i = 0; i < 6; i++) {
        fixture_wait(f, &asks[i].done, 1);
        assert_string_equal(err_name(asks[i].q.code), i == 5 ? "OVERLOADED" : "OK");
        if (i == 5) {
            assert_string_equal(asks[i].q.err.text,
                                "backend \"main\": 3 queries wait already (max_queue)");
            assert_int_equal(asks[i].q.fate, CALL_UNSENT);
        }
        ask_fini(&asks[i]);
    }
    assert_int_equal(stats(f).queued, 0);
    assert_int_equal(stats(f).in_flight, 0);
    assert_int_equal(stats(f).idle, 1);
    assert_int_equal(stats(f).connections, 1);
    assert_int_equal(stats(f).failures, 1);
    assert_int_equal(stats(f).queries, 7);
    fixture_close(f);
}

static void unref_and_count(struct call *q)
{
    struct ask *a = container_of(q, struct ask, q);
    a->done++;
    backend_unref(a->backend);
    ev_break(ev_default_loop(0), EVBREAK_ONE);
}

static void a_backend_may_end_inside_done(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask a;
    ask_init(&a, CALL_VALUE, "SELECT 1", NULL);
    a.q.done = unref_and_count;
    ask_send(f, &a);
    fixture_wait(f, &a.done, 1);
    result_is(&a.q, "1");
    ask_fini(&a);
}

static void questions_asked_inside_done_are_answered(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask asks[3];
    for (int i = 0; i < 3; i++) {
        ask_init(&asks[i], CALL_VALUE, i == 1 ? "BEGIN" : "SELECT 1", NULL);
        asks[i].backend = f->backend;
        asks[i].next = i < 2 ? &asks[i + 1] : NULL;
    }
    ask_send(f, &asks[0]);
    fixture_wait(f, &asks[2].done, 1);
    assert_int_equal(asks[1].q.code, ERR_BAD_REQUEST);
    result_is(&asks[2].q, "1");
    for (int i = 0; i < 3; i++)
        ask_fini(&asks[i]);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_at_once_each_get_their_own_answer),
        cmocka_unit_test(an_error_is_its_own_querys_alone),
        cmocka_unit_test(an_error_at_commit_is_an_error),
        cmocka_unit_test(what_may_commit_on_its_way_is_not_undone_by_its_error),
        cmocka_unit_test(statements_stay_within_their_bound),
        cmocka_unit_test(a_table_altered_between_two_reads_is_read_as_it_is),
        cmocka_unit_test(statements_lost_by_the_server_are_prepared_again),
        cmocka_unit_test(a_result_past_its_bound_is_refused_and_the_connection_goes_on),
        cmocka_unit_test(rows_that_were_few_and_are_many_now_take_no_more_memory),
        cmocka_unit_test(rows_are_many_however_much_is_sent_beside_them),
        cmocka_unit_test(rows_of_what_may_write_come_one_by_one_and_it_runs_once),
        cmocka_unit_test(past_the_queues_bound_is_overloaded_at_once),
        cmocka_unit_test(a_backend_may_end_inside_done),
        cmocka_unit_test(questions_asked_inside_done_are_answered),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
