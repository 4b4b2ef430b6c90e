/*
 * pg_flow: what comes back on an open connection, step by step.
 *
 * Rows are read by what the server says of them, not by what was said when the statement was
 * described: a row is never taken for one of other columns. Of a write that is all that can be
 * done, for it is not sent again.
 */
#include "backend/postgres/pg_flow.h"

#include "backend/postgres/pg_age.h"
#include "backend/postgres/pg_call.h"
#include "backend/postgres/pg_cancel.h"
#include "backend/postgres/pg_describe.h"
#include "backend/postgres/pg_group.h"
#include "backend/postgres/pg_link.h"
#include "backend/postgres/pg_queue.h"
#include "backend/postgres/pg_size.h"
#include "backend/postgres/pg_step.h"
#include "backend/postgres/pg_whole.h"
#include "backend/sql.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PQgetResult gives one NULL between results; more mean that nothing is there. */
#define NULLS_IN_A_ROW 3

/* Whether nothing can be taken now. Rows that turn out to be many while libpq collects them are
 * cancelled, and the query runs again, for one row after the other. */
static bool is_busy(struct pg_conn *c)
{
    uint64_t before = memory_allocated();
    bool busy = PQisBusy(c->pg);
    uint64_t took = memory_allocated() - before;
    struct pg_call *call = pg_step_call(c);
    bool collects = c->whole && call && call->many; /* rows that nobody wants, till the cancel */
    if (!collects)
        pg_size_note(c, took);
    if (busy && !collects && pg_size_is_too_much(c, took)) {
        pg_size_refuse(c, call);
        return true;
    }
    if (!c->whole || !call)
        return busy;
    if (pg_whole_is_past(c, took) && busy) {
        call->stmt->many = call->many = true;
        pg_cancel_now(c);
    }
    return busy;
}

/* ---- a query ---- */

static unsigned redo_for(const struct pg_call *call, const PGresult *res)
{
    if (pg_error_is_cancel(res) && call->step.exposed && call->stmt->repeats)
        return call->many && !(call->redone & PG_REDO_MANY) ? PG_REDO_MANY : PG_REDO_CANCEL;
    if (call->serial != 0 && pg_error_is_lost(res))
        return PG_REDO_LOST & ~call->redone;
    return 0;
}

/* A session did not know its own statement: a pooler stands between. No names from now on. */
static void unprepare(struct pg_pool *p, const PGresult *res)
{
    struct err said;
    if (!p->prepared)
        return;
    p->prepared = false;
    p->stats.unprepared = 1;
    pg_error_of_result(res, false, &said);
    log_warn("pg.unprepared",
             "backend=%s reason=%s hint=\"sessions are shared by a pooler: no prepared statements "
             "from now on; prepared = false in the configuration says so from the start\"",
             p->name, log_q(said.text));
}

/* The server does not know a name that it has said it knows: it is not the same session. */
static void name_was_lost(struct pg_conn *c, const struct pg_call *call, const PGresult *res)
{
    struct pg_stmt *st = call->stmt;
    bool known = st->parsed && call->serial == st->serial;
    if (known || strcmp(pg_error_state(res), "26000") != 0)
        unprepare(c->pool, res);
    if (call->serial == st->serial)
        st->serial = 0;
}

static void take_error(struct pg_conn *c, struct pg_call *call, const PGresult *res)
{
    struct call *q = call->q;
    call->redo = redo_for(call, res);
    q->fate = pg_error_fate(res);
    if (q->fate == CALL_UNDONE)
        q->fate = sql_fate_undone(q->text);
    q->code = pg_error_of_result(res, c->pool->full_errors, &q->err);
    if (call->redo == PG_REDO_LOST)
        name_was_lost(c, call, res);
    else if (call->redo == 0 && call->stmt->repeats)
        call->doubt = pg_error_doubt(res);
    else if (call->redo == 0 && pg_error_doubt(res) != PG_SURE)
        pg_age_doubt(c, call->stmt); /* it may not run again, but the next one may */
}

/* The first rows of an answer: are they of the columns that are expected? */
static int check_columns(struct pg_conn *c, struct pg_call *call, const PGresult *res)
{
    struct pg_stmt *st = call->stmt;
    struct call *q = call->q;
    if (call->rows.begun || PQnfields(res) == 0)
        return 0;
    uint32_t before = st->generation;
    call->rows.begun = true;
    int rc = pg_stmt_adopt(st, res, &q->err);
    if (rc == 0 && st->generation != before) {
        pg_age_hint(c->pool, st, clock_ms());
        rc = pg_row_check_shape(q, &st->desc);
    }
    if (rc != 0 || st->generation == before || (call->redone & PG_REDO_TYPES) ||
        q->shape == CALL_COUNT ||
        pg_types_know(&c->pool->types, st->desc.column_types, st->desc.columns))
        return rc;
    if (st->nameable) /* the type is asked for before it runs again */
        call->redo = PG_REDO_TYPES;
    return err_set(&q->err, ERR_BACKEND,
                   "it ran, but its answer cannot be read: a column has another type than before");
}

static int take_rows(struct pg_conn *c, struct pg_call *call, const PGresult *res)
{
    struct call *q = call->q;
    struct pg_stmt *st = call->stmt;
    int rc = check_columns(c, call, res);
    if (rc == 0)
        rc = pg_row_add(&call->rows, q, &st->desc, res);
    if (rc == ERR_TOO_LARGE) /* where the allocator does not count */
        pg_size_note(c, PQresultMemorySize(res));
    if (rc != 0 || PQresultStatus(res) == PGRES_SINGLE_TUPLE)
        return rc;
    rc = pg_row_finish(&call->rows, q, &st->desc, res);
    pg_whole_learn(call);
    return rc;
}

