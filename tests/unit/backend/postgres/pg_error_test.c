/* What is made of each class of errors; a session of the test's own raises them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_error.h"
#include "pg_server.h"

struct session {
    struct pg_server *server;
    PGconn *pg;
};

static int setup(void **state)
{
    struct session *s = calloc(1, sizeof *s);
    s->server = pg_server_new();
    if (!s->server)
        return -1;
    s->pg = PQconnectdb(s->server->url);
    *state = s;
    return PQstatus(s->pg) == CONNECTION_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct session *s = *state;
    PQfinish(s->pg);
    pg_server_free(s->server);
    free(s);
    return 0;
}

static PGresult *run(struct session *s, const char *sql)
{
    PGresult *res = PQexec(s->pg, sql);
    assert_non_null(res);
    return res;
}

static PGresult *raise_error(struct session *s, const char *state)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "DO $$ BEGIN RAISE 'words' USING ERRCODE = '%s', DETAIL = 'a row', HINT = 'help'; "
             "END $$",
             state);
    return run(s, sql);
}

enum { QUIET, RETRY, SICK }; /* sick ones may be tried again as well */

static const struct {
    const char *state;
    int code, health;
    bool detail, lost;
    enum pg_doubt doubt;
    enum call_fate fate;
} classes[] = {
    {"08006", ERR_BACKEND_DOWN, QUIET, true, false, PG_SURE, CALL_SENT},
    {"08P01", ERR_BACKEND_DOWN, QUIET, true, true, PG_SURE, CALL_SENT},
    {"0A000", ERR_BACKEND, QUIET, true, false, PG_DOUBT_TYPES, CALL_UNDONE},
    {"0A001", ERR_BACKEND, QUIET, true, false, PG_SURE, CALL_UNDONE},
    {"21000", ERR_BACKEND, QUIET, false, false, PG_SURE, CALL_UNDONE},
    {"22003", ERR_BACKEND, QUIET, false, false, PG_DOUBT_TYPES, CALL_UNDONE},
    {"23505", ERR_BACKEND, QUIET, false, false, PG_SURE, CALL_UNDONE},
    {"25001", ERR_BACKEND, QUIET, true, false, PG_SURE, CALL_UNDONE},
    {"26000", ERR_BACKEND, QUIET, true, true, PG_DOUBT_PLAN, CALL_UNDONE},
    {"28000", ERR_BACKEND, QUIET, true, false, PG_SURE, CALL_UNDONE},
    {"2BP01", ERR_BACKEND, QUIET, false, false, PG_SURE, CALL_UNDONE},
    {"3D000", ERR_BACKEND, QUIET, true, false, PG_SURE, CALL_UNDONE},
    {"3F000", ERR_BACKEND, QUIET, true, false, PG_DOUBT_PLAN, CALL_UNDONE},
    {"40001", ERR_BACKEND, RETRY, true, false, PG_SURE, CALL_UNDONE},
    {"40003", ERR_BACKEND, RETRY, true, false, PG_SURE, CALL_SENT},
    {"42501", ERR_BACKEND, QUIET, true, false, PG_DOUBT_TYPES, CALL_UNDONE},
    {"42703", ERR_BACKEND, QUIET, true, false, PG_DOUBT_PLAN, CALL_UNDONE},
    {"42P05", ERR_BACKEND, QUIET, true, true, PG_DOUBT_PLAN, CALL_UNDONE},
    {"44000", ERR_BACKEND, QUIET, false, false, PG_SURE, CALL_UNDONE},
    {"53300", ERR_BACKEND, SICK, true, false, PG_SURE, CALL_UNDONE},
    {"54000", ERR_BACKEND, QUIET, true, false, PG_SURE, CALL_UNDONE},
    {"55000", ERR_BACKEND, QUIET, true, false, PG_SURE, CALL_UNDONE},
    {"55P03", ERR_BACKEND, RETRY, true, false, PG_SURE, CALL_UNDONE},
    {"57014", ERR_BACKEND, SICK, true, false, PG_SURE, CALL_UNDONE},
    {"57P01", ERR_BACKEND_DOWN, SICK, true, false, PG_SURE, CALL_SENT},
    {"57P05", ERR_BACKEND_DOWN, SICK, true, false, PG_SURE, CALL_SENT},
    {"58030", ERR_BACKEND, SICK, true, false, PG_SURE, CALL_UNDONE},
    {"P0001", ERR_BACKEND, QUIET, false, false, PG_SURE, CALL_UNDONE},
    {"XX000", ERR_BACKEND, QUIET, false, false, PG_DOUBT_PLAN, CALL_UNDONE},
};

static void a_class_says_what_is_believed_told_and_tried_again(void **state)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        char want[100];
        struct err e;
        PGresult *res = raise_error(*state, classes[i].state);
        assert_string_equal(pg_error_state(res), classes[i].state);
        assert_int_equal(pg_error_of_result(res, false, &e), classes[i].code);
        assert_int_equal(e.code, classes[i].code);
        snprintf(want, sizeof want, "%s words (%shelp)", classes[i].state,
                 classes[i].detail ? "a row; " : "");
        assert_string_equal(e.text, want);
        assert_int_equal(e.sick, classes[i].health == SICK);
        assert_int_equal(e.retry, classes[i].health == QUIET ? 0 : 1);
        if (pg_error_doubt(res) != classes[i].doubt || pg_error_fate(res) != classes[i].fate)
            fail_msg("%s: doubt %d, fate %d", classes[i].state, (int)pg_error_doubt(res),
                     (int)pg_error_fate(res));
        assert_int_equal(pg_error_is_lost(res), classes[i].lost);
        assert_int_equal(pg_error_is_cancel(res), strcmp(classes[i].state, "57014") == 0);
        assert_int_equal(pg_error_of_result(res, true, &e), classes[i].code);
        snprintf(want, sizeof want, "%s words (a row; help)", classes[i].state);
        assert_string_equal(e.text, want);
        PQclear(res);
    }
}

