#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pg_fixture.h"

#define MANY 30

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    f->own.connect_timeout_ms = 2000 * WATCHDOG_S; /* a timer does not make up for a call */
    fixture_open(f, 1);
    gives(f, CALL_COUNT, "CREATE TYPE mood AS ENUM ('glad', 'sad')", NULL, "0");
    gives(f, CALL_COUNT, "CREATE TYPE pair AS (n int, t text)", NULL, "0");
    gives(f, CALL_COUNT, "CREATE DOMAIN small AS int2", NULL, "0");
    gives(f, CALL_COUNT, "CREATE DOMAIN smaller AS small", NULL, "0");
    gives(f, CALL_COUNT, "CREATE DOMAIN ids AS int8[]", NULL, "0");
    gives(f, CALL_COUNT, "CREATE DOMAIN bytes AS bytea", NULL, "0");
    gives(f, CALL_COUNT, "CREATE DOMAIN moods AS mood[]", NULL, "0");
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return fixture_teardown(state);
}

static void what_users_made_comes_down_to_what_is_built_in(void **state)
{
    struct fixture *f = *state;
    gives(f, CALL_VALUE, "SELECT '{glad,NULL,sad}'::mood[]", NULL, "[\"glad\",null,\"sad\"]");
    gives(f, CALL_VALUE, "SELECT 'glad'::mood", NULL, "\"glad\"");
    gives(f, CALL_VALUE, "SELECT '{1,-2}'::small[]", NULL, "[1,-2]");
    gives(f, CALL_VALUE, "SELECT '{{1,-2}}'::smaller[]", NULL, "[[1,-2]]");
    gives(f, CALL_VALUE, "SELECT '{9007199254740993}'::ids", NULL, "[9007199254740993]");
    gives(f, CALL_VALUE, "SELECT '{\"{1,2}\",\"{}\"}'::ids[]", NULL, "[[1,2],[]]");
    gives(f, CALL_VALUE, "SELECT '{glad}'::moods", NULL, "[\"glad\"]");
    gives(f, CALL_VALUE, "SELECT ARRAY[ROW(1, 'a,b')::pair]", NULL, "[\"(1,\\\"a,b\\\")\"]");
    gives(f, CALL_VALUE, "SELECT array_agg(c) FROM (SELECT relname FROM pg_class LIMIT 0) c", NULL,
          "null");
}

static void parameters_are_what_the_domain_is_over(void **state)
{
    struct fixture *f = *state;
    gives(f, CALL_VALUE, "SELECT encode($1::bytes, 'hex')", "[\"\\\\x41\"]", "\"5c783431\"");
    gives(f, CALL_VALUE, "SELECT $1::ids", "[[1,2]]", "[1,2]");
    gives(f, CALL_VALUE, "SELECT $1::small[]", "[[1,2]]", "[1,2]");
    gives(f, CALL_VALUE, "SELECT $1::mood[]", "[[\"sad\"]]", "[\"sad\"]");
}

/* They wait for one answer, and one that is given up meanwhile holds up nobody. */
static void many_that_meet_an_unknown_type_ask_once(void **state)
{
    struct fixture *f = *state;
    struct ask asks[MANY];
    char sql[MANY][80];
    gives(f, CALL_COUNT, "CREATE TYPE later AS ENUM ('x')", NULL, "0");
    uint64_t before = stats(f).queries;
    for (int i = 0; i < MANY; i++) {
        snprintf(sql[i], sizeof sql[i], "SELECT %d AS n, '{x}'::later[] AS v", i);
        ask_init(&asks[i], CALL_ROW, sql[i], NULL);
        ask_send(f, &asks[i]);
    }
    backend_cancel(f->backend, &asks[7].q);
    for (int i = 0; i < MANY; i++) {
        char want[40];
        snprintf(want, sizeof want, "{\"n\":%d,\"v\":[\"x\"]}", i);
        if (i != 7) {
            fixture_wait(f, &asks[i].done, 1);
            result_is(&asks[i].q, want);
        }
        ask_fini(&asks[i]);
    }
    assert_int_equal(stats(f).queries - before, MANY + 1);
    assert_int_equal(stats(f).queued, 0);
}

static void a_backend_may_end_while_it_asks(void **state)
{
    struct fixture other = *(struct fixture *)*state;
    struct ask a;
    fixture_open(&other, 1);
    gives(&other, CALL_VALUE, "SELECT 1", NULL, "1");
    ask_init(&a, CALL_VALUE, "SELECT '{glad}'::mood[]", NULL);
    ask_send(&other, &a);
    while (stats(&other).queries < 3) /* the third asks for the type */
        ev_run(other.loop, EVRUN_ONCE);
    backend_cancel(other.backend, &a.q);
    ask_fini(&a);
    fixture_close(&other);
}

