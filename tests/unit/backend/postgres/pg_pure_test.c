/* Statements that are shown to read plain tables share transactions; others never do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "backend/postgres/pg_link.h"
#include "pg_fixture.h"

#define N 24

static const char *const plain = "SELECT name FROM things WHERE id = $1";
static const char told_plain[] = "[[23],[\"name\"],true,true]";

static struct pg_stmt *statement_of(struct fixture *f, const char *sql)
{
    struct pg_pool *p = (struct pg_pool *)f->backend;
    struct pg_stmt *st = pg_stmt_find(&p->conns[0].stmts, slice_str(sql));
    assert_non_null(st);
    return st;
}

/* So many at once, with the parameter 1. */
static void run_all(struct fixture *f, int count, const char *sql)
{
    struct ask asks[N];
    for (int i = 0; i < count; i++) {
        ask_init(&asks[i], CALL_VALUE, sql, "[1]");
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < count; i++) {
        fixture_wait(f, &asks[i].done, 1);
        assert_int_equal(asks[i].q.code, 0);
        ask_fini(&asks[i]);
    }
}

/* Runs it until it was judged, and says whether it shares. */
static bool judged(struct fixture *f, const char *sql)
{
    run_all(f, 1, sql);
    while (statement_of(f, sql)->pure.state == PG_PURE_UNKNOWN)
        run_all(f, 1, sql);
    return statement_of(f, sql)->plain;
}

static struct fixture *opened_with_tables(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_COUNT, "CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY, name text)", NULL,
          "0");
    return f;
}

static void what_reads_a_table_shares_after_a_few_runs(void **state)
{
    struct fixture *f = opened_with_tables(state);
    run_all(f, N, "SELECT $1::int + 1");
    assert_int_equal(stats(f).groups, 0); /* nothing was known of it, and nothing waited */
    assert_true(judged(f, plain));
    while (stats(f).groups == 0)
        run_all(f, N, plain);
    assert_true(stats(f).statements_shared >= 1);
    fixture_close(f);
}

static void what_sets_locks_or_tells_never_shares(void **state)
{
    static const char *const impure[] = {
        "SELECT set_config('a.b', $1::text, true)",
        "SELECT coalesce(current_setting('a.b', true), $1::text)",
        "SELECT pg_try_advisory_xact_lock($1::int)",
        "SELECT id FROM things WHERE id = $1 FOR UPDATE SKIP LOCKED",
        "SELECT now() + $1 * interval '1 s'",
        "SELECT txid_current() + $1::int",
        "SELECT name FROM through_view WHERE id = $1",
        "SELECT name_of FROM name_of($1)",
        "WITH w AS (SELECT $1::int) SELECT * FROM w",
    };
    enum { COUNT = sizeof impure / sizeof *impure };
    struct fixture *f = opened_with_tables(state);
    gives(f, CALL_COUNT, "CREATE VIEW through_view AS SELECT * FROM things", NULL, "0");
    gives(f, CALL_COUNT,
          "CREATE FUNCTION name_of(int) RETURNS text LANGUAGE sql AS 'SELECT name FROM things'",
          NULL, "0");
    for (int i = 0; i + 1 < COUNT; i++)
        assert_false(judged(f, impure[i]));
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < COUNT; i++)
            run_all(f, N, impure[i]);
    assert_int_equal(stats(f).groups, 0);
    assert_int_equal(stats(f).statements_shared, 0);
    assert_int_equal(stats(f).statements_alone, COUNT - 1);
    gives(f, CALL_COUNT, "DROP VIEW through_view", NULL, "0");
    gives(f, CALL_COUNT, "DROP FUNCTION name_of", NULL, "0");
    fixture_close(f);
}

static void an_answer_counts_no_longer_than_its_age(void **state)
{
    struct fixture *f = opened_with_tables(state);
    assert_true(judged(f, plain));
    struct pg_stmt *st = statement_of(f, plain);
    st->pure.asked_ms -= f->own.statement_age_ms;
    run_all(f, 2, plain);
    assert_false(st->plain);
    while (!st->plain) /* it is asked again after some runs */
        run_all(f, 1, plain);
    fixture_close(f);
}