static void run_result(struct pg_conn *c, struct pg_call *call, const PGresult *res)
{
    struct call *q = call->q;
    ExecStatusType status = PQresultStatus(res);
    if (!q || q->code != 0) /* the first error is the cause */
        return;
    if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        int rc = take_rows(c, call, res);
        if (rc != 0 && (call->redo || !call->stmt->reads)) { /* how it ends is of interest */
            q->code = rc;
        } else if (rc != 0) { /* nobody wants the rest */
            call->q = NULL;
            pg_queue_end(c->pool, q, rc);
            pg_cancel_settle(c);
        }
    } else if (status == PGRES_EMPTY_QUERY) {
        q->fate = sql_fate_undone(q->text);
        q->code = err_set(&q->err, ERR_BAD_REQUEST, "the SQL is empty");
    } else {
        take_error(c, call, res);
    }
}

/* The answer to the Parse that went before the query. True: the query's own comes next, as it
 * would without. */
static bool parse_result(struct pg_call *call, const PGresult *res)
{
    struct pg_stmt *st = call->stmt;
    bool parsed = PQresultStatus(res) == PGRES_COMMAND_OK;
    call->parses = false;
    if (call->serial == st->serial) {
        st->parsed = parsed;
        st->serial = parsed ? st->serial : 0;
    }
    return parsed;
}

static void run_again(struct pg_conn *c, struct pg_call *call)
{
    c->pool->stats.reruns += call->redo == PG_REDO_MANY;
    c->pool->stats.lost += call->redo == PG_REDO_LOST;
    call->unnamed = call->unnamed || call->redo == PG_REDO_LOST;
    call->redone |= call->redo;
    pg_call_give_back(call);
}

static void run_ended(struct pg_conn *c, struct pg_call *call, bool group_failed)
{
    c->proven = true;
    c->pool->failures = 0;
    call->alone = call->alone || group_failed;
    if (call->q && (call->redo || group_failed)) {
        run_again(c, call);
    } else if (call->q && call->doubt != PG_SURE && !(call->redone & PG_REDO_STALE)) {
        pg_describe_judge(c, call);
    } else {
        if (call->q && call->q->fate == CALL_SENT)
            call->q->fate = CALL_DONE; /* the transaction has ended, and without an error */
        pg_call_finish(call, call->q ? call->q->code : 0);
    }
}

static void remember_last_words(struct pg_conn *c, const PGresult *res)
{
    struct err said;
    if (strncmp(pg_error_state(res), "57P0", 4) == 0 && pg_error_of_result(res, false, &said) != 0)
        snprintf(c->last_words, sizeof c->last_words, "%.255s", said.text);
}

static void take_run_result(struct pg_conn *c, struct pg_call *call, const PGresult *res)
{
    bool parse = call->parses;
    if (parse && parse_result(call, res))
        return;
    if (!c->group_failed) /* else it was not run, or the connection ends */
        run_result(c, call, res);
    if (PQresultStatus(res) == PGRES_FATAL_ERROR && pg_group_is_shared(c))
        pg_group_error(c, call);
    if (parse || PQresultStatus(res) == PGRES_SINGLE_TUPLE)
        return;
    pg_step_count(&call->step);
    if (!call->step.ends)
        c->at = pg_step_next(&call->step);
}

/* From here on nothing that comes can be told whose it is. */
static void out_of_step(struct pg_conn *c)
{
    struct err why;
    err_set(&why, ERR_BACKEND_DOWN, "the server's answers do not fit what was asked");
    pg_link_close(c, &why);
}

static void take_result(struct pg_conn *c, const PGresult *res)
{
    struct pg_step *step = c->at;
    remember_last_words(c, res);
    bool more = pg_step_has_all(step);
    if (more && PQresultStatus(res) != PGRES_FATAL_ERROR) { /* one may come of the commit */
        out_of_step(c);
        return;
    }
    switch (step->kind) {
    case PG_STEP_DESCRIBE:
        pg_step_count(step);
        pg_describe_result(container_of(step, struct pg_stmt, step), res);
        break;
    case PG_STEP_RUN: take_run_result(c, container_of(step, struct pg_call, step), res); break;
    case PG_STEP_CLOSE:
        pg_step_count(step);
        if (step->known && pg_error_is_lost(res))
            unprepare(c->pool, res);
        break;
    }
}

/* The sync of the oldest transaction has come. */
static void end_steps(struct pg_conn *c)
{
    struct list ended, *link;
    if (!pg_step_answered(c)) {
        out_of_step(c);
        return;
    }
    bool failed = pg_group_take(c, &ended);
    if (c->at)
        pg_cancel_bound(c);
    pg_whole_begin(c);
    while ((link = list_pop_front(&ended)) != NULL) {
        struct pg_step *step = container_of(link, struct pg_step, link);
        switch (step->kind) {
        case PG_STEP_RUN: run_ended(c, container_of(step, struct pg_call, step), failed); break;
        case PG_STEP_DESCRIBE:
            pg_describe_ended(c, container_of(step, struct pg_stmt, step));
            break;
        case PG_STEP_CLOSE: free(step); break;
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
            pg_whole_begin(c); /* of the next query in this transaction */
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
        pg_link_close(c, &why);
    } else if (PQstatus(c->pg) == CONNECTION_BAD) {
        pg_link_broken(c, "the connection broke");
    }
}
