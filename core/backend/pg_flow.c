/*
 * pg_flow: what is sent on an open connection, and what comes back, step by step.
 */
#include "backend/pg_conn.h"
#include "backend/pg_error.h"
#include "backend/pg_pool.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* PQgetResult gives one NULL between results; more mean that nothing is there. */
#define NULLS_IN_A_ROW 3

/* A statement whose last answer had no more is expected to have few rows again, and may take so
 * much memory of libpq. */
#define FEW_ROWS  1000
#define FEW_BYTES (64U << 10)
#define WHOLE_MAX (1U << 20)

/* ---- sending ---- */

static void append_step(struct pg_conn *c, struct pg_step *step, enum pg_step_kind kind)
{
    step->kind = kind;
    step->ends = false;
    step->exposed = pg_signal_active(&c->cancel);
    list_push_back(&c->steps, &step->link);
    if (!c->at)
        pg_group_begins(c);
}

/* Ends the step that was appended last. May close the connection. */
static bool sync_step(struct pg_conn *c, bool sent)
{
    if (sent) {
        c->grouped = 1;
        return pg_group_end(c);
    }
    pg_conn_broken(c, "cannot send");
    return false;
}

/* A step's reference to st is taken. */
static bool send_prepare(struct pg_conn *c, struct pg_stmt *st)
{
    bool sent = pg_group_sync(c);
    append_step(c, &st->step, PG_STEP_PREPARE);
    sent = sent && PQsendPrepare(c->pg, st->name, st->sql, 0, NULL) &&
           PQsendDescribePrepared(c->pg, st->name);
    return sync_step(c, sent);
}

/* st is out of the cache; the cache's reference becomes the step's. */
static bool send_close(struct pg_conn *c, struct pg_stmt *st)
{
    char sql[48];
    snprintf(sql, sizeof sql, "DEALLOCATE %s", st->name);
    bool sent = pg_group_sync(c);
    append_step(c, &st->step, PG_STEP_CLOSE);
    return sync_step(c, sent && PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0));
}

static void evict(struct pg_conn *c)
{
    struct pg_stmt *st;
    while (c->pg && (st = pg_stmt_evictable(&c->stmts)) != NULL) {
        pg_stmt_take(&c->stmts, st);
        if (!send_close(c, st))
            return;
    }
}

/* The call is in no list any more. Its query's err stands where code is not 0. */
static void finish(struct pg_call *call, int code)
{
    struct pg_conn *c = call->conn;
    c->in_air--;
    if (call->stmt)
        pg_stmt_unref(call->stmt);
    if (call->q)
        pg_pool_end(c->pool, call->q, code);
    free(call);
}

static struct pg_call *call_at(const struct pg_conn *c)
{
    return c->at && c->at->kind == PG_STEP_RUN ? container_of(c->at, struct pg_call, step) : NULL;
}

/* How rows come is to be said when the query becomes the one whose results are read: one by one,
 * for which libpq makes an object of each, or all at once where they are few. Who says that no
 * SELECT may run twice (group = 1) has them one by one. */
static void begin_step(struct pg_conn *c)
{
    struct pg_call *call = call_at(c);
    c->whole = call && call->stmt->few && !call->stmt->many && !call->many && c->pool->group > 1 &&
               memory_is_counted();
    c->taken = 0;
    if (call && !c->whole)
        (void)PQsetSingleRowMode(c->pg);
}

/* Whether nothing can be taken now. Rows that turn out to be many while libpq collects them are
 * cancelled, and the query runs again, for one row after the other. */
static bool is_busy(struct pg_conn *c)
{
    uint64_t before = memory_allocated();
    bool busy = PQisBusy(c->pg);
    struct pg_call *call = c->whole ? call_at(c) : NULL;
    if (!call)
        return busy;
    c->taken += memory_allocated() - before;
    if (busy && c->taken > WHOLE_MAX) {
        call->stmt->many = call->many = true;
        pg_cancel_now(c);
    }
    return busy;
}

static int check_shape(const struct pg_stmt *st, struct query *q)
{
    if (!st->repeated || (q->shape != QUERY_ROW && q->shape != QUERY_ROWS))
        return 0;
    return err_set(&q->err, ERR_BAD_REQUEST,
                   "two columns are named \"%.*s\": give one of them another name (AS)",
                   SLICE_ARG(pg_stmt_column(st, st->repeated - 1)));
}

static void send_run(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    struct pg_params *p = &c->pool->params;
    struct query *q = call->q;
    if (q->shape == QUERY_TYPES) {
        finish(call, pg_row_types(q, st));
        return;
    }
    if (pg_types_miss(c->pool, st->param_types, st->params) ||
        pg_types_miss(c->pool, st->column_types, st->columns)) {
        c->in_air--;
        pg_pool_await_types(c->pool, call);
        return;
    }
    int rc = check_shape(st, q);
    if (rc == 0)
        rc = pg_param_bind(p, q->params, st->param_types, st->params, &q->err);
    if (rc != 0) {
        finish(call, rc);
        return;
    }
    bool alone = pg_group_leaves_out(c, call, st);
    bool sent = !alone || pg_group_sync(c);
    bool first = list_empty(&c->steps);
    call->state = PG_CALL_SENT;
    q->fate = QUERY_SENT;
    call->stmt = st;
    call->rows = (struct pg_rows){.types = &c->pool->types};
    st->refs++;
    append_step(c, &call->step, PG_STEP_RUN);
    sent = sent &&
           PQsendQueryPrepared(c->pg, st->name, st->params, p->values, p->lengths, p->formats, 0);
    if (sent && first)
        begin_step(c);
    if (alone || !sent)
        sync_step(c, sent);
    else
        pg_group_add(c, call);
}

