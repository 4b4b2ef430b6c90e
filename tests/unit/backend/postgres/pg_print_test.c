/* What of a session is in its print, as PostgreSQL tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_print.h"
#include "pg_fixture.h"

static struct pg_conn *conn_of(const struct fixture *f)
{
    return &((struct pg_pool *)f->backend)->conns[0];
}

static void run(struct fixture *f, const char *sql)
{
    struct ask a;
    ask_init(&a, CALL_VALUE, sql, NULL);
    ask_wait(f, &a);
    if (a.q.code != 0)
        fail_msg("%s: %s", sql, a.q.err.text);
    ask_fini(&a);
}

/* The print of the only connection's session now. */
static struct pg_print print_of(struct fixture *f)
{
    struct ask a;
    struct mp_token both;
    struct pg_print print;
    char sql[2048];
    snprintf(sql, sizeof sql, "SELECT ARRAY[%s]", pg_print_columns());
    ask_init(&a, CALL_VALUE, sql, NULL);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, 0);
    struct mp_reader r = mp_reader_of(buf_slice(&a.q.result));
    assert_int_equal(mp_next(&r, &both), MP_OK);
    assert_true(pg_print_read(conn_of(f), &r, &print));
    ask_fini(&a);
    return print;
}

/* Of a new session, which begins with these settings. */
static struct pg_print print_with(struct fixture *f, const char *settings)
{
    char url[512];
    fixture_configure(f);
    snprintf(url, sizeof url, "%s&options=%s", f->server->url, settings);
    f->own.url = url;
    fixture_open(f, 1);
    struct pg_print print = print_of(f);
    fixture_close(f);
    return print;
}

static void sessions_that_begin_alike_are_equal(void **state)
{
    struct fixture *f = *state;
    struct pg_print a = print_with(f, ""), b = print_with(f, "");
    assert_true(pg_print_is_any(a));
    assert_true(pg_print_equal(a, b));
    assert_true(pg_print_equal(a, print_with(f, "-cstatement_timeout%3D60000")));
}

static void what_names_mean_and_how_transactions_run_is_in_it(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    fixture_open(f, 1);
    run(f, "CREATE SCHEMA other");
    run(f, "CREATE ROLE somebody");
    fixture_close(f);
    static const char *const settings[] = {
        "-csearch_path%3Dother",
        "-csearch_path%3Dpublic,pg_catalog",
        "-crole%3Dsomebody",
        "-cdefault_transaction_isolation%3Dserializable",
    };
    struct pg_print like = print_with(f, "");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct pg_print print = print_with(f, settings[i]);
        assert_true(pg_print_is_any(print));
        if (pg_print_equal(like, print))
            fail_msg("%s is not in it", settings[i]);
    }
}

static void a_session_that_is_changed_has_another(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    fixture_open(f, 1);
    struct pg_print before = print_of(f);
    run(f, "SELECT set_config('search_path', 'pg_catalog', false)");
    assert_false(pg_print_equal(before, print_of(f)));
    run(f, "SELECT set_config('search_path', '\"$user\", public', false)");
    assert_true(pg_print_equal(before, print_of(f)));
    fixture_close(f);
}

static void one_with_temporary_objects_has_none(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    fixture_open(f, 1);
    run(f, "CREATE TEMP TABLE mine (id int)");
    struct pg_print print = print_of(f);
    assert_false(pg_print_is_any(print));
    assert_false(pg_print_equal(print, print));
    fixture_close(f);
}

/* A server that was started anew may be another one. */
static void nor_is_it_that_of_another_life_of_the_server(void **state)
{
    struct fixture *f = *state;
    struct pg_print before = print_with(f, "");
    assert_int_equal(pg_server_stop(f->server, "fast"), 0);
    assert_int_equal(pg_server_start(f->server), 0);
    assert_false(pg_print_equal(before, print_with(f, "")));
}

static void what_is_no_answer_is_none(void **state)
{
    struct fixture *f = *state;
    struct pg_print print;
    struct mp_reader r = mp_reader_of(slice_str("\x01"));
    fixture_configure(f);
    fixture_open(f, 1);
    assert_false(pg_print_read(conn_of(f), &r, &print));
    r = mp_reader_of(slice_str("\x01\x02"));
    assert_false(pg_print_read(conn_of(f), &r, &print));
    assert_false(pg_print_is_any(print));
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_that_begin_alike_are_equal),
        cmocka_unit_test(what_names_mean_and_how_transactions_run_is_in_it),
        cmocka_unit_test(a_session_that_is_changed_has_another),
        cmocka_unit_test(one_with_temporary_objects_has_none),
        cmocka_unit_test(nor_is_it_that_of_another_life_of_the_server),
        cmocka_unit_test(what_is_no_answer_is_none),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
