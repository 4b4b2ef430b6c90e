/* Connections of one pool take over from each other what the catalog said of a statement, where
 * their sessions are alike: by a clock of the test's own and without a database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_print.h"
#include "backend/postgres/pg_pure.h"
#include "backend/postgres/pg_share.h"
#include "backend/sql.h"
#include "clock_mine.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define AGE_MS 10000
#define CONNS  3

struct world {
    struct pg_pool *pool;
    struct pg_stmt *st[CONNS]; /* of one text, on each connection */
};

static void describe(struct pg_stmt *st, Oid param, Oid column)
{
    pg_desc_fini(&st->desc);
    st->desc.param_types = calloc(1, sizeof(Oid));
    st->desc.column_types = calloc(1, sizeof(Oid));
    assert_non_null(st->desc.param_types);
    assert_non_null(st->desc.column_types);
    st->desc.params = st->desc.columns = 1;
    st->desc.param_types[0] = param;
    st->desc.column_types[0] = column;
    st->pure.runs = 8;
}

static int make(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct pg_pool *p = calloc(1, sizeof *p + CONNS * sizeof p->conns[0]);
    struct err e;
    if (!w || !p)
        return -1;
    p->name = (char *)"main";
    p->conn_count = CONNS;
    p->prepared = true;
    p->changed_ms = INT64_MIN;
    p->statement_age_ms = AGE_MS;
    p->max_result = 1024;
    w->pool = p;
    clock_now_us += 2000000;
    for (int i = 0; i < CONNS; i++) {
        struct pg_conn *c = &p->conns[i];
        c->pool = p;
        c->state = PG_READY;
        c->print_ms = PG_PRINT_NEVER;
        if (pg_stmt_init(&c->stmts, 8) != 0 ||
            pg_stmt_add(&c->stmts, slice_str("SELECT a FROM t WHERE b = $1"), &w->st[i], &e) != 0)
            return -1;
        describe(w->st[i], 23, 25);
    }
    *state = w;
    return 0;
}

static int take_down(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < CONNS; i++)
        pg_stmt_fini(&w->pool->conns[i].stmts);
    free(w->pool);
    free(w);
    return 0;
}

static void pass_ms(int64_t ms)
{
    clock_now_us += 1000 * ms;
}

enum asked { NOTHING, PRINT, CATALOG };

/* What is asked on the connection, which *call is for. */
static enum asked ask(struct world *w, int i, struct pg_call **call)
{
    *call = pg_pure_ask(&w->pool->conns[i], w->st[i]);
    if (!*call)
        return NOTHING;
    return w->st[i]->pure.asking ? CATALOG : PRINT;
}

/* The answer of a process, by whose session names mean what print says; NULL: it has none. */
static void answer(struct pg_call *call, enum asked what, const char *process, const char *print,
                   const char *reason)
{
    struct call *q = call->q;
    q->found = true;
    assert_int_equal(mpw_array(&q->result, what == CATALOG ? 3 : 2), 0);
    assert_int_equal(mpw_cstr(&q->result, process), 0);
    assert_int_equal(print ? mpw_cstr(&q->result, print) : mpw_nil(&q->result), 0);
    if (what == CATALOG)
        assert_int_equal(reason ? mpw_cstr(&q->result, reason) : mpw_nil(&q->result), 0);
    q->done(q);
    free(call);
}

static void answer_error(struct pg_call *call)
{
    call->q->code = err_set(&call->q->err, ERR_BACKEND, "it went");
    call->q->done(call->q);
    free(call);
}

/* Asks on the connection, which has to be asked so, and answers. No process has libpq's number 0.
 */
static void asks(struct world *w, int i, enum asked what, const char *print)
{
    struct pg_call *call;
    w->st[i]->pure.runs = 8;
    assert_int_equal(ask(w, i, &call), what);
    if (call)
        answer(call, what, "0", print, NULL);
}

static void an_equal_session_takes_an_answer_over(void **state)
{
    struct world *w = *state;
    asks(w, 0, CATALOG, "public");
    asks(w, 1, PRINT, "public");
    assert_false(w->st[1]->plain);
    asks(w, 1, NOTHING, NULL);
    assert_true(w->st[1]->plain);
    assert_int_equal(w->st[1]->pure.state, PG_PURE_YES);
    assert_int_equal(w->st[1]->pure.runs, 0);
}

