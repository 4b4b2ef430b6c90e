/* When the database is asked whether a statement may share, what its answer makes of it, and how
 * long that holds, by a clock of the test's own and without a database. How much libpq may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_pure.h"
#include "backend/postgres/pg_size.h"
#include "backend/postgres/pg_whole.h"
#include "clock_mine.h"
#include "log_taken.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define AGE_MS 1001

struct world {
    struct pg_pool *pool;
    struct pg_conn *c;
    struct pg_stmt *st;
};

static int make(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct pg_pool *p = calloc(1, sizeof *p + sizeof p->conns[0]);
    struct err e;
    if (!w || !p)
        return -1;
    p->name = (char *)"main";
    p->conn_count = 1;
    p->prepared = true;
    p->changed_ms = INT64_MIN;
    p->statement_age_ms = AGE_MS;
    w->pool = p;
    w->c = &p->conns[0];
    w->c->pool = p;
    clock_now_us += 2000000; /* a second of its own for the lines of the log */
    log_taken_begin(LOG_DEBUG);
    *state = w;
    return pg_stmt_init(&w->c->stmts, 8) == 0 &&
                   pg_stmt_add(&w->c->stmts, slice_str("SELECT a FROM t"), &w->st, &e) == 0
               ? 0
               : -1;
}

static int take_down(void **state)
{
    struct world *w = *state;
    log_taken_end();
    pg_stmt_fini(&w->c->stmts);
    free(w->pool);
    free(w);
    return 0;
}

static void pass_ms(int64_t ms)
{
    clock_now_us += 1000 * ms;
}

/* Whether it is asked. The answer is a code, or a reason; NULL: there is none against it. */
static bool asks(struct world *w, int code, const char *reason)
{
    struct pg_call *call = pg_pure_ask(w->c, w->st);
    if (!call)
        return false;
    struct call *q = call->q;
    assert_true(call->own);
    assert_ptr_equal(q->driver, call);
    assert_int_equal(q->shape, CALL_VALUE);
    assert_true(w->st->pure.asking);
    assert_int_equal(w->st->pure.runs, 0);
    assert_null(pg_pure_ask(w->c, w->st)); /* once at a time */
    q->code = code;
    if (code != 0)
        err_set(&q->err, code, "it went");
    q->found = code == 0;
    assert_int_equal(mpw_array(&q->result, 3), 0);
    assert_int_equal(mpw_cstr(&q->result, "0"), 0); /* libpq's number of no process */
    assert_int_equal(mpw_nil(&q->result), 0);
    assert_int_equal(reason ? mpw_cstr(&q->result, reason) : mpw_nil(&q->result), 0);
    q->done(q);
    free(call);
    assert_false(w->st->pure.asking);
    return true;
}

static void it_is_asked_after_eight_runs(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 7; i++)
        pg_pure_run(w->c, w->st);
    assert_false(asks(w, 0, NULL));
    pg_pure_run(w->c, w->st);
    assert_true(asks(w, 0, NULL));
    assert_int_equal(w->st->pure.state, PG_PURE_YES);
    assert_int_equal(w->st->pure.asked_ms, clock_ms());
    assert_true(w->st->plain);
    log_taken_has("debug pg.shares backend=main sql=\"SELECT a FROM t\"\n");
}

static void it_is_not_asked_where_nobody_would_use_it(void **state)
{
    struct world *w = *state;
    w->st->pure.runs = 8;
    w->pool->prepared = false;
    assert_false(asks(w, 0, NULL));
    w->pool->prepared = true;
    w->st->alone = true;
    assert_false(asks(w, 0, NULL));
    w->st->alone = false;
    w->st->reads = false;
    assert_false(asks(w, 0, NULL));
    w->st->reads = true;
    pg_stmt_take(&w->c->stmts, w->st);
    assert_false(asks(w, 0, NULL)); /* it was dropped */
    list_push_back(&w->c->stmts.lru, &w->st->lru);
    w->pool->prepared = false;
    w->st->pure.awaited = true; /* somebody waits to be told */
    assert_true(asks(w, 0, NULL));
    list_remove(&w->st->lru);
    pg_stmt_unref(w->st);
}

static void what_is_known_is_asked_for_again_at_half_its_age(void **state)
{
    struct world *w = *state;
    w->st->pure.runs = 8;
    assert_true(asks(w, 0, NULL));
    w->st->pure.runs = 8;
    pass_ms(AGE_MS / 2 - 1);
    assert_false(asks(w, 0, NULL));
    pass_ms(1);
    assert_true(asks(w, 0, NULL));
    w->st->pure.runs = 8;
    w->st->generation++; /* it was described anew */
    assert_true(asks(w, 0, NULL));
    assert_int_equal(w->st->pure.generation, w->st->generation);
    w->st->pure.runs = 8;
    assert_false(asks(w, 0, NULL));
    w->pool->changed_ms = clock_ms() + 1;
    assert_true(asks(w, 0, NULL));
    assert_false(w->st->plain); /* it was asked before what has changed */
    w->pool->changed_ms = clock_ms();
    w->st->pure.runs = 8;
    assert_false(asks(w, 0, NULL));
}

static void what_was_shown_holds_for_its_age(void **state)
{
    struct world *w = *state;
    w->st->pure.runs = 8;
    assert_true(asks(w, 0, NULL));
    pass_ms(AGE_MS - 1);
    pg_pure_run(w->c, w->st);
    assert_true(w->st->plain);
    pass_ms(1);
    pg_pure_run(w->c, w->st);
    assert_false(w->st->plain);
    assert_int_equal(w->st->pure.state, PG_PURE_YES);
}