void pg_flow_take(struct pg_conn *c, struct pg_call *call)
{
    struct query *q = call->q;
    struct pg_stmt *st = pg_stmt_find(&c->stmts, q->sql);
    bool is_new = !st;
    call->conn = c;
    c->in_air++;
    if (is_new) {
        int rc = pg_stmt_add(&c->stmts, q->sql, &st, &q->err);
        if (rc != 0) {
            finish(call, rc);
            return;
        }
        st->refs++;
    }
    call->fresh = !st->ready;
    if (st->ready) {
        send_run(c, call, st);
        return;
    }
    call->state = PG_CALL_WAITING;
    list_push_back(&st->waiting, &call->step.link);
    if (is_new && send_prepare(c, st))
        evict(c);
}

/* ---- reading: a statement's preparation ---- */

static void prepare_result(struct pg_stmt *st, const PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
        st->described = st->prepared;
        if (st->described && st->err.code == 0)
            (void)!pg_stmt_describe(st, res, &st->err);
        st->prepared = true;
        break;
    case PGRES_PIPELINE_ABORTED: break;
    default:
        pg_error_of_result(res, &st->err);
        st->hit = pg_error_is_cancel(res) && st->step.exposed;
    }
}

static void fail_waiting(struct pg_stmt *st, const struct err *why)
{
    struct list *link;
    while ((link = list_pop_front(&st->waiting)) != NULL) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        call->q->err = *why;
        finish(call, why->code);
    }
}

static void give_back(struct pg_conn *c, struct pg_call *call)
{
    c->in_air--;
    pg_pool_again(c->pool, call);
}

static void prepare_ended(struct pg_conn *c, struct pg_stmt *st)
{
    if (st->hit && !st->retried && !list_empty(&st->waiting)) {
        pg_stmt_rename(&c->stmts, st);
        st->retried = true;
        send_prepare(c, st);
        return;
    }
    if (st->err.code == 0 && !st->described)
        err_set(&st->err, ERR_INTERNAL, "the statement was not described");
    if (st->err.code != 0) {
        pg_stmt_take(&c->stmts, st);
        fail_waiting(st, &st->err);
        pg_stmt_unref(st); /* the cache's */
    } else {
        struct list waiting, *link;
        st->ready = true;
        list_init(&waiting);
        list_splice(&waiting, &st->waiting);
        while (c->pg && (link = list_pop_front(&waiting)) != NULL)
            send_run(c, container_of(link, struct pg_call, step.link), st);
        /* Closed meanwhile: these had not been sent. */
        while ((link = list_pop_front(&waiting)) != NULL)
            give_back(c, container_of(link, struct pg_call, step.link));
    }
    pg_stmt_unref(st); /* the step's */
    if (c->pg)
        evict(c);
}

/* ---- reading: a query ---- */

static unsigned redo_for(const struct pg_call *call, const PGresult *res)
{
    if (pg_error_is_cancel(res) && call->step.exposed)
        return (call->many ? PG_REDO_MANY : PG_REDO_CANCEL) & ~call->redone;
    /* One that was prepared for this very call knows no better the second time. */
    if (pg_error_is_stale_plan(res) && !call->fresh)
        return PG_REDO_PLAN & ~call->redone;
    return 0;
}

static void run_result(struct pg_conn *c, struct pg_call *call, const PGresult *res)
{
    struct query *q = call->q;
    ExecStatusType status = PQresultStatus(res);
    if (!q || q->code != 0) /* the first error is the cause */
        return;
    if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        int rc = pg_row_add(&call->rows, q, call->stmt, res);
        if (rc == 0 && status != PGRES_SINGLE_TUPLE) {
            rc = pg_row_finish(&call->rows, q, call->stmt, res);
            call->stmt->few =
                call->stmt->reads && call->rows.count <= FEW_ROWS && q->result.size <= FEW_BYTES;
        }
        if (rc != 0 && !call->stmt->reads) { /* but whether it took place is of interest */
            q->code = rc;
        } else if (rc != 0) { /* nobody wants the rest */
            call->q = NULL;
            pg_pool_end(c->pool, q, rc);
            pg_cancel_settle(c);
        }
        return;
    }
    if (status == PGRES_EMPTY_QUERY) {
        q->fate = QUERY_UNDONE;
        q->code = err_set(&q->err, ERR_BAD_REQUEST, "the SQL is empty");
        return;
    }
    call->redo = redo_for(call, res);
    q->fate = pg_error_fate(res);
    q->code = pg_error_of_result(res, &q->err);
}