static void an_unlike_session_asks_for_itself(void **state)
{
    struct world *w = *state;
    asks(w, 0, CATALOG, "public");
    asks(w, 1, PRINT, "other");
    asks(w, 1, CATALOG, "other");
    asks(w, 2, PRINT, NULL); /* it has temporary objects */
    asks(w, 2, CATALOG, NULL);
}

static void what_a_session_without_a_print_was_told_is_its_own(void **state)
{
    struct world *w = *state;
    asks(w, 0, CATALOG, NULL);
    asks(w, 1, CATALOG, NULL);
}

static void a_question_in_the_air_is_waited_for(void **state)
{
    struct world *w = *state;
    struct pg_call *first, *second;
    assert_int_equal(ask(w, 0, &first), CATALOG);
    assert_int_equal(ask(w, 1, &second), PRINT);
    asks(w, 1, NOTHING, NULL); /* its own question for the print is in the air */
    answer(second, PRINT, "0", "public", NULL);
    asks(w, 1, NOTHING, NULL);
    assert_int_equal(w->st[1]->pure.state, PG_PURE_UNKNOWN);
    answer(first, CATALOG, "0", "public", NULL);
    asks(w, 1, NOTHING, NULL);
    assert_true(w->st[1]->plain);
}

static void but_not_for_long(void **state)
{
    struct world *w = *state;
    struct pg_call *first;
    assert_int_equal(ask(w, 0, &first), CATALOG);
    asks(w, 1, PRINT, "public");
    pass_ms(249);
    asks(w, 1, NOTHING, NULL);
    pass_ms(1);
    asks(w, 1, CATALOG, "public");
    answer_error(first);
}

static void who_waits_to_be_told_asks_at_once(void **state)
{
    struct world *w = *state;
    struct call types = {.verb = SQL_VALUE, .shape = CALL_TYPES};
    struct pg_call *first, of_types = {.q = &types}, *call;
    asks(w, 2, CATALOG, "public");
    assert_int_equal(ask(w, 0, &first), PRINT);
    call = pg_pure_want(&w->pool->conns[1], &of_types, w->st[1]);
    assert_non_null(call);
    assert_true(w->st[1]->pure.asking);
    answer(call, CATALOG, "0", "public", NULL);
    answer(first, PRINT, "0", "public", NULL);
    assert_null(pg_pure_want(&w->pool->conns[0], &of_types, w->st[0])); /* it is known */
    assert_true(w->st[0]->plain);
}

static void what_is_taken_over_is_as_old_as_it_was(void **state)
{
    struct world *w = *state;
    int64_t asked_ms = clock_ms();
    asks(w, 0, CATALOG, "public");
    pass_ms(1000);
    asks(w, 1, PRINT, "public");
    asks(w, 1, NOTHING, NULL);
    assert_int_equal(w->st[1]->pure.asked_ms, asked_ms);
    pass_ms(AGE_MS / 2 - 1000 - 1);
    asks(w, 2, PRINT, "public");
    pass_ms(1);
    asks(w, 2, CATALOG, "public"); /* the others' is too old */
    asked_ms = clock_ms() - AGE_MS / 2 + 1000;
    assert_int_equal(w->pool->conns[1].print_ms, asked_ms);
    pass_ms(AGE_MS / 2 - 1001);
    asks(w, 1, PRINT, "public"); /* its own print is */
    asks(w, 1, NOTHING, NULL);
    pass_ms(AGE_MS / 2);
    pg_pure_run(&w->pool->conns[1], w->st[1]);
    assert_true(w->st[1]->plain);
    pass_ms(1001);
    pg_pure_run(&w->pool->conns[1], w->st[1]);
    assert_false(w->st[1]->plain);
}

static void nor_younger_than_the_print_of_who_takes_it(void **state)
{
    struct world *w = *state;
    int64_t print_ms = clock_ms();
    pg_print_take(&w->pool->conns[1], (struct pg_print){1, 2}, print_ms);
    pass_ms(100);
    asks(w, 0, CATALOG, "public");
    w->st[0]->pure.print = (struct pg_print){1, 2};
    asks(w, 1, NOTHING, NULL);
    assert_true(w->st[1]->plain);
    assert_int_equal(w->st[1]->pure.asked_ms, print_ms);
}

