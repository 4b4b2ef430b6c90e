#include "backend/postgres/pg_pure.h"

#include "backend/postgres/pg_call.h"
#include "backend/postgres/pg_print.h"
#include "backend/postgres/pg_pure_catalog.h"
#include "backend/postgres/pg_share.h"
#include "backend/sql.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/mp.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNS_BETWEEN 8

/* One question to the database. */
struct question {
    struct call q;
    struct pg_stmt *st;   /* a reference */
    struct pg_conn *conn; /* its pool outlives it */
    struct buf sql, params;
    uint32_t generation; /* of the description that it is asked by */
    int64_t asked_ms;
};

static bool is_young(const struct pg_pool *p, const struct pg_stmt *st)
{
    return st->pure.asked_ms >= p->changed_ms &&
           clock_ms() - st->pure.asked_ms < p->statement_age_ms;
}

static void decide(struct pg_pool *p, struct pg_stmt *st, enum pg_pure_state state, const char *why)
{
    if (st->pure.state != state && state == PG_PURE_YES)
        log_debug("pg.shares", "backend=%s sql=%s", p->name, log_q(st->sql));
    else if (st->pure.state != state)
        log_debug("pg.alone", "backend=%s reason=%s sql=%s", p->name, log_q(why), log_q(st->sql));
    st->pure.state = state;
    st->plain = state == PG_PURE_YES && is_young(p, st); /* it may have grown old on its way */
}

void pg_pure_run(const struct pg_conn *c, struct pg_stmt *st)
{
    st->pure.runs++;
    if (st->pure.state == PG_PURE_YES)
        st->plain = st->plain && is_young(c->pool, st);
}

static bool is_due(const struct pg_conn *c, const struct pg_stmt *st)
{
    const struct pg_pool *p = c->pool;
    const struct pg_pure *pure = &st->pure;
    bool used = pure->awaited || (p->prepared && !st->alone);
    if (pure->state == PG_PURE_NEVER || pure->asking || pure->runs < RUNS_BETWEEN || !st->reads ||
        !used || list_empty(&st->lru))
        return false;
    return pure->state == PG_PURE_UNKNOWN || pure->generation != st->generation ||
           pure->asked_ms < p->changed_ms || clock_ms() - pure->asked_ms >= p->statement_age_ms / 2;
}

static void question_free(struct question *n)
{
    buf_fini(&n->q.result);
    buf_fini(&n->sql);
    buf_fini(&n->params);
    pg_stmt_unref(n->st);
    free(n);
}

static void tell(struct pg_call *call, const struct pg_stmt *st)
{
    pg_call_finish(call, pg_row_types(call->q, &st->desc, st->plain));
}

static void tell_all(struct pg_stmt *st)
{
    struct list *link;
    while ((link = list_pop_front(&st->pure.waiting)) != NULL)
        tell(container_of(link, struct pg_call, step.link), st);
}

/* The answer: of which session it is, and the reason against, or NULL. False: it is another one. */
static bool read_answer(const struct question *n, struct pg_print *print, struct mp_token *reason)
{
    const struct call *q = &n->q;
    struct mp_reader r = mp_reader_of(buf_slice(&q->result));
    struct mp_token all;
    return q->found && mp_next(&r, &all) == MP_OK && all.type == MP_ARRAY && all.count == 3 &&
           pg_print_read(n->conn, &r, print) && mp_next(&r, reason) == MP_OK &&
           (reason->type == MP_STR || reason->type == MP_NIL);
}

static void on_answer(struct call *q)
{
    struct question *n = container_of(q, struct question, q);
    struct pg_pool *p = n->conn->pool;
    struct pg_stmt *st = n->st;
    struct pg_print print;
    struct mp_token reason;
    char why[256];
    st->pure.asking = false;
    st->pure.asked_ms = n->asked_ms;
    st->pure.generation = n->generation;
    st->pure.print = (struct pg_print){0, 0};
    if (q->code != 0) {
        decide(p, st, PG_PURE_NO, q->err.text);
    } else if (!read_answer(n, &print, &reason)) {
        decide(p, st, PG_PURE_NO, "none is told");
    } else {
        st->pure.print = print;
        pg_print_take(n->conn, print, n->asked_ms);
        if (reason.type == MP_STR) {
            snprintf(why, sizeof why, "%.*s", SLICE_ARG(reason.bytes));
            decide(p, st, PG_PURE_NO, why);
        } else if (st->generation == n->generation) {
            decide(p, st, PG_PURE_YES, "");
        }
    }
    tell_all(st);
    question_free(n);
}

