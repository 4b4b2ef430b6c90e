/* Changes of the schema under statements that are known already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log_taken.h"
#include "pg_fixture.h"

#define HOUR_MS 3600000

/* Statements never get old, so that what is noticed was noticed by other means. */
static struct fixture *opened_for_long(void **state, unsigned share)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.statement_age_ms = HOUR_MS;
    fixture_open(f, share);
    return f;
}

static void run(struct fixture *f, const char *sql)
{
    struct ask a;
    struct fixture other = *f;
    other.own.prepared = false;
    fixture_open(&other, 1);
    ask_init(&a, CALL_COUNT, sql, NULL);
    ask_wait(&other, &a);
    if (a.q.code != 0)
        fail_msg("%s: %s", sql, a.q.err.text);
    ask_fini(&a);
    fixture_close(&other);
}

/* DO takes several statements. */
static void migrate(struct fixture *f, const char *statements)
{
    char sql[1024];
    snprintf(sql, sizeof sql, "DO $do$ BEGIN %s; END $do$", statements);
    run(f, sql);
}

/* Asks until the answer is that one. */
static void comes_to(struct fixture *f, const char *sql, const char *params, const char *want)
{
    bool same = false;
    while (!same) {
        struct ask a;
        struct buf text;
        struct err e;
        ask_init(&a, CALL_VALUE, sql, params);
        ask_wait(f, &a);
        buf_init(&text, 0);
        if (a.q.code == 0 && a.q.found)
            assert_int_equal(json_from_mp(buf_slice(&a.q.result), &text, &e), 0);
        same = slice_eq_str(buf_slice(&text), want);
        buf_fini(&text);
        ask_fini(&a);
    }
}

static void a_key_past_the_type_that_its_column_had_is_found_at_once(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    const char *sql = "SELECT name FROM grown WHERE id = $1";
    const char *many = "SELECT name FROM grown WHERE id = ANY($1)";
    migrate(f, "CREATE TABLE grown (id int PRIMARY KEY, name text); "
               "INSERT INTO grown VALUES (1, 'one')");
    gives(f, CALL_VALUE, sql, "[\"1\"]", "\"one\"");
    gives(f, CALL_VALUE, many, "[[1]]", "\"one\"");
    migrate(
        f, "ALTER TABLE grown ALTER id TYPE bigint; INSERT INTO grown VALUES (99999999999, 'big')");
    gives(f, CALL_VALUE, sql, "[\"99999999999\"]", "\"big\"");
    gives(f, CALL_VALUE, many, "[[99999999999]]", "\"big\"");
    migrate(f, "ALTER TABLE grown ALTER id TYPE text; INSERT INTO grown VALUES ('x', 'letter')");
    gives(f, CALL_VALUE, sql, "[\"x\"]", "\"letter\"");
    gives(f, CALL_VALUE, many, "[[\"x\"]]", "\"letter\"");
    migrate(f, "DELETE FROM grown WHERE id = 'x'; ALTER TABLE grown ALTER id TYPE numeric USING "
               "id::numeric; "
               "INSERT INTO grown VALUES (1.5, 'half')");
    gives(f, CALL_VALUE, sql, "[\"1.5\"]", "\"half\"");
    assert_int_equal(stats(f).stale, 3);
    fixture_close(f);
}

/* A text that a date takes but for its time of day would find the row of midnight. */
static void a_text_is_never_cut_to_the_type_that_its_column_had(void **state)
{
    static const struct {
        const char *from, *to, *key, *row;
    } types[] = {
        {"date", "timestamp", "2024-01-02 17:30", "2024-01-02"},
        {"timestamp", "timestamptz", "2024-01-02 17:30+05", "2024-01-02 17:30+00"},
        {"time", "timetz", "17:30+05", "17:30+00"},
        {"char(3)", "text", "abc ", "abc"},
        {"float4", "float8", "16777217", "16777216"},
    };
    struct fixture *f = opened_for_long(state, 1);
    run(f, "ALTER ROLE postgres SET timezone = 'UTC'");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char sql[256], params[64];
        run(f, "DROP TABLE IF EXISTS cut");
        snprintf(sql, sizeof sql, "CREATE TABLE cut (at %s PRIMARY KEY, name text)", types[i].from);
        run(f, sql);
        snprintf(sql, sizeof sql, "INSERT INTO cut VALUES ('%s', 'wrong')", types[i].row);
        run(f, sql);
        /* As a read by itself and as the condition of a write. */
        const char *get = "SELECT name FROM cut WHERE at = $1";
        const char *put = "UPDATE cut SET name = 'worse' WHERE at = $1";
        snprintf(params, sizeof params, "[\"%s\"]", types[i].row);
        gives(f, CALL_VALUE, get, params, "\"wrong\"");
        gives(f, CALL_COUNT, put, "[null]", "0");
        snprintf(sql, sizeof sql, "ALTER TABLE cut ALTER at TYPE %s", types[i].to);
        run(f, sql);
        snprintf(params, sizeof params, "[\"%s\"]", types[i].key);
        gives(f, CALL_VALUE, get, params, "nothing");
        gives(f, CALL_COUNT, put, params, "0");
    }
    run(f, "ALTER ROLE postgres RESET timezone");
    fixture_close(f);
}

