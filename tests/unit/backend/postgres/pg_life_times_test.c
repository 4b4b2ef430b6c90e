/* To the millisecond: how long what is known holds, what is quick, and when a connection goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_age.h"
#include "backend/postgres/pg_cancel.h"
#include "backend/postgres/pg_group.h"
#include "backend/postgres/pg_life.h"
#include "backend/postgres/pg_step.h"
#include "clock_mine.h"
#include "log_taken.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS 4

struct world {
    struct pg_stmts stmts;
    struct pg_stmt *st[STEPS];
    struct pg_call calls[STEPS];
    struct call q[STEPS];
    struct pg_pool *pool;
    struct pg_conn *c;
};

static int make(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct pg_pool *p = calloc(1, sizeof *p + sizeof p->conns[0]);
    if (!w || !p || pg_stmt_init(&w->stmts, STEPS) != 0)
        return -1;
    p->name = (char *)"main";
    p->conn_count = 1;
    p->group = 16;
    p->changed_ms = INT64_MIN;
    p->statement_age_ms = 1001;
    w->pool = p;
    w->c = &p->conns[0];
    w->c->pool = p;
    list_init(&w->c->steps);
    for (int i = 0; i < STEPS; i++) {
        char sql[20];
        struct err e;
        snprintf(sql, sizeof sql, "SELECT %d", i);
        if (pg_stmt_add(&w->stmts, slice_str(sql), &w->st[i], &e) != 0)
            return -1;
        w->calls[i] = (struct pg_call){.q = &w->q[i], .stmt = w->st[i], .shares = true};
        w->calls[i].step.kind = PG_STEP_RUN;
    }
    *state = w;
    clock_now_us += 2000000; /* a second of its own for the lines of the log */
    log_taken_begin(LOG_DEBUG);
    return 0;
}

static int take_down(void **state)
{
    struct world *w = *state;
    log_taken_end();
    pg_stmt_fini(&w->stmts);
    free(w->pool);
    free(w);
    return 0;
}

static void pass_ms(int64_t ms)
{
    clock_now_us += 1000 * ms;
}

static void a_description_holds_for_its_age_and_is_due_at_half_of_it(void **state)
{
    struct world *w = *state;
    struct pg_stmt *st = w->st[0];
    st->described = true;
    st->described_ms = clock_ms();
    assert_true(pg_age_is_young(w->c, st));
    pass_ms(499);
    assert_false(pg_age_is_due(w->c, st));
    pass_ms(1);
    assert_true(pg_age_is_due(w->c, st));
    st->describing = true;
    assert_false(pg_age_is_due(w->c, st));
    pass_ms(500);
    assert_true(pg_age_is_young(w->c, st));
    pass_ms(1);
    assert_false(pg_age_is_young(w->c, st));
    st->described_ms = clock_ms();
    assert_true(pg_age_is_young(w->c, st));
    w->pool->changed_ms = clock_ms();
    assert_true(pg_age_is_young(w->c, st));
    w->pool->changed_ms = clock_ms() + 1;
    assert_false(pg_age_is_young(w->c, st));
    w->pool->changed_ms = INT64_MIN;
    pg_age_doubt(w->c, st);
    assert_false(pg_age_is_young(w->c, st));
    assert_int_equal(st->described_ms, clock_ms() - 1001);
}

/* Steps of one transaction, of the calls from `from` on. */
static void send(struct world *w, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        w->calls[i].step.ends = i == from + count - 1;
        list_push_back(&w->c->steps, &w->calls[i].step.link);
    }
}

static int take(struct world *w)
{
    struct list out;
    int count = 0;
    (void)pg_group_take(w->c, &out);
    while (list_pop_front(&out))
        count++;
    return count;
}

