/* Names of statements, where sessions know them and where they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_send.h"
#include "log_taken.h"
#include "pg_fixture.h"

static const char *const names = "SELECT count(*) FROM pg_prepared_statements";

static struct pg_stmt *statement(const struct fixture *f, const char *sql)
{
    struct pg_pool *p = (struct pg_pool *)f->backend;
    struct pg_stmt *st = pg_stmt_find(&p->conns[0].stmts, slice_str(sql));
    assert_non_null(st);
    return st;
}

static void a_name_is_of_its_text_and_its_server(void **state)
{
    struct fixture *f = opened(state, 1), other = *f;
    fixture_open(&other, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    gives(f, CALL_VALUE, "SELECT 2", NULL, "2");
    gives(&other, CALL_VALUE, "SELECT 1", NULL, "1");
    const char *one = statement(f, "SELECT 1")->name, *two = statement(f, "SELECT 2")->name;
    const char *same = statement(&other, "SELECT 1")->name;
    assert_int_equal(strcspn(one, "_"), 3);
    assert_int_equal(strcspn(one + 4, "_"), 32);
    assert_memory_not_equal(one, two, 36);
    assert_memory_not_equal(one, same, 36);
    fixture_close(&other);
    fixture_close(f);
}

/* What runs by a name was planned for its types. */
static void a_name_is_another_with_other_types(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_VALUE, "SELECT $1::int", "[7]", "7");
    struct pg_stmt *st = statement(f, "SELECT $1::int");
    char before[sizeof st->name];
    assert_int_equal(st->desc.params, 1);
    pg_stmt_rename(st, 1, 1);
    memcpy(before, st->name, sizeof before);
    st->desc.param_types[0]++;
    pg_stmt_rename(st, 1, 1);
    assert_string_not_equal(st->name, before);
    fixture_close(f);
}

static void without_names_the_server_keeps_none(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.prepared = false;
    fixture_open(f, 1);
    gives(f, CALL_VALUE, "SELECT $1::int", "[7]", "7");
    gives(f, CALL_VALUE, "SELECT $1::int", "[8]", "8");
    gives(f, CALL_VALUE, "SELECT encode($1::bytea, 'hex')", "[\"a\"]", "\"61\"");
    gives(f, CALL_VALUE, "SELECT 7 = ANY($1::bigint[])", "[[1, 7]]", "true");
    gives(f, CALL_VALUE, names, NULL, "0");
    fixture_close(f);
}