static void an_answer_grows_no_younger_by_a_question_on_its_way(void **state)
{
    struct fixture *f = opened_with_tables(state);
    assert_true(judged(f, plain));
    struct pg_stmt *st = statement_of(f, plain);
    struct ask asks[N];
    int64_t old_ms = st->pure.asked_ms -= f->own.statement_age_ms / 2;
    for (int i = 0; i < N; i++) {
        ask_init(&asks[i], CALL_VALUE, plain, "[1]");
        ask_send(f, &asks[i]);
    }
    assert_true(st->pure.asking);
    assert_int_equal(st->pure.asked_ms, old_ms);
    for (int i = 0; i < N; i++) {
        fixture_wait(f, &asks[i].done, 1);
        ask_fini(&asks[i]);
    }
    while (st->pure.asking)
        run_all(f, 1, plain);
    assert_true(st->pure.asked_ms > old_ms);
    fixture_close(f);
}

static void row_level_security_that_is_switched_on_is_noticed(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.statement_age_ms = 100;
    fixture_open(f, 1);
    gives(f, CALL_COUNT, "CREATE TABLE secrets (id int, name text)", NULL, "0");
    const char *sql = "SELECT name FROM secrets WHERE id = $1";
    while (!judged(f, sql)) /* an answer may be too old when it comes */
        ;
    gives(f, CALL_COUNT, "ALTER TABLE secrets ENABLE ROW LEVEL SECURITY", NULL, "0");
    while (statement_of(f, sql)->pure.state != PG_PURE_NO)
        run_all(f, 1, sql);
    assert_false(statement_of(f, sql)->plain);
    gives(f, CALL_COUNT, "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY", NULL, "0");
    while (!statement_of(f, sql)->plain)
        run_all(f, 1, sql);
    gives(f, CALL_COUNT, "DROP TABLE secrets", NULL, "0");
    fixture_close(f);
}

/* The answer would be that of another session. */
static void behind_a_pooler_nothing_shares(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.prepared = false;
    fixture_open(f, 1);
    for (int round = 0; round < 4; round++)
        run_all(f, N, plain);
    assert_int_equal(stats(f).groups, 0);
    assert_int_equal(stats(f).statements_shared, 0);
    gives(f, CALL_TYPES, plain, NULL, told_plain); /* which is of the catalog, not the session */
    run_all(f, N, plain);
    assert_int_equal(stats(f).groups, 0);
    assert_int_equal(stats(f).statements_shared, 0);
    fixture_close(f);
}

/* The answer is about names as they were before. */
static void an_answer_is_of_no_use_after_a_change_that_was_seen_meanwhile(void **state)
{
    struct fixture *f = opened_with_tables(state);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    struct ask told;
    run_all(f, 1, plain);
    ask_init(&told, CALL_TYPES, plain, NULL);
    ask_send(f, &told);
    struct pg_stmt *st = statement_of(f, plain);
    assert_true(st->pure.asking);
    p->changed_ms = clock_ms() + 1;
    while (clock_ms() < p->changed_ms) /* so that what is asked from here on counts */
        continue;
    fixture_wait(f, &told.done, 1);
    result_is(&told.q, "[[23],[\"name\"],true,false]");
    assert_false(st->plain);
    ask_fini(&told);
    gives(f, CALL_TYPES, plain, NULL, told_plain);
    fixture_close(f);
}

/* A second unit in the air may reach another session than it begins in. */
static void behind_a_pooler_the_question_waits_until_the_connection_is_idle(void **state)
{
    struct fixture *f = *state;
    struct ask a;
    fixture_configure(f);
    f->own.prepared = false;
    fixture_open(f, 1);
    const struct pg_conn *c = &((struct pg_pool *)f->backend)->conns[0];
    gives(f, CALL_TYPES, plain, NULL, told_plain);
    struct pg_stmt *st = statement_of(f, plain);
    st->pure.asked_ms -= f->own.statement_age_ms;
    st->pure.runs = N;
    ask_init(&a, CALL_VALUE, plain, "[1]");
    ask_send(f, &a);
    assert_ptr_equal(c->steps.next, c->steps.prev);
    fixture_wait(f, &a.done, 1);
    ask_fini(&a);
    assert_false(st->pure.asking);
    gives(f, CALL_TYPES, plain, NULL, told_plain);
    fixture_close(f);
}

