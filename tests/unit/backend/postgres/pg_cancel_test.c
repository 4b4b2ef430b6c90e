#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "pg_fixture.h"

static int64_t integer(struct fixture *f, const char *sql)
{
    struct ask a;
    struct mp_token t;
    ask_init(&a, CALL_VALUE, sql, NULL);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, 0);
    struct mp_reader r = mp_reader_of(buf_slice(&a.q.result));
    assert_int_equal(mp_next(&r, &t), MP_OK);
    ask_fini(&a);
    return t.i;
}

/* Asks the server, through a connection of its own, until so many run pg_sleep(600). */
static void until_sleeping(struct fixture *observer, int64_t want)
{
    const char *sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                      "query LIKE 'SELECT pg_sleep(600)%'";
    while (integer(observer, sql) != want)
        ;
}

static void the_database_stops_and_the_connection_is_used_again(void **state)
{
    struct fixture *f = opened(state, 1);
    struct fixture observer = *f;
    fixture_open(&observer, 1);
    int64_t pid = integer(f, "SELECT pg_backend_pid()");
    struct ask sleeper, neighbours[10];
    ask_init(&sleeper, CALL_VALUE, "SELECT pg_sleep(600)", NULL);
    ask_send(f, &sleeper);
    for (int i = 0; i < 10; i++) {
        char params[16];
        snprintf(params, sizeof params, "[%d]", i);
        ask_init(&neighbours[i], CALL_VALUE, "SELECT $1::int", params);
        ask_send(f, &neighbours[i]);
    }
    until_sleeping(&observer, 1);
    backend_cancel(f->backend, &sleeper.q);
    ask_fini(&sleeper);
    for (int i = 0; i < 10; i++) {
        char want[16];
        fixture_wait(f, &neighbours[i].done, 1);
        snprintf(want, sizeof want, "%d", i);
        result_is(&neighbours[i].q, want);
        ask_fini(&neighbours[i]);
    }
    until_sleeping(&observer, 0);
    assert_int_equal(integer(f, "SELECT pg_backend_pid()"), pid);
    assert_int_equal(sleeper.done, 0);
    fixture_close(&observer);
    fixture_close(f);
}

static void a_query_behind_another_is_stopped_when_it_runs(void **state)
{
    struct fixture *f = opened(state, 1);
    struct fixture observer = *f;
    fixture_open(&observer, 1);
    struct ask first, second, third;
    assert_int_equal(integer(&observer, "SELECT 1 FROM pg_advisory_lock(7)"), 1);
    ask_init(&first, CALL_VALUE, "SELECT 1 FROM pg_advisory_lock(7)", NULL);
    ask_init(&second, CALL_VALUE, "SELECT pg_sleep(600)", NULL);
    ask_init(&third, CALL_VALUE, "SELECT 3", NULL);
    ask_send(f, &first);
    ask_send(f, &second);
    ask_send(f, &third);
    while (integer(&observer, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                              "NOT granted") != 1)
        ;
    backend_cancel(f->backend, &second.q);
    ask_fini(&second);
    gives(&observer, CALL_VALUE, "SELECT pg_advisory_unlock(7)", NULL, "true");
    fixture_wait(f, &first.done, 1);
    result_is(&first.q, "1");
    fixture_wait(f, &third.done, 1);
    result_is(&third.q, "3");
    until_sleeping(&observer, 0);
    ask_fini(&first);
    ask_fini(&third);
    fixture_close(&observer);
    fixture_close(f);
}

/* Two at once go to two connections: the statement is prepared on both. What has to be prepared
 * first may be overtaken on its connection, by a query that never ends as well. */
static void ask_two(struct fixture *f, const char *sql, const char *want)
{
    struct ask two[2];
    for (int i = 0; i < 2; i++) {
        ask_init(&two[i], CALL_VALUE, sql, NULL);
        ask_send(f, &two[i]);
    }
    for (int i = 0; i < 2; i++) {
        fixture_wait(f, &two[i].done, 1);
        result_is(&two[i].q, want);
        ask_fini(&two[i]);
    }
}

static void prepare_on_both(struct fixture *f, const char *sql, const char *want)
{
    while (stats(f).connections < 2)
        ask_two(f, sql, want);
    ask_two(f, sql, want);
}