static void a_statement_is_quick_that_took_ten_milliseconds_alone(void **state)
{
    static const struct {
        int64_t took_ms;
        int code;
        bool shared, was, is;
    } cases[] = {
        {0, 0, false, false, true},          {10, 0, false, false, true},
        {11, 0, false, true, false},         {10, ERR_BACKEND, false, true, false},
        {0, ERR_BACKEND, true, true, false}, {10, 0, true, false, false},
        {100, 0, true, true, true},          {101, 0, true, true, false},
        {100, 0, true, false, false},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w->st[0]->quick = w->st[1]->quick = cases[i].was;
        w->q[0].code = cases[i].code;
        send(w, 0, cases[i].shared ? 2 : 1);
        pg_group_begins(w->c);
        assert_ptr_equal(w->c->at, &w->calls[0].step);
        pass_ms(cases[i].took_ms);
        assert_int_equal(take(w), cases[i].shared ? 2 : 1);
        if (w->st[0]->quick != cases[i].is)
            fail_msg("case %zu", i);
        assert_null(w->c->at);
    }
    w->calls[0].q = NULL; /* given up: what it took says nothing */
    w->st[0]->quick = true;
    send(w, 0, 1);
    pg_group_begins(w->c);
    assert_int_equal(take(w), 1);
    assert_false(w->st[0]->quick);
}

/* The next transaction is measured from the end of the one before. */
static void a_transaction_begins_where_the_one_before_ends(void **state)
{
    struct world *w = *state;
    send(w, 0, 2);
    send(w, 2, 1);
    send(w, 3, 1);
    pg_group_begins(w->c);
    assert_true(pg_group_is_shared(w->c));
    pass_ms(50);
    w->c->group_failed = true;
    struct list out;
    assert_true(pg_group_take(w->c, &out));
    assert_false(w->c->group_failed);
    assert_ptr_equal(w->c->at, &w->calls[2].step);
    assert_int_equal(w->c->began_ms, clock_ms());
    assert_false(pg_group_is_shared(w->c));
    pass_ms(10);
    assert_false(pg_group_take(w->c, &out));
    assert_true(w->st[2]->quick);
    assert_ptr_equal(w->c->at, &w->calls[3].step);
    pass_ms(11);
    assert_false(pg_group_take(w->c, &out));
    assert_false(w->st[3]->quick);
}

static void who_shares_a_transaction(void **state)
{
    struct world *w = *state;
    struct pg_call *call = &w->calls[0];
    struct pg_stmt *st = w->st[0];
    st->quick = true;
    assert_false(pg_group_leaves_out(w->c, call, st));
    w->q[0].params.size = 1024;
    assert_false(pg_group_leaves_out(w->c, call, st));
    w->q[0].params.size = 1025;
    assert_true(pg_group_leaves_out(w->c, call, st));
    w->q[0].params.size = 0;
    bool *const reasons[] = {&call->alone, &st->alone, &w->c->full};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        *reasons[i] = true;
        assert_true(pg_group_leaves_out(w->c, call, st));
        *reasons[i] = false;
    }
    bool *const needs[] = {&call->shares, &st->quick};
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        *needs[i] = false;
        assert_true(pg_group_leaves_out(w->c, call, st));
        *needs[i] = true;
    }
    w->pool->group = 1;
    assert_true(pg_group_leaves_out(w->c, call, st));
    w->pool->group = 2;
    assert_false(pg_group_leaves_out(w->c, call, st));
}

/* One query that nobody wants is enough: the server is not to be held by it, and what shares
 * with it runs again. A later transaction is not looked at. */
static void a_transaction_is_given_up_with_any_of_it(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        send(w, 0, 2);
        send(w, 2, 1);
        w->calls[i].q = NULL;
        assert_int_equal(pg_group_given_up(w->c), i < 2);
        w->calls[i].q = &w->q[i];
        while (list_pop_front(&w->c->steps)) {
        }
    }
    send(w, 0, 2);
    w->calls[1].step.ends = false; /* more may come */
    assert_false(pg_group_given_up(w->c));
}

static void a_failure_of_a_group_is_counted_once(void **state)
{
    struct world *w = *state;
    pg_group_error(w->c, &w->calls[0]);
    pg_group_error(w->c, &w->calls[1]);
    assert_true(w->c->group_failed);
    assert_int_equal(w->pool->stats.groups_failed, 1);
    assert_true(w->st[0]->alone);
    assert_false(w->st[1]->alone);
    w->c->group_failed = false;
    w->calls[2].step.exposed = true; /* a cancel may have hit it */
    pg_group_error(w->c, &w->calls[2]);
    assert_false(w->st[2]->alone);
    assert_int_equal(w->pool->stats.groups_failed, 2);
}