static void who_asks_for_types_is_told_at_once_and_no_older_than_its_age(void **state)
{
    static const char sql[] = "SELECT name FROM told WHERE id = $1";
    struct fixture *f = opened_with_tables(state);
    gives(f, CALL_COUNT, "CREATE TABLE told (id int, name text)", NULL, "0");
    gives(f, CALL_TYPES, sql, NULL, told_plain);
    gives(f, CALL_TYPES, "SELECT set_config('a.b', $1::text, true) AS name", NULL,
          "[[25],[\"name\"],true,false]");
    gives(f, CALL_TYPES, "UPDATE told SET name = 'x' WHERE id = $1 RETURNING name", NULL,
          "[[23],[\"name\"],true,false]");
    gives(f, CALL_COUNT, "ALTER TABLE told ENABLE ROW LEVEL SECURITY", NULL, "0");
    statement_of(f, sql)->pure.asked_ms -= f->own.statement_age_ms;
    gives(f, CALL_TYPES, sql, NULL, "[[23],[\"name\"],true,false]");
    gives(f, CALL_COUNT, "ALTER TABLE told DISABLE ROW LEVEL SECURITY", NULL, "0");
    statement_of(f, sql)->pure.asked_ms -= f->own.statement_age_ms;
    statement_of(f, sql)->alone = true; /* it has failed in a group, which is no reason */
    gives(f, CALL_TYPES, sql, NULL, told_plain);
    gives(f, CALL_COUNT, "DROP TABLE told", NULL, "0");
    fixture_close(f);
}

/* Whether the driver knows the types of sql without asking; then they are told. */
static bool knows(struct fixture *f, const char *sql, const char *told)
{
    struct ask a;
    uint64_t queries = stats(f).queries;
    ask_init(&a, CALL_TYPES, sql, NULL);
    bool known = backend_answer(f->backend, &a.q);
    if (known) {
        assert_int_equal(a.q.code, 0);
        assert_int_equal(a.q.fate, CALL_UNSENT);
        assert_true(a.q.found);
        result_is(&a.q, told);
    }
    assert_int_equal(a.done, 0);
    assert_int_equal(stats(f).queries, queries);
    ask_fini(&a);
    return known;
}

static void what_is_known_of_types_is_answered_at_once_and_no_older_than_its_age(void **state)
{
    static const char set[] = "SELECT set_config('a.b', $1::text, true) AS name";
    static const char of_view[] = "SELECT name FROM known_view WHERE id = $1";
    static const char told_alone[] = "[[23],[\"name\"],true,false]";
    struct fixture *f = opened_with_tables(state);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    struct err why;
    assert_false(knows(f, plain, NULL)); /* there is no connection */
    gives(f, CALL_COUNT, "CREATE VIEW known_view AS SELECT id, name FROM things", NULL, "0");
    assert_false(knows(f, plain, NULL)); /* it was never described */
    assert_true(judged(f, plain));
    assert_false(knows(f, plain, NULL)); /* nobody who waits has asked yet */
    gives(f, CALL_TYPES, plain, NULL, told_plain);
    gives(f, CALL_TYPES, set, NULL, "[[25],[\"name\"],true,false]");
    gives(f, CALL_TYPES, of_view, NULL, told_alone);
    assert_true(knows(f, plain, told_plain));
    assert_true(knows(f, set, "[[25],[\"name\"],true,false]"));
    assert_true(knows(f, of_view, told_alone));

    struct pg_stmt *st = statement_of(f, plain);
    st->pure.asked_ms -= f->own.statement_age_ms / 2; /* it is time to ask again */
    assert_false(knows(f, plain, NULL));
    gives(f, CALL_TYPES, plain, NULL, told_plain);
    while (st->pure.asking)
        run_all(f, 1, "SELECT $1::int");
    assert_true(knows(f, plain, told_plain));
    st->described_ms -= f->own.statement_age_ms / 2; /* and to describe it again */
    assert_false(knows(f, plain, NULL));
    st = statement_of(f, of_view);
    st->pure.asked_ms -= f->own.statement_age_ms;
    assert_false(knows(f, of_view, NULL));
    gives(f, CALL_TYPES, of_view, NULL, told_alone);
    assert_true(knows(f, of_view, told_alone));
    p->changed_ms = clock_ms() + 1; /* another statement has met a change */
    assert_false(knows(f, of_view, NULL));
    assert_false(knows(f, set, NULL));

    err_set(&why, ERR_BACKEND_DOWN, "the test ends it");
    pg_link_close(&p->conns[0], &why);
    assert_false(knows(f, plain, NULL));
    gives(f, CALL_COUNT, "DROP VIEW known_view", NULL, "0");
    fixture_close(f);
}

static void no_memory_for_known_types_is_an_error_of_the_query(void **state)
{
    struct fixture *f = *state;
    struct ask a;
    fixture_configure(f);
    f->conf.max_result = 16;
    fixture_open(f, 1);
    static const char sql[] = "SELECT 1 AS a_name_that_is_longer_than_the_result_may_be";
    fails(f, CALL_TYPES, sql, NULL, ERR_TOO_LARGE, "max_result");
    ask_init(&a, CALL_TYPES, sql, NULL);
    assert_true(backend_answer(f->backend, &a.q));
    assert_int_equal(a.q.code, ERR_TOO_LARGE);
    assert_int_equal(a.q.err.code, ERR_TOO_LARGE);
    assert_false(a.q.found);
    ask_fini(&a);
    fixture_close(f);
}