/* Cancels at every stage, with neighbours that must not notice. */
static void neighbours_of_many_cancels_get_their_answers(void **state)
{
    struct fixture *f = opened(state, 2);
    enum { ROUNDS = 60, NEIGHBOURS = 8 };
    prepare_on_both(f, "SELECT 1", "1");
    for (int round = 0; round < ROUNDS; round++) {
        struct ask sleeper, quick, n[NEIGHBOURS];
        char params[32];
        ask_init(&quick, CALL_VALUE, "SELECT 1", NULL);
        ask_init(&sleeper, CALL_VALUE, "SELECT pg_sleep(600)", NULL);
        ask_send(f, &quick);
        ask_send(f, &sleeper);
        for (int i = 0; i < NEIGHBOURS; i++) {
            snprintf(params, sizeof params, "[%d]", 100 * round + i);
            ask_init(&n[i], CALL_VALUE, "SELECT $1::int FROM pg_sleep(0.0005)", params);
            ask_send(f, &n[i]);
        }
        if (round % 2)
            fixture_wait(f, &quick.done, 1);
        backend_cancel(f->backend, &sleeper.q);
        ask_fini(&sleeper);
        fixture_wait(f, &quick.done, 1);
        result_is(&quick.q, "1");
        ask_fini(&quick);
        for (int i = 0; i < NEIGHBOURS; i++) {
            fixture_wait(f, &n[i].done, 1);
            snprintf(params, sizeof params, "%d", 100 * round + i);
            result_is(&n[i].q, params);
            ask_fini(&n[i]);
        }
    }
    assert_int_equal(stats(f).cancels, ROUNDS);
    assert_int_equal(stats(f).disconnects, 0);
    fixture_close(f);
}

/* It may wait for a lock, which the server lets nobody pass on its connection. */
static void a_preparation_that_nobody_waits_for_is_stopped(void **state)
{
    struct fixture *f = opened(state, 1);
    struct fixture observer = *f, holder = *f;
    struct ask hold, blocked;
    fixture_open(&observer, 1);
    fixture_open(&holder, 1);
    gives(f, CALL_COUNT, "CREATE TABLE locked (n int)", NULL, "0");
    ask_init(&hold, CALL_COUNT, "DO $$ BEGIN LOCK TABLE locked; PERFORM pg_sleep(600); END $$",
             NULL);
    ask_send(&holder, &hold);
    const char *locks = "SELECT count(*) FROM pg_locks WHERE relation = 'locked'::regclass";
    while (integer(&observer, locks) != 1)
        ;
    ask_init(&blocked, CALL_VALUE, "SELECT n FROM locked", NULL);
    ask_send(f, &blocked);
    while (integer(&observer, locks) != 2)
        ;
    backend_cancel(f->backend, &blocked.q);
    ask_fini(&blocked);
    gives(f, CALL_VALUE, "SELECT 2", NULL, "2");
    assert_int_equal(hold.done, 0);
    assert_int_equal(stats(f).disconnects, 0);
    backend_cancel(holder.backend, &hold.q);
    ask_fini(&hold);
    fixture_close(&holder);
    fixture_close(&observer);
    fixture_close(f);
}

/* The catalog is asked what the type is, on the connection that is idle, and does not answer. */
static void the_drivers_own_question_has_connect_timeout(void **state)
{
    struct fixture asking = *(struct fixture *)*state, *f = &asking;
    fixture_configure(f);
    struct fixture observer = *f, holder = *f;
    struct ask hold, a;
    const char *locks = "SELECT count(*) FROM pg_locks WHERE relation = 'pg_type'::regclass AND "
                        "mode = 'AccessExclusiveLock'";
    f->own.connect_timeout_ms = 300;
    fixture_open(f, 2);
    fixture_open(&observer, 1);
    fixture_open(&holder, 1);
    gives(&observer, CALL_COUNT, "CREATE TYPE slow AS ENUM ('x')", NULL, "0");
    prepare_on_both(f, "SELECT count('{x}'::slow[])", "1"); /* they know the type, we do not */
    assert_int_equal(integer(&observer, locks), 0);
    ask_init(&hold, CALL_COUNT,
             "DO $$ BEGIN LOCK TABLE pg_catalog.pg_type; PERFORM pg_sleep(600); END $$", NULL);
    ask_send(&holder, &hold);
    while (integer(&observer, locks) != 1)
        ;
    ask_init(&a, CALL_VALUE, "SELECT '{x}'::slow[]", NULL);
    ask_wait(f, &a);
    assert_int_not_equal(a.q.code, 0);
    assert_non_null(strstr(a.q.err.text, "asking for the query's types"));
    assert_int_equal(hold.done, 0);
    backend_cancel(holder.backend, &hold.q);
    ask_fini(&a);
    ask_fini(&hold);
    fixture_close(&holder);
    gives(f, CALL_VALUE, "SELECT '{x}'::slow[]", NULL, "[\"x\"]");
    fixture_close(&observer);
    fixture_close(f);
}