/* Of a description most end by themselves: it is given a tenth of a second. */
static void a_description_that_nobody_waits_for_drains_after_a_moment(void **state)
{
    struct world *w = *state;
    struct pg_stmt *st = w->st[0];
    w->c->state = PG_READY;
    w->pool->connect_timeout_ms = 5000;
    assert_false(pg_cancel_drains(w->c)); /* nothing is in the air */
    st->step.kind = PG_STEP_DESCRIBE;
    list_push_back(&w->c->steps, &st->step.link);
    w->c->began_ms = clock_ms();
    assert_false(pg_cancel_drains(w->c));
    w->c->draining_ms = clock_ms();
    pass_ms(99);
    assert_false(pg_cancel_drains(w->c));
    pass_ms(1);
    assert_true(pg_cancel_drains(w->c));
    list_push_back(&st->waiting, &w->calls[1].step.link); /* somebody does, by now */
    assert_false(pg_cancel_drains(w->c));
    list_remove(&w->calls[1].step.link);
    list_remove(&st->step.link);
    w->c->draining_ms = 0;
}

/* What no client can give up has connect_timeout. */
static void the_drivers_own_has_connect_timeout(void **state)
{
    struct world *w = *state;
    w->pool->connect_timeout_ms = 300;
    w->c->state = PG_READY;
    send(w, 0, 1);
    w->c->began_ms = clock_ms();
    w->calls[0].own = true;
    pass_ms(299);
    assert_false(pg_cancel_drains(w->c));
    pass_ms(1);
    assert_true(pg_cancel_drains(w->c));
    w->calls[0].own = false; /* a client's has its client's time */
    assert_false(pg_cancel_drains(w->c));
    w->calls[0].q = NULL;
    assert_true(pg_cancel_drains(w->c));
    w->calls[0].step.kind = PG_STEP_CLOSE;
    w->c->began_ms = clock_ms();
    assert_false(pg_cancel_drains(w->c));
    pass_ms(300);
    assert_true(pg_cancel_drains(w->c));
}

static void a_connection_is_as_old_as_it_may_get_less_a_tenth_at_most(void **state)
{
    struct world *w = *state;
    int64_t least = INT64_MAX, most = 0;
    w->pool->connection_age_ms = 100;
    w->c->opened_ms = clock_ms() - 7;
    for (int i = 0; i < 500; i++) {
        pg_life_opened(w->pool, w->c);
        int64_t age = w->c->retire_ms - clock_ms();
        least = age < least ? age : least;
        most = age > most ? age : most;
    }
    assert_int_equal(least, 90);
    assert_int_equal(most, 100);
    assert_int_equal(w->pool->stats.connects, 500);
    log_taken_has("info  pg.connected backend=main server=0 pid=0 ms=7\n");
    w->pool->connection_age_ms = 9; /* too short to be spread */
    pg_life_opened(w->pool, w->c);
    assert_int_equal(w->c->retire_ms, clock_ms() + 9);
    w->pool->connection_age_ms = 0;
    pg_life_opened(w->pool, w->c);
    assert_true(w->c->retire_ms == INT64_MAX);
}

/* The first connection of a pool that had none finds another database, perhaps. */
static void types_are_asked_for_anew_where_no_other_is_open(void **state)
{
    const struct world *w = *state;
    struct pg_pool *p = calloc(1, sizeof *p + 2 * sizeof p->conns[0]);
    assert_non_null(p);
    p->name = (char *)"main";
    p->conn_count = 2;
    p->types.count = 3;
    p->conns[0].state = p->conns[1].state = PG_READY;
    pg_life_opened(p, &p->conns[0]);
    assert_int_equal(p->types.count, 3);
    p->conns[1].state = PG_CONNECTING;
    pg_life_opened(p, &p->conns[0]);
    assert_int_equal(p->types.count, 0);
    assert_int_equal(p->types.generation, 1);
    assert_int_equal(p->stats.connects, 2);
    assert_int_equal(w->pool->stats.connects, 0);
    free(p);
}