/* The call that asks it; NULL: there is no memory, and it is gone. */
static struct pg_call *call_of(struct pg_conn *c, struct question *n)
{
    struct pg_call *call = calloc(1, sizeof *call);
    if (!call) {
        question_free(n);
        return NULL;
    }
    call_reset(&n->q, c->pool->max_result);
    call->q = &n->q;
    call->own = true;
    n->q.driver = call;
    n->st->pure.asking = true;
    n->st->pure.sent_ms = n->asked_ms;
    return call;
}

/* NULL: there is no memory for it. */
static struct question *question_new(struct pg_conn *c, struct pg_stmt *st,
                                     const struct pg_pure_tree *t)
{
    const struct pg_desc *d = &st->desc;
    struct question *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    *n = (struct question){
        .st = st, .conn = c, .generation = st->generation, .asked_ms = clock_ms()};
    st->refs++;
    buf_init(&n->sql, 0);
    buf_init(&n->params, 0);
    if (pg_pure_catalog_beside(pg_print_columns(), &n->sql) != 0 ||
        pg_pure_catalog_pack(t, (struct pg_pure_types){d->column_types, d->columns},
                             (struct pg_pure_types){d->param_types, d->params}, &n->params) != 0) {
        question_free(n);
        return NULL;
    }
    n->q.text = buf_slice(&n->sql);
    n->q.params = buf_slice(&n->params);
    n->q.verb = SQL_VALUE;
    n->q.shape = CALL_VALUE;
    n->q.done = on_answer;
    return n;
}

/* The question to the catalog, now. */
static struct pg_call *ask(struct pg_conn *c, struct pg_stmt *st)
{
    struct pg_pure_tree t;
    struct err why;
    st->pure.runs = 0;
    int rc = pg_pure_tree_init(&t, st->sql, &why);
    struct question *n = rc == 0 ? question_new(c, st, &t) : NULL;
    pg_pure_tree_fini(&t);
    if (rc == ERR_BAD_REQUEST)
        decide(c->pool, st, PG_PURE_NEVER, why.text);
    return n ? call_of(c, n) : NULL;
}

/* Whether another connection's answer is the statement's now; share says what is known of it. */
static bool take_over(const struct pg_conn *c, struct pg_stmt *st, enum pg_share *share)
{
    struct pg_pure known;
    *share = pg_share_find(c, st, &known);
    if (*share != PG_SHARE_FOUND)
        return false;
    st->pure.runs = 0;
    st->pure.asked_ms = known.asked_ms;
    st->pure.print = known.print;
    st->pure.generation = st->generation;
    decide(c->pool, st, known.state, "another connection of an equal session was told why");
    return true;
}

/* Where it has to wait, it stays due: the next run comes here again. */
struct pg_call *pg_pure_ask(struct pg_conn *c, struct pg_stmt *st)
{
    enum pg_share share;
    if (!is_due(c, st) || take_over(c, st, &share) || share == PG_SHARE_AWAITED)
        return NULL;
    return share == PG_SHARE_UNKNOWN ? pg_print_ask(c) : ask(c, st);
}

/* A run that waits to be told: the question is due whenever its answer is too old. */
static void run_awaited(const struct pg_conn *c, struct pg_stmt *st)
{
    pg_pure_run(c, st);
    st->pure.runs += RUNS_BETWEEN;
}

struct pg_call *pg_pure_want(struct pg_conn *c, const struct pg_call *call, struct pg_stmt *st)
{
    if (sql_is_batch(call->q->verb))
        return NULL;
    st->pure.awaited = true;
    run_awaited(c, st);
    if (st->plain || (st->pure.state == PG_PURE_NO && is_young(c->pool, st)))
        return NULL;
    enum pg_share share; /* it waits for no other's answer, which may be of an unlike session */
    return is_due(c, st) && !take_over(c, st, &share) ? ask(c, st) : NULL;
}

bool pg_pure_is_told(const struct pg_conn *c, struct pg_stmt *st)
{
    const struct pg_pure *pure = &st->pure;
    if (!pure->awaited)
        return false;
    run_awaited(c, st);
    return !is_due(c, st) && (st->plain || pure->state == PG_PURE_NEVER ||
                              (pure->state == PG_PURE_NO && is_young(c->pool, st)));
}

void pg_pure_tell(struct pg_call *call, struct pg_stmt *st)
{
    struct pg_pure *pure = &st->pure;
    if (!pure->asking || st->plain) {
        tell(call, st);
        return;
    }
    call->state = PG_CALL_WAITING;
    list_push_back(&pure->waiting, &call->step.link);
}

void pg_pure_count(const struct pg_conn *c, struct backend_stats *out)
{
    list_for_each (it, &c->stmts.lru) {
        const struct pg_stmt *st = container_of(it, struct pg_stmt, lru);
        bool shares = st->plain && c->pool->prepared;
        out->statements_shared += shares;
        out->statements_alone += !shares && st->pure.state != PG_PURE_UNKNOWN;
    }
}