/* The server's first process, which cancels are sent to. */
static pid_t first_process(const struct fixture *f)
{
    char path[128];
    int first = 0;
    snprintf(path, sizeof path, "%s/data/postmaster.pid", f->server->folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &first), 1);
    fclose(file);
    return first;
}

static void until_one_waits(struct fixture *observer, const char *lock)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_locks WHERE %s AND NOT granted", lock);
    while (integer(observer, sql) != 1)
        ;
}

/* Until the preparation that the query waits for stands before the table's lock, asked for so
 * often; or the query is over. */
static void until_prepared_behind_the_lock(struct fixture *f, struct fixture *observer,
                                           const struct ask *waiting, uint64_t descriptions)
{
    while (waiting->done == 0 && stats(f).descriptions < descriptions)
        ev_run(f->loop, EVRUN_ONCE);
    if (waiting->done == 0)
        until_one_waits(observer, "relation = 'hit'::regclass");
}

/* The cancel of a query that ended meanwhile meets the preparation behind it; more than once, for
 * a server signals the process and then its group. */
static void a_preparation_is_made_again_as_often_as_cancels_hit_it(void **state)
{
    struct fixture *f = opened(state, 1);
    struct fixture observer = *f, holder = *f;
    struct ask hold, over, waiting;
    const char *slow = "SELECT 1 FROM pg_advisory_xact_lock(9)";
    enum { HITS = 3 }; /* of the process alone, before the server's own one or two */
    fixture_open(&observer, 1);
    fixture_open(&holder, 1);
    pid_t pid = (pid_t)integer(f, "SELECT pg_backend_pid()");
    gives(f, CALL_COUNT, "CREATE TABLE hit AS SELECT 5 AS n", NULL, "1");
    gives(f, CALL_VALUE, slow, NULL, "1");
    assert_int_equal(integer(&observer, "SELECT 1 FROM pg_advisory_lock(9)"), 1);
    ask_init(&hold, CALL_COUNT, "DO $$ BEGIN LOCK TABLE hit; PERFORM pg_sleep(600); END $$", NULL);
    ask_send(&holder, &hold);
    while (integer(&observer, "SELECT count(*) FROM pg_locks WHERE relation = 'hit'::regclass") !=
           1)
        ;
    uint64_t before = stats(f).descriptions;
    ask_init(&over, CALL_VALUE, slow, NULL);
    ask_init(&waiting, CALL_VALUE, "SELECT n FROM hit", NULL);
    ask_send(f, &over);
    ask_send(f, &waiting);
    until_one_waits(&observer, "locktype = 'advisory'");
    pid_t first = first_process(f);
    assert_int_equal(kill(first, SIGSTOP), 0);
    backend_cancel(f->backend, &over.q);
    ask_fini(&over);
    gives(&observer, CALL_VALUE, "SELECT pg_advisory_unlock(9)", NULL, "true");
    for (unsigned hit = 1; hit <= HITS; hit++) {
        until_prepared_behind_the_lock(f, &observer, &waiting, before + hit);
        assert_int_equal(kill(pid, SIGINT), 0);
    }
    until_prepared_behind_the_lock(f, &observer, &waiting, before + HITS + 1);
    assert_int_equal(kill(first, SIGCONT), 0);
    while (waiting.done == 0 && stats(f).descriptions == before + HITS + 1)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(waiting.done, 0);
    backend_cancel(holder.backend, &hold.q);
    ask_fini(&hold);
    fixture_wait(f, &waiting.done, 1);
    result_is(&waiting.q, "5");
    assert_int_equal(stats(f).disconnects, 0);
    ask_fini(&waiting);
    fixture_close(&holder);
    fixture_close(&observer);
    fixture_close(f);
}

