/* Queries that share a transaction: what they answer, and what happens when one fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pg_fixture.h"

#include <signal.h>
#include <sys/socket.h>

#define N 40

static const char *const xact = "SELECT txid_current() + 0 * $1::int";

static int64_t number_of(const struct call *q)
{
    struct mp_reader r = mp_reader_of(buf_slice(&q->result));
    struct mp_token t;
    assert_int_equal(q->code, 0);
    assert_int_equal(mp_next(&r, &t), MP_OK);
    return t.i;
}

static int64_t count_of(struct fixture *f, const char *sql)
{
    struct ask a;
    ask_init(&a, CALL_VALUE, sql, NULL);
    ask_wait(f, &a);
    int64_t n = number_of(&a.q);
    ask_fini(&a);
    return n;
}

/* Until it was found to be quick, and shares. */
static void prepare(struct fixture *f, const char *sql)
{
    uint64_t groups = stats(f).groups;
    do {
        struct ask a, b;
        ask_init(&a, CALL_VALUE, sql, "[1]");
        ask_init(&b, CALL_VALUE, sql, "[1]");
        ask_send(f, &a);
        ask_send(f, &b);
        fixture_wait(f, &a.done, 1);
        fixture_wait(f, &b.done, 1);
        ask_fini(&a);
        ask_fini(&b);
        fixture_share(f);
    } while (f->own.group > 1 && stats(f).groups == groups);
}

/* Count questions at once; the parameter is 0, 1, ... */
static void send_all(struct fixture *f, struct ask *asks, int count, const char *sql)
{
    for (int i = 0; i < count; i++) {
        char params[32];
        snprintf(params, sizeof params, "[%d]", i);
        ask_init(&asks[i], CALL_VALUE, sql, params);
        ask_send(f, &asks[i]);
    }
}

static void wait_all(struct fixture *f, struct ask *asks, int count)
{
    for (int i = 0; i < count; i++)
        fixture_wait(f, &asks[i].done, 1);
}

static void fini_all(struct ask *asks, int count)
{
    for (int i = 0; i < count; i++)
        ask_fini(&asks[i]);
}

static int transactions_of(struct fixture *f)
{
    struct ask asks[N];
    int distinct = 0;
    send_all(f, asks, N, xact);
    wait_all(f, asks, N);
    for (int i = 0; i < N; i++)
        distinct += i == 0 || number_of(&asks[i].q) != number_of(&asks[i - 1].q);
    fini_all(asks, N);
    return distinct;
}

static void selects_of_one_turn_share_transactions_of_the_groups_size(void **state)
{
    struct fixture *f = opened(state, 1);
    prepare(f, xact);
    uint64_t before = stats(f).groups;
    assert_int_equal(transactions_of(f), 3); /* 16, 16, 8 */
    assert_int_equal(stats(f).groups, before + 3);
    assert_int_equal(stats(f).groups_failed, 0);
    fixture_close(f);
}

/* A watcher of the loads' kind: it asks as late as loads begin. */
struct beginner {
    struct ev_prepare watcher;
    struct fixture *f;
    struct ask asks[4];
    int count; /* 0: it has nothing to ask */
};

static void on_begin(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    struct beginner *b = watcher->data;
    send_all(b->f, b->asks, b->count, xact);
    b->count = 0;
}

static void beginner_start(struct beginner *b, struct fixture *f)
{
    *b = (struct beginner){.f = f};
    ev_prepare_init(&b->watcher, on_begin);
    b->watcher.data = b;
    ev_prepare_start(f->loop, &b->watcher);
    ev_unref(f->loop);
}