/* What waits for a type counts as queued, but has no place in the queue. */
static void what_waits_for_a_type_takes_nothing_from_a_query_that_was_sent(void **state)
{
    enum { WAITING = 3 };
    struct fixture other = *(struct fixture *)*state;
    struct ask asks[WAITING + 1];
    other.conf.max_queue = 1;
    fixture_open(&other, 1);
    gives(&other, CALL_COUNT, "CREATE TYPE narrow AS ENUM ('x')", NULL, "0");
    gives(&other, CALL_VALUE, "SELECT 1", NULL, "1");
    for (int i = 0; i < WAITING; i++) { /* for the description first, which no bound counts */
        ask_init(&asks[i], CALL_VALUE, "SELECT '{x}'::narrow[]", NULL);
        ask_send(&other, &asks[i]);
    }
    while (stats(&other).queued < WAITING)
        ev_run(other.loop, EVRUN_ONCE);
    ask_init(&asks[WAITING], CALL_VALUE, "SELECT 1", NULL);
    ask_send(&other, &asks[WAITING]);
    for (int i = 0; i <= WAITING; i++) {
        fixture_wait(&other, &asks[i].done, 1);
        result_is(&asks[i].q, i < WAITING ? "[\"x\"]" : "1");
        ask_fini(&asks[i]);
    }
    assert_int_equal(stats(&other).queued, 0);
    fixture_close(&other);
}

/* Its row cannot be read by what is known, and it has written. */
static void what_writes_runs_once_though_its_column_has_a_new_type(void **state)
{
    static const char insert[] = "INSERT INTO notes VALUES ('good') RETURNING what";
    struct fixture *f = *state;
    struct ask a;
    gives(f, CALL_COUNT, "CREATE TABLE notes (what text)", NULL, "0");
    gives(f, CALL_VALUE, insert, NULL, "\"good\"");
    gives(f, CALL_COUNT, "CREATE TYPE grade AS ENUM ('good')", NULL, "0");
    gives(f, CALL_COUNT, "ALTER TABLE notes ALTER what TYPE grade USING what::grade", NULL, "0");
    ask_init(&a, CALL_VALUE, insert, NULL);
    ask_wait(f, &a);
    gives(f, CALL_VALUE, "SELECT count(*) FROM notes", NULL, "2");
    assert_string_equal(err_name(a.q.code), "BACKEND_ERROR");
    assert_string_equal(
        a.q.err.text,
        "it ran, but its answer cannot be read: a column has another type than before");
    assert_int_equal(a.q.fate, CALL_DONE);
    ask_fini(&a);
    gives(f, CALL_VALUE, insert, NULL, "\"good\""); /* what it is by now is asked for */
    gives(f, CALL_VALUE, "SELECT count(*) FROM notes", NULL, "3");
    gives(f, CALL_COUNT, "CREATE TYPE mark AS ENUM ('good')", NULL, "0");
    gives(f, CALL_COUNT, "ALTER TABLE notes ALTER what TYPE mark USING what::text::mark", NULL,
          "0");
    gives(f, CALL_COUNT, insert, NULL, "1"); /* its rows are not wanted */
    gives(f, CALL_VALUE, "SELECT count(*) FROM notes", NULL, "4");
}

static void what_reads_is_read_again_where_its_column_has_a_new_type(void **state)
{
    static const char select[] = "SELECT what FROM words";
    struct fixture *f = *state;
    gives(f, CALL_COUNT, "CREATE TABLE words AS SELECT '{a}'::text AS what", NULL, "1");
    gives(f, CALL_VALUE, select, NULL, "\"{a}\"");
    gives(f, CALL_COUNT, "CREATE TYPE word AS ENUM ('a')", NULL, "0");
    gives(f, CALL_COUNT, "ALTER TABLE words ALTER what TYPE word[] USING what::word[]", NULL, "0");
    gives(f, CALL_VALUE, select, NULL, "[\"a\"]");
}

/* The question is the driver's own, and goes before those that wait for a connection. */
static void a_full_queue_does_not_keep_a_type_unknown(void **state)
{
    enum { BOTH = 2 };
    struct fixture other = *(struct fixture *)*state;
    struct ask asks[BOTH];
    other.conf.max_queue = 1;
    other.own.pipeline = 1;
    fixture_open(&other, 1);
    gives(&other, CALL_COUNT, "CREATE TYPE asked AS ENUM ('x')", NULL, "0");
    for (int i = 0; i < BOTH; i++) {
        ask_init(&asks[i], CALL_VALUE, i == 0 ? "SELECT '{x}'::asked[]" : "SELECT 1", NULL);
        ask_send(&other, &asks[i]);
    }
    assert_int_equal(stats(&other).queued, 1);
    for (int i = 0; i < BOTH; i++) {
        fixture_wait(&other, &asks[i].done, 1);
        result_is(&asks[i].q, i == 0 ? "[\"x\"]" : "1");
        ask_fini(&asks[i]);
    }
    fixture_close(&other);
}