/* 007 is 7 for a column of numbers, and 007 for one of texts. */
static void a_value_is_written_as_what_its_column_is_now(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    const char *put = "INSERT INTO noted (n) VALUES ($1)";
    run(f, "CREATE TABLE noted (n int)");
    gives(f, CALL_COUNT, put, "[\"007\"]", "1");
    run(f, "ALTER TABLE noted ALTER n TYPE text");
    gives(f, CALL_COUNT, put, "[\"007\"]", "1");
    gives(f, CALL_VALUE, "SELECT string_agg(n, ' ' ORDER BY n) FROM noted", NULL, "\"007 7\"");
    fixture_close(f);
}

static void what_raises_no_error_is_noticed_within_the_age(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.statement_age_ms = 100;
    fixture_open(f, 1);
    run(f, "CREATE EXTENSION IF NOT EXISTS citext");
    migrate(
        f,
        "CREATE TABLE mails (email text PRIMARY KEY, id int); INSERT INTO mails VALUES ('bob', 1); "
        "CREATE FUNCTION price(n numeric) RETURNS int LANGUAGE sql AS 'SELECT 1'");
    const char *find = "SELECT id FROM mails WHERE email = $1";
    gives(f, CALL_VALUE, find, "[\"bob\"]", "1");
    gives(f, CALL_VALUE, "SELECT price(7) AS price", NULL, "1");
    run(f, "ALTER TABLE mails ALTER email TYPE citext");
    comes_to(f, find, "[\"Bob\"]", "1");
    run(f, "CREATE FUNCTION price(n int) RETURNS int LANGUAGE sql AS 'SELECT 2'");
    comes_to(f, "SELECT price(7) AS price", NULL, "2");
    assert_int_equal(stats(f).failures, 0);
    fixture_close(f);
}

/* The first query after the age, not the one after it: an age of 0 is over at once. */
static void nothing_is_sent_by_a_description_that_is_too_old(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.statement_age_ms = 0;
    fixture_open(f, 1);
    run(f, "CREATE EXTENSION IF NOT EXISTS citext");
    migrate(
        f,
        "CREATE TABLE posts (email text PRIMARY KEY, id int); INSERT INTO posts VALUES ('bob', 1)");
    const char *find = "SELECT id FROM posts WHERE email = $1";
    gives(f, CALL_VALUE, find, "[\"bob\"]", "1");
    run(f, "ALTER TABLE posts ALTER email TYPE citext");
    gives(f, CALL_VALUE, find, "[\"Bob\"]", "1");
    fixture_close(f);
}

/* The other connection has seen no error. */
static void one_statement_that_has_changed_makes_all_others_old(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    run(f, "CREATE EXTENSION IF NOT EXISTS citext");
    migrate(
        f,
        "CREATE TABLE pair (id int PRIMARY KEY, email text); INSERT INTO pair VALUES (1, 'bob')");
    const char *find = "SELECT id FROM pair WHERE email = $1", *all = "SELECT * FROM pair";
    gives(f, CALL_VALUE, find, "[\"bob\"]", "1");
    gives(f, CALL_ROW, all, NULL, "{\"id\":1,\"email\":\"bob\"}");
    migrate(f, "ALTER TABLE pair ALTER email TYPE citext; ALTER TABLE pair ADD n int");
    gives(f, CALL_ROW, all, NULL, "{\"id\":1,\"email\":\"bob\",\"n\":null}");
    gives(f, CALL_VALUE, find, "[\"Bob\"]", "1");
    fixture_close(f);
}