static void what_begins_late_in_a_turn_goes_out_with_it(void **state)
{
    struct fixture *f = *state;
    struct beginner of[2]; /* one is there before the backend, and one comes after it */
    fixture_configure(f);
    beginner_start(&of[0], f);
    fixture_open(f, 1);
    beginner_start(&of[1], f);
    prepare(f, xact);
    for (int i = 0; i < 2; i++) {
        uint64_t before = stats(f).groups;
        of[i].count = 4;
        ev_run(f->loop, EVRUN_NOWAIT);
        assert_int_equal(stats(f).groups, before + 1);
        wait_all(f, of[i].asks, 4);
        fini_all(of[i].asks, 4);
        ev_ref(f->loop);
        ev_prepare_stop(f->loop, &of[i].watcher);
    }
    fixture_close(f);
}

static void a_group_of_one_is_a_transaction_for_each(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f);
    f->own.group = 1;
    fixture_open(f, 1);
    prepare(f, xact);
    assert_int_equal(transactions_of(f), N);
    assert_int_equal(stats(f).groups, 0);
    fixture_close(f);
}

/* What a function writes is undone with its group, and done again: once for each call. */
static void where_one_fails_the_others_have_run_once(void **state)
{
    struct fixture *f = opened(state, 1);
    const char *writes = "SELECT note($1)", *fails_at_0 = "SELECT 1 / $1::int";
    struct ask asks[10], bad, good;
    gives(f, CALL_COUNT, "CREATE TABLE noted (n int)", NULL, "0");
    gives(f, CALL_COUNT,
          "CREATE FUNCTION note(n int) RETURNS int LANGUAGE sql AS "
          "'INSERT INTO noted VALUES (n) RETURNING n'",
          NULL, "0");
    prepare(f, fails_at_0);
    prepare(f, writes);
    int64_t before = count_of(f, "SELECT count(*) FROM noted");
    for (int round = 1; round <= 2; round++) {
        send_all(f, asks, 5, writes);
        ask_init(&bad, CALL_VALUE, fails_at_0, "[0]");
        ask_send(f, &bad);
        send_all(f, asks + 5, 5, writes);
        ask_init(&good, CALL_VALUE, fails_at_0, "[1]");
        ask_send(f, &good);
        wait_all(f, asks, 10);
        for (int i = 0; i < 10; i++)
            assert_int_equal(number_of(&asks[i].q), i % 5);
        fini_all(asks, 10);
        fixture_wait(f, &bad.done, 1);
        assert_int_equal(bad.q.code, ERR_BACKEND);
        assert_memory_equal(bad.q.err.text, "22012 ", 6);
        fixture_wait(f, &good.done, 1);
        result_is(&good.q, "1");
        ask_fini(&bad);
        ask_fini(&good);
        assert_int_equal(count_of(f, "SELECT count(*) FROM noted"), before + (int64_t)10 * round);
    }
    /* The first time taught it to keep that statement alone. */
    assert_int_equal(stats(f).groups_failed, 1);
    assert_int_equal(stats(f).failures, 2);
    fixture_close(f);
}