static void what_was_not_sent_is_only_removed(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.pipeline = 1;
    fixture_open(f, 1);
    struct ask connecting, refused, running, queued, kept;
    ask_init(&connecting, CALL_VALUE, "SELECT 1", NULL);
    ask_send(f, &connecting); /* waits for the connect */
    backend_cancel(f->backend, &connecting.q);
    ask_fini(&connecting);
    gives(f, CALL_VALUE, "SELECT 2", NULL, "2");
    ask_init(&refused, CALL_VALUE, "BEGIN", NULL);
    ask_send(f, &refused); /* over, and its done is owed */
    backend_cancel(f->backend, &refused.q);
    ask_fini(&refused);
    ask_init(&running, CALL_VALUE, "SELECT 'new'", NULL);
    ask_init(&queued, CALL_VALUE, "SELECT 1 / 0", NULL);
    ask_init(&kept, CALL_VALUE, "SELECT 3", NULL);
    ask_send(f, &running); /* waits for its statement */
    ask_send(f, &queued);
    ask_send(f, &kept);
    backend_cancel(f->backend, &queued.q);
    backend_cancel(f->backend, &running.q);
    ask_fini(&queued);
    ask_fini(&running);
    fixture_wait(f, &kept.done, 1);
    result_is(&kept.q, "3");
    ask_fini(&kept);
    assert_int_equal(refused.done + running.done + queued.done + connecting.done, 0);
    fixture_close(f);
}

static void a_backend_may_end_while_cancelled_queries_run(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask a;
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    ask_init(&a, CALL_VALUE, "SELECT pg_sleep(600)", NULL);
    ask_send(f, &a);
    ev_run(f->loop, EVRUN_NOWAIT);
    backend_cancel(f->backend, &a.q);
    ask_fini(&a);
    fixture_close(f);
}

static void a_server_process_that_never_answers_costs_its_connection_only(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.connect_timeout_ms = 300;
    fixture_open(f, 1);
    pid_t pid = (pid_t)integer(f, "SELECT pg_backend_pid()");
    struct ask stuck, neighbour;
    gives(f, CALL_VALUE, "SELECT 2", NULL, "2");
    assert_int_equal(kill(pid, SIGSTOP), 0);
    ask_init(&stuck, CALL_VALUE, "SELECT 2", NULL);
    ask_init(&neighbour, CALL_VALUE, "SELECT 2", NULL);
    ask_send(f, &stuck);
    ask_send(f, &neighbour);
    backend_cancel(f->backend, &stuck.q);
    ask_fini(&stuck);
    fixture_wait(f, &neighbour.done, 1);
    assert_string_equal(err_name(neighbour.q.code), "BACKEND_DOWN");
    assert_non_null(strstr(neighbour.q.err.text, "did not end"));
    ask_fini(&neighbour);
    assert_true(integer(f, "SELECT pg_backend_pid()") != pid);
    assert_int_equal(kill(pid, SIGCONT), 0);
    fixture_close(f);
}

/* Cancels are sent to the server's first process, and wait for it. */
static void a_stopped_server_holds_up_nobody(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.connect_timeout_ms = 200;
    fixture_open(f, 1);
    pid_t pid = (pid_t)integer(f, "SELECT pg_backend_pid()");
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    pid_t first = first_process(f);
    assert_int_equal(kill(first, SIGSTOP), 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    struct ask stuck, neighbour, later;
    ask_init(&stuck, CALL_VALUE, "SELECT 1", NULL);
    ask_init(&neighbour, CALL_VALUE, "SELECT 1", NULL);
    ask_init(&later, CALL_VALUE, "SELECT 1", NULL);
    ask_send(f, &stuck);
    ask_send(f, &neighbour);
    backend_cancel(f->backend, &stuck.q);
    ask_fini(&stuck);
    fixture_wait(f, &neighbour.done, 1);
    assert_string_equal(err_name(neighbour.q.code), "BACKEND_DOWN");
    ask_send(f, &later); /* connects in vain */
    fixture_wait(f, &later.done, 1);
    assert_string_equal(err_name(later.q.code), "BACKEND_DOWN");
    ask_fini(&neighbour);
    ask_fini(&later);
    fixture_close(f); /* does not wait for the cancel */
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(kill(first, SIGCONT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_database_stops_and_the_connection_is_used_again),
        cmocka_unit_test(a_query_behind_another_is_stopped_when_it_runs),
        cmocka_unit_test(neighbours_of_many_cancels_get_their_answers),
        cmocka_unit_test(a_preparation_that_nobody_waits_for_is_stopped),
        cmocka_unit_test(the_drivers_own_question_has_connect_timeout),
        cmocka_unit_test(a_preparation_is_made_again_as_often_as_cancels_hit_it),
        cmocka_unit_test(what_was_not_sent_is_only_removed),
        cmocka_unit_test(a_backend_may_end_while_cancelled_queries_run),
        cmocka_unit_test(a_stopped_server_holds_up_nobody),
        cmocka_unit_test(a_server_process_that_never_answers_costs_its_connection_only),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