static void follows(struct fixture *f)
{
    const char *all = "SELECT * FROM shape WHERE id = $1";
    const char *view = "SELECT * FROM seen WHERE id = $1";
    const char *f1 = "SELECT * FROM told($1)";
    const char *returning = "UPDATE shape SET id = id WHERE id = $1 RETURNING *";
    migrate(f, "CREATE TABLE shape (id int, a int); INSERT INTO shape VALUES (1, 2); "
               "CREATE VIEW seen AS SELECT * FROM shape; CREATE FUNCTION told(n int) "
               "RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT n'");
    for (int i = 0; i < 2; i++) {
        gives(f, CALL_ROW, all, "[1]", "{\"id\":1,\"a\":2}");
        gives(f, CALL_ROW, view, "[1]", "{\"id\":1,\"a\":2}");
        gives(f, CALL_ROW, f1, "[1]", "{\"x\":1}");
        gives(f, CALL_ROW, returning, "[1]", "{\"id\":1,\"a\":2}");
    }
    migrate(f, "DROP VIEW seen; ALTER TABLE shape ALTER a TYPE text USING a || 'th'; "
               "CREATE VIEW seen AS SELECT id, a AS b FROM shape; DROP FUNCTION told; "
               "CREATE FUNCTION told(n int) RETURNS TABLE (y text, z int) LANGUAGE sql AS "
               "'SELECT n || ''!'', n'");
    gives(f, CALL_ROW, returning, "[1]", "{\"id\":1,\"a\":\"2th\"}");
    gives(f, CALL_ROW, all, "[1]", "{\"id\":1,\"a\":\"2th\"}");
    gives(f, CALL_ROW, view, "[1]", "{\"id\":1,\"b\":\"2th\"}");
    gives(f, CALL_ROW, f1, "[1]", "{\"y\":\"1!\",\"z\":1}");
    migrate(f, "CREATE TABLE other (z bool, id int); INSERT INTO other VALUES (true, 1); "
               "ALTER TABLE shape RENAME TO former; ALTER TABLE other RENAME TO shape");
    gives(f, CALL_ROW, returning, "[1]", "{\"z\":true,\"id\":1}");
    gives(f, CALL_ROW, all, "[1]", "{\"z\":true,\"id\":1}");
    migrate(f, "DROP VIEW seen; DROP TABLE shape; DROP TABLE former; DROP FUNCTION told");
    fails(f, CALL_ROW, all, "[1]", ERR_BACKEND, "42P01");
    assert_int_equal(stats(f).disconnects, 0);
}

static void rows_are_read_by_the_columns_that_they_have(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    follows(f);
    fixture_close(f);
    f->own.prepared = false;
    fixture_open(f, 1);
    follows(f);
    fixture_close(f);
}

/* The age comes, and an error is told that the query has raised: neither is for nothing. */
static void descriptions_are_few(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    enum { N = 200 };
    struct ask asks[N];
    gives(f, CALL_COUNT, "CREATE TABLE calm (id int)", NULL, "0");
    for (int i = 0; i < N; i++)
        gives(f, CALL_VALUE, "SELECT 1 FROM calm WHERE id = $1", "[1]", "nothing");
    /* The third is of the driver's own question whether the statement may share (pg_pure). */
    assert_int_equal(stats(f).descriptions, 3);
    for (int i = 0; i < N; i++) {
        ask_init(&asks[i], CALL_VALUE, "SELECT 1 FROM calm WHERE id = $1", "[\"x\"]");
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < N; i++) {
        fixture_wait(f, &asks[i].done, 1);
        assert_int_equal(asks[i].q.code, ERR_BACKEND);
        assert_memory_equal(asks[i].q.err.text, "22P02 ", 6);
        ask_fini(&asks[i]);
    }
    assert_true(stats(f).descriptions <= 3 + N / 20);
    assert_int_equal(stats(f).stale, 0);
    assert_int_equal(stats(f).in_flight, 0);
    fixture_close(f);
}