static void who_waits_to_be_told_may_leave_or_lose_the_connection(void **state)
{
    struct fixture *f = opened_with_tables(state);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    struct ask gone, stays;
    struct err why;
    run_all(f, 1, plain);
    ask_init(&gone, CALL_TYPES, plain, NULL);
    ask_init(&stays, CALL_TYPES, plain, NULL);
    ask_send(f, &gone);
    ask_send(f, &stays);
    assert_true(statement_of(f, plain)->pure.asking);
    backend_cancel(f->backend, &gone.q);
    err_set(&why, ERR_BACKEND_DOWN, "the test ends it");
    pg_link_close(&p->conns[0], &why);
    fixture_wait(f, &stays.done, 1);
    result_is(&stays.q, "[[23],[\"name\"],true,false]");
    assert_int_equal(p->conns[0].in_air, 0);
    ask_fini(&gone);
    ask_fini(&stays);
    gives(f, CALL_TYPES, plain, NULL, told_plain);
    fixture_close(f);
}

/* Its own text is none that could be shown. */
static void the_query_of_many_keys_shares_where_its_asker_has_been_told(void **state)
{
    static const char sql[] =
        "SELECT q.* FROM unnest($1::int[]) AS k(p), LATERAL (SELECT name FROM things "
        "WHERE id = k.p) AS q";
    struct fixture *f = opened_with_tables(state);
    for (int round = 0; round < 40 && (round < 3 || stats(f).groups == 0); round++) {
        struct ask asks[N];
        for (int i = 0; i < N; i++) {
            ask_init(&asks[i], CALL_ROWS, sql, "[[1,2]]");
            asks[i].q.verb = round > 1 ? SQL_BATCH_ROWS : SQL_ROWS;
            ask_send(f, &asks[i]);
        }
        for (int i = 0; i < N; i++) {
            fixture_wait(f, &asks[i].done, 1);
            result_is(&asks[i].q, "[]");
            ask_fini(&asks[i]);
        }
        if (round == 1)
            assert_int_equal(stats(f).groups, 0);
    }
    assert_true(stats(f).groups > 0);
    fixture_close(f);
}

static void a_backend_may_end_while_it_asks(void **state)
{
    struct fixture *f = opened_with_tables(state);
    run_all(f, 1, plain);
    while (!statement_of(f, plain)->pure.asking)
        run_all(f, 1, plain);
    fixture_close(f);
}

static void a_connection_may_end_while_it_asks(void **state)
{
    struct fixture *f = opened_with_tables(state);
    struct pg_pool *p = (struct pg_pool *)f->backend;
    struct err why;
    run_all(f, 1, plain);
    while (!statement_of(f, plain)->pure.asking)
        run_all(f, 1, plain);
    err_set(&why, ERR_BACKEND_DOWN, "the test ends it");
    pg_link_close(&p->conns[0], &why);
    assert_true(judged(f, plain));
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_reads_a_table_shares_after_a_few_runs),
        cmocka_unit_test(what_sets_locks_or_tells_never_shares),
        cmocka_unit_test(an_answer_counts_no_longer_than_its_age),
        cmocka_unit_test(an_answer_grows_no_younger_by_a_question_on_its_way),
        cmocka_unit_test(row_level_security_that_is_switched_on_is_noticed),
        cmocka_unit_test(behind_a_pooler_nothing_shares),
        cmocka_unit_test(an_answer_is_of_no_use_after_a_change_that_was_seen_meanwhile),
        cmocka_unit_test(behind_a_pooler_the_question_waits_until_the_connection_is_idle),
        cmocka_unit_test(who_asks_for_types_is_told_at_once_and_no_older_than_its_age),
        cmocka_unit_test(what_is_known_of_types_is_answered_at_once_and_no_older_than_its_age),
        cmocka_unit_test(no_memory_for_known_types_is_an_error_of_the_query),
        cmocka_unit_test(who_waits_to_be_told_may_leave_or_lose_the_connection),
        cmocka_unit_test(the_query_of_many_keys_shares_where_its_asker_has_been_told),
        cmocka_unit_test(a_backend_may_end_while_it_asks),
        cmocka_unit_test(a_connection_may_end_while_it_asks),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