static void only_what_there_is_stands_behind_the_message(void **state)
{
    static const struct {
        const char *of, *want;
    } cases[] = {
        {"", "55000 words"},
        {", DETAIL = 'one', HINT = ''", "55000 words (one)"},
        {", HINT = 'two'", "55000 words (two)"},
        {", DETAIL = E'one\\n\\t  line', HINT = ' two '", "55000 words (one line; two)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[200];
        struct err e;
        snprintf(sql, sizeof sql, "DO $$ BEGIN RAISE 'words' USING ERRCODE = '55000'%s; END $$",
                 cases[i].of);
        PGresult *res = run(*state, sql);
        pg_error_of_result(res, false, &e);
        assert_string_equal(e.text, cases[i].want);
        PQclear(res);
    }
}

/* A value of class 22 stands in the message. */
static void a_value_is_shown_in_development_alone(void **state)
{
    struct err e;
    PGresult *res = run(*state, "SELECT 'secret'::int");
    assert_int_equal(pg_error_of_result(res, false, &e), ERR_BACKEND);
    assert_string_equal(e.text, "22P02 invalid input syntax for type integer: \"...\"");
    assert_int_equal(pg_error_of_result(res, true, &e), ERR_BACKEND);
    assert_string_equal(e.text, "22P02 invalid input syntax for type integer: \"secret\"");
    PQclear(res);
}

static void a_plan_that_is_too_old_is_told_from_what_is_not_supported(void **state)
{
    struct session *s = *state;
    PQclear(run(s, "CREATE TABLE grows (a int)"));
    PQclear(run(s, "PREPARE all_of_it AS SELECT * FROM grows"));
    PQclear(run(s, "ALTER TABLE grows ADD b int"));
    PGresult *res = run(s, "EXECUTE all_of_it");
    assert_string_equal(pg_error_state(res), "0A000");
    assert_int_equal(pg_error_doubt(res), PG_DOUBT_PLAN);
    PQclear(res);
}

/* One that ends the session may have come after a commit. */
static void what_ends_the_session_leaves_it_open(void **state)
{
    struct session *s = *state;
    struct err e;
    PGconn *other = PQconnectdb(s->server->url);
    assert_int_equal(PQsendQuery(other, "SELECT pg_terminate_backend(pg_backend_pid())"), 1);
    PGresult *res = PQgetResult(other);
    assert_string_equal(pg_error_state(res), "57P01");
    assert_int_equal(pg_error_fate(res), CALL_SENT);
    assert_false(pg_error_is_lost(res));
    PQclear(res);
    while ((res = PQgetResult(other)) != NULL)
        PQclear(res);
    res = PQexec(other, "SELECT 1"); /* libpq's own word: it has no state */
    assert_string_equal(pg_error_state(res), "");
    assert_int_equal(pg_error_of_result(res, false, &e), ERR_BACKEND_DOWN);
    assert_true(strlen(e.text) > 0 && e.text[0] != ' ');
    assert_int_equal(pg_error_fate(res), CALL_SENT);
    assert_int_equal(pg_error_doubt(res), PG_SURE);
    PQclear(res);
    PQfinish(other);
}

static void a_connections_error_has_its_reason_behind_it(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(pg_error_of_conn(NULL, "cannot connect", &e), ERR_BACKEND_DOWN);
    assert_string_equal(e.text, "cannot connect");
    PGconn *pg = PQconnectdb("host=/nowhere/at/all");
    assert_int_equal(pg_error_of_conn(pg, "cannot connect", &e), ERR_BACKEND_DOWN);
    assert_int_equal(e.code, ERR_BACKEND_DOWN);
    assert_int_equal(strncmp(e.text, "cannot connect: connection to server on socket", 46), 0);
    assert_null(strchr(e.text, '\n'));
    PQfinish(pg);
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    assert_int_equal(pg_error_of_result(res, false, &e), ERR_BACKEND_DOWN);
    assert_string_equal(e.text, "the server gave no reason");
    PQclear(res);
}

static void a_text_becomes_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t room;
        const char *want;
    } cases[] = {
        {NULL, 9, ""},        {"", 9, ""},        {" \n\t ", 9, ""},  {"  a\n\n b\t", 9, "a b"},
        {"abc", 4, "abc"},    {"abcd", 4, "abc"}, {"ab cd", 4, "ab"}, {"a", 1, ""},
        {"a  bc", 5, "a bc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[16];
        memset(out, 'x', sizeof out);
        pg_error_one_line(cases[i].text, out, cases[i].room);
        assert_string_equal(out, cases[i].want);
        assert_int_equal(out[cases[i].room], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_says_what_is_believed_told_and_tried_again),
        cmocka_unit_test(only_what_there_is_stands_behind_the_message),
        cmocka_unit_test(a_value_is_shown_in_development_alone),
        cmocka_unit_test(a_plan_that_is_too_old_is_told_from_what_is_not_supported),
        cmocka_unit_test(what_ends_the_session_leaves_it_open),
        cmocka_unit_test(a_connections_error_has_its_reason_behind_it),
        cmocka_unit_test(a_text_becomes_one_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