static void one_that_is_given_up_does_not_hold_the_others(void **state)
{
    struct fixture *f = opened(state, 1);
    const char *sleeps = "SELECT pg_sleep($1::int - 1)", *echoes = "SELECT $1::int";
    struct ask asks[8], sleeper;
    prepare(f, sleeps);
    prepare(f, echoes);
    uint64_t before = stats(f).groups;
    send_all(f, asks, 4, echoes);
    ask_init(&sleeper, CALL_VALUE, sleeps, "[600]");
    ask_send(f, &sleeper);
    send_all(f, asks + 4, 4, echoes);
    while (stats(f).groups == before)
        ev_run(f->loop, EVRUN_NOWAIT);
    backend_cancel(f->backend, &sleeper.q);
    ask_fini(&sleeper);
    wait_all(f, asks, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(number_of(&asks[i].q), i % 4);
    fini_all(asks, 8);
    assert_int_equal(stats(f).disconnects, 0);
    assert_int_equal(stats(f).in_flight, 0);
    fixture_close(f);
}

/* It may be one that takes long; what is known to be quick shares. */
static void a_statement_is_alone_until_it_was_quick(void **state)
{
    const char *sleepy = "SELECT 0 * $1::int + txid_current() FROM pg_sleep(0.02)";
    struct fixture *f = opened(state, 1);
    struct ask asks[8];
    prepare(f, xact);
    ask_init(&asks[0], CALL_VALUE, sleepy, "[0]");
    ask_wait(f, &asks[0]);
    ask_fini(&asks[0]);
    fixture_share(f);
    send_all(f, asks, 4, xact);
    send_all(f, asks + 4, 4, sleepy);
    wait_all(f, asks, 8);
    for (int i = 1; i < 8; i++) {
        bool same = number_of(&asks[i].q) == number_of(&asks[i - 1].q);
        assert_int_equal(same, i < 4);
    }
    fini_all(asks, 8);
    fixture_close(f);
}

static void what_was_not_shown_to_read_tables_alone_is_in_no_group(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask a;
    ask_init(&a, CALL_VALUE, xact, "[0]");
    ask_wait(f, &a);
    ask_fini(&a);
    assert_int_equal(transactions_of(f), N);
    assert_int_equal(stats(f).groups, 0);
    fixture_close(f);
}

static void a_write_is_in_no_group(void **state)
{
    struct fixture *f = opened(state, 1);
    const char *writes = "INSERT INTO alone VALUES ($1) RETURNING txid_current()";
    struct ask asks[9];
    gives(f, CALL_COUNT, "CREATE TABLE alone (n int)", NULL, "0");
    count_of(f, "SELECT 0"); /* it is connected */
    prepare(f, xact);
    send_all(f, asks, 4, xact);
    send_all(f, asks + 4, 1, writes);
    send_all(f, asks + 5, 4, xact);
    wait_all(f, asks, 9);
    for (int i = 1; i < 9; i++) {
        bool same = number_of(&asks[i].q) == number_of(&asks[i - 1].q);
        assert_int_equal(same, i != 4 && i != 5);
    }
    fini_all(asks, 9);
    fixture_close(f);
}

static void rows_of_many_in_a_group_stay_apart(void **state)
{
    struct fixture *f = opened(state, 1);
    const char *sql = "SELECT i FROM generate_series(1, $1::int) i";
    struct ask asks[12];
    prepare(f, sql);
    for (int i = 0; i < 12; i++) {
        char params[32];
        snprintf(params, sizeof params, "[%d]", i * 100);
        ask_init(&asks[i], CALL_ROWS, sql, params);
        ask_send(f, &asks[i]);
    }
    wait_all(f, asks, 12);
    for (int i = 0; i < 12; i++) {
        struct mp_reader r = mp_reader_of(buf_slice(&asks[i].q.result));
        struct mp_token t;
        assert_int_equal(asks[i].q.code, 0);
        assert_int_equal(mp_next(&r, &t), MP_OK);
        assert_int_equal(t.count, i * 100);
    }
    fini_all(asks, 12);
    fixture_close(f);
}

/* Its parameter has as many bytes as elements, and in the protocol five times as many. */
static const char *const nulls = "SELECT count(v)::int FROM unnest($1::text[]) v";

static void send_nulls(struct fixture *f, struct ask *a, int count)
{
    char params[8000] = "[[null";
    for (int i = 1; i < count; i++)
        strcat(params, ",null");
    strcat(params, "]]");
    ask_init(a, CALL_VALUE, nulls, params);
    ask_send(f, a);
}

static const struct pg_stmt *stmt_of(const struct fixture *f, const char *sql)
{
    struct pg_pool *pool = (struct pg_pool *)f->backend;
    return pg_stmt_find(&pool->conns[0].stmts, slice_str(sql));
}

/* Until it was found to be quick, and shares; the parameter is given. */
static void prepare_with(struct fixture *f, const char *sql, const char *params)
{
    do {
        struct ask a;
        ask_init(&a, CALL_VALUE, sql, params);
        ask_wait(f, &a);
        assert_int_equal(a.q.code, 0);
        ask_fini(&a);
        fixture_share(f);
    } while (!stmt_of(f, sql)->quick);
}

static void groups_end_where_their_parameters_become_large(void **state)
{
    static const struct {
        int sizes[6], count, groups;
    } cases[] = {
        {{300, 300, 300, 300, 300, 300}, 6, 2}, /* the fourth is past the bound */
        {{600, 600, 600, 600, 600, 600}, 6, 3},
        {{1, 1100, 1}, 3, 0}, /* what is large itself is in none */
        {{1, 1, 1100, 1, 1}, 5, 2},
    };
    struct fixture *f = opened(state, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask asks[6];
        prepare_with(f, nulls, "[[null]]");
        uint64_t before = stats(f).groups;
        for (int k = 0; k < cases[i].count; k++)
            send_nulls(f, &asks[k], cases[i].sizes[k]);
        wait_all(f, asks, cases[i].count);
        if (stats(f).groups != before + (uint64_t)cases[i].groups)
            fail_msg("case %zu: %d groups", i, (int)(stats(f).groups - before));
        fini_all(asks, cases[i].count);
    }
    fixture_close(f);
}

static void after_a_slow_group_a_statement_is_alone(void **state)
{
    const char *sql = "SELECT 0 * $1::int + txid_current() FROM pg_sleep(0.15 * $1::int)";
    struct fixture *f = opened(state, 1);
    struct ask asks[2];
    prepare_with(f, sql, "[0]");
    uint64_t groups = stats(f).groups;
    send_all(f, asks, 2, sql); /* the second one sleeps */
    wait_all(f, asks, 2);
    fini_all(asks, 2);
    assert_int_equal(stats(f).groups, groups + 1);
    assert_false(stmt_of(f, sql)->quick);
    fixture_close(f);
}

/* A group that the socket takes but in part, as the server reads nothing: the rest follows, and
 * what comes meanwhile is in no group. */
static void what_the_socket_does_not_take_at_once_is_sent_later(void **state)
{
    struct fixture *f = opened(state, 1);
    struct pg_pool *pool = (struct pg_pool *)f->backend;
    struct ask asks[4];
    prepare_with(f, nulls, "[[null]]");
    uint64_t groups = stats(f).groups;
    pid_t server = (pid_t)count_of(f, "SELECT pg_backend_pid()");
    int few = 1, fd = PQsocket(pool->conns[0].pg);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof few), 0);
    assert_int_equal(kill(server, SIGSTOP), 0);
    for (int i = 0; i < 2; i++)
        send_nulls(f, &asks[i], 900);
    bool full = pool->conns[0].full;
    for (int i = 2; i < 4; i++)
        send_nulls(f, &asks[i], 1);
    assert_int_equal(kill(server, SIGCONT), 0);
    assert_true(full);
    wait_all(f, asks, 4);
    for (int i = 0; i < 4; i++)
        result_is(&asks[i].q, "0");
    assert_int_equal(stats(f).groups, groups + 1);
    fini_all(asks, 4);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selects_of_one_turn_share_transactions_of_the_groups_size),
        cmocka_unit_test(what_begins_late_in_a_turn_goes_out_with_it),
        cmocka_unit_test(a_group_of_one_is_a_transaction_for_each),
        cmocka_unit_test(where_one_fails_the_others_have_run_once),
        cmocka_unit_test(one_that_is_given_up_does_not_hold_the_others),
        cmocka_unit_test(a_statement_is_alone_until_it_was_quick),
        cmocka_unit_test(what_was_not_shown_to_read_tables_alone_is_in_no_group),
        cmocka_unit_test(a_write_is_in_no_group),
        cmocka_unit_test(rows_of_many_in_a_group_stay_apart),
        cmocka_unit_test(groups_end_where_their_parameters_become_large),
        cmocka_unit_test(after_a_slow_group_a_statement_is_alone),
        cmocka_unit_test(what_the_socket_does_not_take_at_once_is_sent_later),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