static void a_reason_or_an_error_keeps_it_alone(void **state)
{
    struct world *w = *state;
    w->st->pure.runs = 8;
    assert_true(asks(w, 0, "it reads a view"));
    assert_int_equal(w->st->pure.state, PG_PURE_NO);
    assert_false(w->st->plain);
    log_taken_has(
        "debug pg.alone backend=main reason=\"it reads a view\" sql=\"SELECT a FROM t\"\n");
    w->st->pure.runs = 8;
    pass_ms(AGE_MS);
    assert_true(asks(w, 0, NULL));
    assert_true(w->st->plain);
    w->st->pure.runs = 8;
    pass_ms(AGE_MS);
    assert_true(asks(w, ERR_BACKEND, NULL));
    assert_int_equal(w->st->pure.state, PG_PURE_NO);
    assert_false(w->st->plain);
    log_taken_has("debug pg.alone backend=main reason=\"it went\" sql=\"SELECT a FROM t\"\n");
    assert_int_equal(log_taken_count("pg.shares"), 1);
}

static void a_text_that_does_more_is_never_asked_about(void **state)
{
    struct world *w = *state;
    struct err e;
    struct pg_stmt *st;
    assert_int_equal(pg_stmt_add(&w->c->stmts, slice_str("SELECT now()"), &st, &e), 0);
    st->pure.runs = 8;
    assert_null(pg_pure_ask(w->c, st));
    assert_int_equal(st->pure.state, PG_PURE_NEVER);
    log_taken_has("debug pg.alone backend=main reason=\"it calls now()\" sql=\"SELECT now()\"\n");
    st->pure.runs = 8;
    pass_ms(10 * AGE_MS);
    assert_null(pg_pure_ask(w->c, st));
    assert_int_equal(log_taken_count("pg.alone"), 1);
}

static void those_that_share_are_counted_apart(void **state)
{
    struct world *w = *state;
    struct backend_stats stats = {0};
    struct err e;
    struct pg_stmt *st;
    assert_int_equal(pg_stmt_add(&w->c->stmts, slice_str("SELECT now()"), &st, &e), 0);
    pg_pure_count(w->c, &stats);
    assert_int_equal(stats.statements_shared + stats.statements_alone, 0); /* unknown yet */
    st->pure.state = PG_PURE_NEVER;
    w->st->pure.state = PG_PURE_YES;
    w->st->plain = true;
    pg_pure_count(w->c, &stats);
    assert_int_equal(stats.statements_shared, 1);
    assert_int_equal(stats.statements_alone, 1);
    w->pool->prepared = false; /* none shares there */
    stats = (struct backend_stats){0};
    pg_pure_count(w->c, &stats);
    assert_int_equal(stats.statements_shared, 0);
    assert_int_equal(stats.statements_alone, 2);
}

/* Four times max_result, a quarter of a mebibyte at least; half of it makes a connection old. */
static void what_libpq_takes_is_bound_by_max_result(void **state)
{
    static const struct {
        size_t max_result;
        uint64_t most;
    } cases[] = {{1, 262144}, {65536, 262144}, {65537, 262148}, {1048576, 4194304}};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w->pool->max_result = cases[i].max_result;
        assert_false(pg_size_is_too_much(w->c, cases[i].most));
        assert_true(pg_size_is_too_much(w->c, cases[i].most + 1));
        w->c->grown = false;
        w->c->retire_ms = INT64_MAX;
        pg_size_note(w->c, cases[i].most / 2);
        assert_false(w->c->grown);
        pg_size_note(w->c, cases[i].most / 2 + 1);
        assert_true(w->c->grown);
        assert_int_equal(w->c->retire_ms, clock_ms());
        w->c->retire_ms = 5; /* once is enough */
        pg_size_note(w->c, cases[i].most + 1);
        assert_int_equal(w->c->retire_ms, 5);
    }
    w->pool->max_result = 0; /* no bound */
    w->c->grown = false;
    pg_size_note(w->c, UINT64_MAX / 4);
    assert_false(w->c->grown);
    assert_false(pg_size_is_too_much(w->c, UINT64_MAX));
}

static void rows_that_come_all_at_once_may_take_a_mebibyte(void **state)
{
    struct world *w = *state;
    w->c->taken = 0;
    assert_false(pg_whole_is_past(w->c, 1000000));
    assert_false(pg_whole_is_past(w->c, 48576));
    assert_true(pg_whole_is_past(w->c, 1));
    assert_true(pg_whole_is_past(w->c, 0));
}

/* A statement has few rows by its last answer: so many, and so many bytes. */
static void few_rows_are_a_thousand_of_64_kib(void **state)
{
    static const struct {
        uint32_t count;
        size_t bytes;
        bool reads, few;
    } cases[] = {
        {1000, 65536, true, true},
        {1001, 1, true, false},
        {1, 65537, true, false},
        {1, 1, false, false},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call q = {.result = {.size = cases[i].bytes}};
        struct pg_call call = {.q = &q, .stmt = w->st, .rows = {.count = cases[i].count}};
        w->st->reads = cases[i].reads;
        pg_whole_learn(&call);
        assert_int_equal(w->st->few, cases[i].few);
    }
}

#define TIMED(name) cmocka_unit_test_setup_teardown(name, make, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMED(it_is_asked_after_eight_runs),
        TIMED(it_is_not_asked_where_nobody_would_use_it),
        TIMED(what_is_known_is_asked_for_again_at_half_its_age),
        TIMED(what_was_shown_holds_for_its_age),
        TIMED(a_reason_or_an_error_keeps_it_alone),
        TIMED(a_text_that_does_more_is_never_asked_about),
        TIMED(those_that_share_are_counted_apart),
        TIMED(what_libpq_takes_is_bound_by_max_result),
        TIMED(rows_that_come_all_at_once_may_take_a_mebibyte),
        TIMED(few_rows_are_a_thousand_of_64_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