static void a_change_that_was_seen_ends_answers_and_prints(void **state)
{
    struct world *w = *state;
    asks(w, 0, CATALOG, "public");
    asks(w, 1, PRINT, "public");
    pass_ms(1);
    w->pool->changed_ms = clock_ms();
    asks(w, 1, CATALOG, "public");
    asks(w, 2, PRINT, "public");
}

static void other_types_are_another_question(void **state)
{
    struct world *w = *state;
    asks(w, 0, CATALOG, "public");
    describe(w->st[1], 20, 25);
    asks(w, 1, CATALOG, "public");
    describe(w->st[2], 23, 1043);
    asks(w, 2, CATALOG, "public");
    w->st[0]->generation++; /* its types are others now; its answer is about those before */
    describe(w->st[0], 21, 25);
    describe(w->st[1], 21, 25);
    w->st[1]->generation++;
    asks(w, 1, CATALOG, "public");
}

static void a_reason_is_taken_over_and_an_error_is_not(void **state)
{
    struct world *w = *state;
    struct pg_call *call;
    assert_int_equal(ask(w, 0, &call), CATALOG);
    answer_error(call);
    assert_int_equal(w->st[0]->pure.state, PG_PURE_NO);
    assert_int_equal(ask(w, 1, &call), CATALOG);
    answer(call, CATALOG, "0", "public", "t is a view");
    asks(w, 2, PRINT, "public");
    asks(w, 2, NOTHING, NULL);
    assert_int_equal(w->st[2]->pure.state, PG_PURE_NO);
    assert_false(w->st[2]->plain);
}

/* A question that is sent once more may have gone to another connection. */
static void an_answer_of_another_process_tells_nothing_of_this_session(void **state)
{
    struct world *w = *state;
    struct pg_call *call;
    assert_int_equal(ask(w, 0, &call), CATALOG);
    answer(call, CATALOG, "7", "public", NULL);
    assert_true(w->st[0]->plain);
    assert_int_equal(ask(w, 1, &call), CATALOG);
    answer(call, CATALOG, "0", "public", NULL);
    assert_int_equal(ask(w, 2, &call), PRINT);
    answer(call, PRINT, "7", "public", NULL);
    asks(w, 2, CATALOG, "public");
}

static void a_print_that_cannot_be_had_is_not_asked_for_again_and_again(void **state)
{
    struct world *w = *state;
    struct pg_call *call;
    asks(w, 0, CATALOG, "public");
    assert_int_equal(ask(w, 1, &call), PRINT);
    answer_error(call);
    asks(w, 1, CATALOG, "public");
}

static void behind_a_pooler_nothing_is_taken_over(void **state)
{
    struct world *w = *state;
    w->pool->prepared = false;
    for (int i = 0; i < CONNS; i++)
        w->st[i]->pure.awaited = true;
    asks(w, 0, CATALOG, "public");
    asks(w, 1, CATALOG, "public");
}

static void a_connection_that_is_not_open_knows_nothing(void **state)
{
    struct world *w = *state;
    asks(w, 0, CATALOG, "public");
    w->pool->conns[0].state = PG_CLOSED;
    asks(w, 1, CATALOG, "public");
}

#define TIMED(name) cmocka_unit_test_setup_teardown(name, make, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMED(an_equal_session_takes_an_answer_over),
        TIMED(an_unlike_session_asks_for_itself),
        TIMED(what_a_session_without_a_print_was_told_is_its_own),
        TIMED(a_question_in_the_air_is_waited_for),
        TIMED(but_not_for_long),
        TIMED(who_waits_to_be_told_asks_at_once),
        TIMED(what_is_taken_over_is_as_old_as_it_was),
        TIMED(nor_younger_than_the_print_of_who_takes_it),
        TIMED(a_change_that_was_seen_ends_answers_and_prints),
        TIMED(other_types_are_another_question),
        TIMED(a_reason_is_taken_over_and_an_error_is_not),
        TIMED(an_answer_of_another_process_tells_nothing_of_this_session),
        TIMED(a_print_that_cannot_be_had_is_not_asked_for_again_and_again),
        TIMED(behind_a_pooler_nothing_is_taken_over),
        TIMED(a_connection_that_is_not_open_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