static void lose(struct world *w, bool was_open)
{
    struct err why;
    err_set(&why, ERR_BACKEND_DOWN, "it \"went\"");
    pg_life_lost(w->pool, w->c, was_open, &why);
}

/* From 1 ms to twice as much each time, and a cap; drawn evenly. */
static void the_waits_are_drawn_from_one_to_twice_the_last_bound(void **state)
{
    static const int64_t most[] = {3, 6, 10, 10};
    struct world *w = *state;
    w->pool->reconnect_base_ms = 3;
    w->pool->reconnect_cap_ms = 10;
    for (uint32_t failures = 0; failures < 4; failures++) {
        bool seen[12] = {false};
        for (int i = 0; i < 300; i++) {
            w->pool->failures = failures;
            lose(w, false);
            assert_int_equal(w->pool->failures, failures + 1);
            seen[w->pool->retry_ms - clock_ms()] = true;
        }
        for (int64_t ms = 0; ms < 12; ms++)
            if (seen[ms] != (ms >= 1 && ms <= most[failures]))
                fail_msg("after %u failures: %d ms", failures, (int)ms);
    }
    assert_string_equal(w->pool->down.text, "it \"went\"");
    assert_int_equal(w->pool->stats.disconnects, 0);
}

static void what_becomes_of_a_connection_is_logged(void **state)
{
    struct world *w = *state;
    w->pool->reconnect_base_ms = w->pool->reconnect_cap_ms = 1; /* the wait is 1 ms */
    w->c->retire_ms = INT64_MAX;
    lose(w, false);
    log_taken_has(" backend=main reason=\"it \\\"went\\\"\" retry_ms=1\n");
    lose(w, true);
    log_taken_has("warn  pg.disconnected backend=main reason=\"it \\\"went\\\"\" retry_ms=1\n");
    assert_int_equal(w->pool->failures, 2);
    pass_ms(5);
    w->c->proven = true;
    lose(w, true);
    log_taken_has("warn  pg.disconnected backend=main reason=\"it \\\"went\\\"\" retry_ms=0\n");
    assert_int_equal(w->pool->failures, 2);
    w->c->retire_ms = clock_ms() + 1;
    lose(w, true);
    assert_int_equal(w->pool->stats.retired, 0);
    pass_ms(1);
    lose(w, true);
    assert_int_equal(w->pool->stats.retired, 1);
    log_taken_has("debug pg.retired backend=main reason=\"it \\\"went\\\"\"\n");
    w->c->grown = true;
    lose(w, true);
    assert_int_equal(w->pool->stats.grown, 1);
    log_taken_has("info  pg.grown backend=main reason=\"it \\\"went\\\"\"\n");
    assert_int_equal(w->pool->stats.disconnects, 5);
    lose(w, false); /* it was not open: it is no end for its age, nor for its size */
    assert_int_equal(w->pool->stats.grown, 1);
    assert_int_equal(w->pool->stats.retired, 1);
    assert_int_equal(w->pool->failures, 3);
}

#define TIMED(name) cmocka_unit_test_setup_teardown(name, make, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMED(a_description_holds_for_its_age_and_is_due_at_half_of_it),
        TIMED(a_statement_is_quick_that_took_ten_milliseconds_alone),
        TIMED(a_transaction_begins_where_the_one_before_ends),
        TIMED(who_shares_a_transaction),
        TIMED(a_transaction_is_given_up_with_any_of_it),
        TIMED(a_failure_of_a_group_is_counted_once),
        TIMED(a_description_that_nobody_waits_for_drains_after_a_moment),
        TIMED(the_drivers_own_has_connect_timeout),
        TIMED(a_connection_is_as_old_as_it_may_get_less_a_tenth_at_most),
        TIMED(types_are_asked_for_anew_where_no_other_is_open),
        TIMED(the_waits_are_drawn_from_one_to_twice_the_last_bound),
        TIMED(what_becomes_of_a_connection_is_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