static void run_again(struct pg_conn *c, struct pg_call *call)
{
    struct pg_stmt *st = call->stmt;
    struct query *q = call->q;
    bool forget = call->redo == PG_REDO_PLAN && !list_empty(&st->lru) && st->ready;
    c->pool->stats.reruns += call->redo == PG_REDO_MANY;
    call->redone |= call->redo;
    call->redo = 0;
    call->stmt = NULL;
    buf_fini(&q->result);
    query_reset(q, c->pool->max_result);
    q->driver = call;
    give_back(c, call);
    if (forget) {
        pg_stmt_take(&c->stmts, st);
        send_close(c, st);
    }
    pg_stmt_unref(st);
}

static void run_ended(struct pg_conn *c, struct pg_call *call, bool group_failed)
{
    c->proven = true;
    c->pool->failures = 0;
    call->alone = call->alone || group_failed;
    if (call->q && (call->redo || group_failed)) {
        run_again(c, call);
        return;
    }
    if (call->q && call->q->fate == QUERY_SENT)
        call->q->fate = QUERY_DONE; /* the transaction has ended, and without an error */
    finish(call, call->q ? call->q->code : 0);
}

/* ---- reading ---- */

static void remember_last_words(struct pg_conn *c, const PGresult *res)
{
    struct err said;
    if (strncmp(pg_error_state(res), "57P0", 4) == 0 && pg_error_of_result(res, &said) != 0)
        snprintf(c->last_words, sizeof c->last_words, "%.255s", said.text);
}

static void take_result(struct pg_conn *c, const PGresult *res)
{
    struct pg_step *step = c->at;
    remember_last_words(c, res);
    if (step->kind == PG_STEP_PREPARE) {
        prepare_result(container_of(step, struct pg_stmt, step), res);
    } else if (step->kind == PG_STEP_RUN) {
        struct pg_call *call = container_of(step, struct pg_call, step);
        if (!c->group_failed) /* else it was not run, or the connection ends */
            run_result(c, call, res);
        if (PQresultStatus(res) == PGRES_FATAL_ERROR && pg_group_is_shared(c))
            pg_group_error(c, call);
        if (PQresultStatus(res) != PGRES_SINGLE_TUPLE && !step->ends)
            c->at = pg_group_next(step);
    }
}

/* The sync of the oldest transaction has come. */
static void end_steps(struct pg_conn *c)
{
    struct list ended, *link;
    bool failed = pg_group_take(c, &ended);
    begin_step(c);
    while ((link = list_pop_front(&ended)) != NULL) {
        struct pg_step *step = container_of(link, struct pg_step, link);
        struct pg_stmt *st = container_of(step, struct pg_stmt, step);
        switch (step->kind) {
        case PG_STEP_RUN: run_ended(c, container_of(step, struct pg_call, step), failed); break;
        case PG_STEP_PREPARE: prepare_ended(c, st); break;
        case PG_STEP_CLOSE: pg_stmt_unref(st); break;
        }
    }
    if (c->pg)
        pg_cancel_step_began(c);
}

void pg_flow_read(struct pg_conn *c)
{
    unsigned nulls = 0;
    while (c->pg && nulls < NULLS_IN_A_ROW && !list_empty(&c->steps) && !is_busy(c)) {
        PGresult *res = PQgetResult(c->pg);
        nulls = res ? 0 : nulls + 1;
        if (!res)
            begin_step(c); /* the next one's in the same transaction */
        else if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
            end_steps(c);
        else
            take_result(c, res);
        PQclear(res);
    }
    if (!c->pg)
        return;
    if (list_empty(&c->steps) && PQisBusy(c->pg) == 0 && PQstatus(c->pg) == CONNECTION_OK &&
        (PQtransactionStatus(c->pg) == PQTRANS_INTRANS ||
         PQtransactionStatus(c->pg) == PQTRANS_INERROR)) {
        struct err why;
        err_set(&why, ERR_BACKEND_DOWN, "a query left a transaction open");
        pg_conn_close(c, &why);
    } else if (PQstatus(c->pg) == CONNECTION_BAD) {
        pg_conn_broken(c, "the connection broke");
    }
}

void pg_flow_fail(struct pg_conn *c, const struct err *why)
{
    struct list *link;
    c->at = NULL;
    c->grouped = 0;
    c->grouped_bytes = 0;
    c->full = false;
    c->group_failed = false;
    while ((link = list_pop_front(&c->steps)) != NULL) {
        struct pg_step *step = container_of(link, struct pg_step, link);
        struct pg_call *call = container_of(step, struct pg_call, step);
        struct pg_stmt *st = container_of(step, struct pg_stmt, step);
        switch (step->kind) {
        case PG_STEP_RUN:
            if (call->q && call->q->code == 0)
                call->q->err = *why;
            finish(call, call->q ? call->q->err.code : 0);
            break;
        case PG_STEP_PREPARE:
            fail_waiting(st, why);
            pg_stmt_unref(st);
            break;
        case PG_STEP_CLOSE: pg_stmt_unref(st); break;
        }
    }
}