static void names_that_a_session_does_not_know_are_given_up_without_an_error(void **state)
{
    struct fixture *f = opened(state, 1);
    enum { N = 30 };
    struct ask asks[N];
    log_taken_begin(LOG_WARN);
    gives(f, CALL_VALUE, "SELECT $1::int", "[1]", "1");
    gives(f, CALL_COUNT, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", NULL, "0");
    for (int i = 0; i < N; i++) {
        char params[16];
        snprintf(params, sizeof params, "[%d]", i);
        ask_init(&asks[i], CALL_VALUE, "SELECT $1::int", params);
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < N; i++) {
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        fixture_wait(f, &asks[i].done, 1);
        result_is(&asks[i].q, want);
        ask_fini(&asks[i]);
    }
    assert_true(stats(f).lost >= 1);
    assert_int_equal(stats(f).unprepared, 1);
    assert_int_equal(stats(f).failures, 0);
    log_taken_has("warn  pg.unprepared backend=main reason=\"26000 prepared statement \\\"rtc_");
    log_taken_has(
        "does not exist\" hint=\"sessions are shared by a pooler: no prepared statements from "
        "now on; prepared = false in the configuration says so from the start\"\n");
    assert_int_equal(log_taken_count("pg.unprepared"), 1);
    log_taken_end();
    gives(f, CALL_VALUE, names, NULL, "0");
    fixture_close(f);
}

/* Behind a pooler, a session may have got the name from another connection. */
static void a_name_that_is_there_already_is_no_error(void **state)
{
    struct fixture *f = opened(state, 1);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    gives(f, CALL_VALUE, "SELECT $1::int", "[1]", "1");
    statement(f, "SELECT $1::int")->serial = 0;
    p->names--;
    gives(f, CALL_VALUE, "SELECT $1::int", "[2]", "2");
    assert_int_equal(stats(f).unprepared, 1);
    assert_int_equal(stats(f).failures, 0);
    fixture_close(f);
}

/* The Parse that was to give it may have been undone with its group. */
static void a_name_that_was_never_given_is_let_go_without_a_word(void **state)
{
    struct fixture *f = opened(state, 1);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    gives(f, CALL_VALUE, "SELECT $1::int", "[1]", "1");
    struct pg_stmt *st = statement(f, "SELECT $1::int");
    pg_stmt_rename(st, p->seed, ++p->names);
    pg_send_close(&p->conns[0], st);
    gives(f, CALL_VALUE, "SELECT $1::int", "[2]", "2");
    assert_int_equal(stats(f).unprepared, 0);
    assert_true(st->parsed);
    fixture_close(f);
}

/* A server that lives for months gives so many. */
static void the_names_do_not_end(void **state)
{
    struct fixture *f = opened(state, 1);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    p->names = UINT32_MAX;
    gives(f, CALL_VALUE, "SELECT $1::int", "[1]", "1");
    gives(f, CALL_VALUE, "SELECT $1::int", "[2]", "2");
    const struct pg_stmt *st = statement(f, "SELECT $1::int");
    assert_true(st->serial > UINT32_MAX);
    assert_true(st->parsed);
    fixture_close(f);
}

/* A name is given with the first query that has it, and that one may fail. */
static void the_first_query_of_a_name_may_fail(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask asks[6];
    for (int i = 0; i < 6; i++) {
        ask_init(&asks[i], CALL_VALUE, "SELECT 6 / $1::int", i % 2 ? "[2]" : "[0]");
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < 6; i++) {
        fixture_wait(f, &asks[i].done, 1);
        assert_string_equal(err_name(asks[i].q.code), i % 2 ? "OK" : "BACKEND_ERROR");
        if (i % 2)
            result_is(&asks[i].q, "3");
        ask_fini(&asks[i]);
    }
    assert_int_equal(stats(f).unprepared, 0);
    fixture_close(f);
}

/* What it sent is in the same transaction, so nothing of it has happened. */
static void a_name_whose_giver_was_undone_by_its_group_is_given_again(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask asks[8];
    const char *divides = "SELECT 6 / $1::int", *echoes = "SELECT $1::int";
    do {
        for (int i = 0; i < 4; i++) {
            ask_init(&asks[i], CALL_VALUE, i % 2 ? divides : echoes, "[1]");
            ask_send(f, &asks[i]);
        }
        for (int i = 0; i < 4; i++) {
            fixture_wait(f, &asks[i].done, 1);
            ask_fini(&asks[i]);
        }
        fixture_share(f);
    } while (stats(f).groups == 0);
    pg_send_close(&((struct pg_pool *)f->backend)->conns[0], statement(f, echoes));
    ask_init(&asks[0], CALL_VALUE, divides, "[0]");
    ask_send(f, &asks[0]);
    for (int i = 1; i < 8; i++) {
        ask_init(&asks[i], CALL_VALUE, echoes, "[7]");
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < 8; i++) {
        fixture_wait(f, &asks[i].done, 1);
        if (i > 0)
            result_is(&asks[i].q, "7");
        ask_fini(&asks[i]);
    }
    assert_int_equal(stats(f).groups_failed, 1);
    assert_int_equal(stats(f).unprepared, 0);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_of_its_text_and_its_server),
        cmocka_unit_test(a_name_is_another_with_other_types),
        cmocka_unit_test(without_names_the_server_keeps_none),
        cmocka_unit_test(names_that_a_session_does_not_know_are_given_up_without_an_error),
        cmocka_unit_test(a_name_that_is_there_already_is_no_error),
        cmocka_unit_test(a_name_that_was_never_given_is_let_go_without_a_word),
        cmocka_unit_test(the_names_do_not_end),
        cmocka_unit_test(the_first_query_of_a_name_may_fail),
        cmocka_unit_test(a_name_whose_giver_was_undone_by_its_group_is_given_again),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