static void an_error_that_is_its_own_is_not_run_again(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    gives(f, CALL_COUNT, "CREATE SEQUENCE tries", NULL, "0");
    gives(f, CALL_COUNT, "CREATE TABLE tried (n int)", NULL, "0");
    fails(f, CALL_VALUE, "SELECT 1 / (0 * nextval('tries'))", NULL, ERR_BACKEND, "22012");
    fails(f, CALL_COUNT, "INSERT INTO tried SELECT 1 / (0 * nextval('tries'))", NULL, ERR_BACKEND,
          "22012");
    gives(f, CALL_VALUE, "SELECT last_value FROM tries", NULL, "2");
    fixture_close(f);
}

/* A procedure may have committed before it fails. */
static void what_may_have_happened_is_not_sent_again(void **state)
{
    struct fixture *f = opened_for_long(state, 1);
    run(f, "CREATE TABLE committed (n text)");
    run(f, "CREATE TABLE asked (id int)");
    run(f, "CREATE PROCEDURE commits(v text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO committed "
           "VALUES (v); "
           "COMMIT; PERFORM id FROM asked WHERE id = v::int; END $$");
    gives(f, CALL_COUNT, "CALL commits($1)", "[\"1\"]", "0");
    run(f, "ALTER TABLE asked ADD more int");
    fails(f, CALL_COUNT, "CALL commits($1)", "[\"x\"]", ERR_BACKEND, "22P02");
    gives(f, CALL_VALUE, "SELECT count(*) FROM committed", NULL, "2");
    fixture_close(f);
}

/* Sessions keep the settings of roles and databases that they began with. */
static void a_connection_is_replaced_at_its_age(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.connection_age_ms = 200;
    log_taken_begin(LOG_DEBUG);
    fixture_open(f, 1);
    run(f, "CREATE SCHEMA two");
    run(f, "CREATE TABLE two.place AS SELECT 2 AS n");
    run(f, "CREATE TABLE place AS SELECT 1 AS n");
    gives(f, CALL_VALUE, "SELECT n FROM place", NULL, "1");
    run(f, "ALTER ROLE postgres SET search_path = two, public");
    comes_to(f, "SELECT n FROM place", NULL, "2");
    run(f, "ALTER ROLE postgres RESET search_path");
    comes_to(f, "SELECT n FROM place", NULL, "1");
    assert_true(stats(f).retired >= 2);
    assert_int_equal(stats(f).failures, 0);
    log_taken_has("debug pg.retired backend=main reason=\"the connection is older than "
                  "connection_age\"\n");
    assert_null(strstr(log_taken(), "pg.disconnected"));
    log_taken_end();
    fixture_close(f);
}

/* A procedure may have committed, so it is not called again; the next call goes by what is there.
 */
static void a_procedure_that_changed_fails_once(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_COUNT, "CREATE PROCEDURE take(int8[]) LANGUAGE sql AS 'SELECT 1'", NULL, "0");
    gives(f, CALL_COUNT, "CALL take($1)", "[[1]]", "0");
    gives(f, CALL_COUNT, "DROP PROCEDURE take", NULL, "0");
    gives(f, CALL_COUNT, "CREATE PROCEDURE take(int4[]) LANGUAGE sql AS 'SELECT 1'", NULL, "0");
    fails(f, CALL_COUNT, "CALL take($1)", "[[1]]", ERR_BACKEND, "42883");
    gives(f, CALL_COUNT, "CALL take($1)", "[[1]]", "0");
    gives(f, CALL_COUNT, "DROP PROCEDURE take", NULL, "0");
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_past_the_type_that_its_column_had_is_found_at_once),
        cmocka_unit_test(a_text_is_never_cut_to_the_type_that_its_column_had),
        cmocka_unit_test(a_value_is_written_as_what_its_column_is_now),
        cmocka_unit_test(what_raises_no_error_is_noticed_within_the_age),
        cmocka_unit_test(nothing_is_sent_by_a_description_that_is_too_old),
        cmocka_unit_test(one_statement_that_has_changed_makes_all_others_old),
        cmocka_unit_test(rows_are_read_by_the_columns_that_they_have),
        cmocka_unit_test(descriptions_are_few),
        cmocka_unit_test(an_error_that_is_its_own_is_not_run_again),
        cmocka_unit_test(what_may_have_happened_is_not_sent_again),
        cmocka_unit_test(a_connection_is_replaced_at_its_age),
        cmocka_unit_test(a_procedure_that_changed_fails_once),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