/* A function that fits its arguments better than PostgreSQL's own is taken before it. */
static void functions_that_a_user_made_do_not_answer_for_the_catalog(void **state)
{
    struct fixture *f = *state, other = *f;
    fixture_open(&other, 1);
    gives(&other, CALL_COUNT,
          "CREATE FUNCTION nothing(text, int8[]) RETURNS text LANGUAGE sql AS 'SELECT $1'", NULL,
          "0");
    gives(&other, CALL_COUNT,
          "CREATE AGGREGATE array_agg(int8[]) (sfunc = nothing, stype = text, initcond = 'mine')",
          NULL, "0");
    gives(&other, CALL_COUNT,
          "CREATE FUNCTION unnest(int8[]) RETURNS SETOF int8 LANGUAGE sql AS 'SELECT 1::int8'",
          NULL, "0");
    gives(&other, CALL_COUNT, "CREATE TYPE late AS ENUM ('y')", NULL, "0");
    gives(&other, CALL_VALUE, "SELECT '{y}'::late[]", NULL, "[\"y\"]");
    gives(&other, CALL_COUNT, "DROP FUNCTION unnest(int8[])", NULL, "0");
    gives(&other, CALL_COUNT, "DROP AGGREGATE array_agg(int8[])", NULL, "0");
    fixture_close(&other);
}

/* Bytes may be spoiled on their way, or a proxy answer in the server's place. */
static void an_answer_of_another_shape_is_the_databases_fault(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "null",
        "1",
        "\"{}\"",
        "{}",
        "[1]",
        "[[]]",
        "[[20000]]",
        "[[20000,25,1]]",
        "[[20000,null]]",
        "[[\"20000\",25]]",
        "[[-1,25]]",
        "[[4294967296,25]]",
        "[[20000,-1]]",
        "[[20000,8589934592]]",
        "[[20000,25],7]",
    };
    struct pg_types t;
    struct err e;
    struct buf answer;
    pg_types_init(&t);
    buf_init(&answer, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        buf_clear(&answer);
        assert_int_equal(json_to_mp(slice_str(wrong[i]), &answer, &e), 0);
        assert_int_equal(pg_types_take(&t, buf_slice(&answer)), ERR_BACKEND);
    }
    assert_int_equal(pg_types_take(&t, slice_str("")), ERR_BACKEND);
    assert_int_equal(pg_types_take(&t, slice_str("\x92\x92\x01")), ERR_BACKEND);
    buf_clear(&answer);
    assert_int_equal(json_to_mp(slice_str("[[20001,17],[4294967295,4294967320]]"), &answer, &e), 0);
    assert_int_equal(pg_types_take(&t, buf_slice(&answer)), 0);
    assert_int_equal(pg_types_find(&t, 20001), 17);
    assert_int_equal(pg_types_find(&t, 4294967295U), PG_ARRAY_OF | 24);
    buf_fini(&answer);
    pg_types_fini(&t);
}

/* What was asked is answered in part: its memory goes with the rest, as a sanitizer sees. */
static void what_is_asked_at_the_end_is_given_back(void **state)
{
    (void)state;
    struct pg_types t;
    pg_types_init(&t);
    t.asking = true;
    buf_init(&t.ask.result, 0);
    assert_int_equal(buf_append(&t.ask.result, "some", 4), 0);
    assert_int_equal(buf_append(&t.params, "some", 4), 0);
    pg_types_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_users_made_comes_down_to_what_is_built_in),
        cmocka_unit_test(parameters_are_what_the_domain_is_over),
        cmocka_unit_test(many_that_meet_an_unknown_type_ask_once),
        cmocka_unit_test(what_writes_runs_once_though_its_column_has_a_new_type),
        cmocka_unit_test(what_reads_is_read_again_where_its_column_has_a_new_type),
        cmocka_unit_test(a_backend_may_end_while_it_asks),
        cmocka_unit_test(a_full_queue_does_not_keep_a_type_unknown),
        cmocka_unit_test(what_waits_for_a_type_takes_nothing_from_a_query_that_was_sent),
        cmocka_unit_test(functions_that_a_user_made_do_not_answer_for_the_catalog),
        cmocka_unit_test(an_answer_of_another_shape_is_the_databases_fault),
        cmocka_unit_test(what_is_asked_at_the_end_is_given_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
