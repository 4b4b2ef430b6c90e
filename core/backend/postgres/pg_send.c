/*
 * pg_send: what is sent on an open connection, step by step.
 *
 *   Parse "", Describe, Sync                       a description
 *   [Parse NAME,] Bind NAME, Execute, Sync         what reads by parameters of exact types
 *   Parse "", Bind "", Execute, Sync               all else, and everything with prepared = false
 *   DEALLOCATE NAME, Sync                          a name that is not used any more
 *
 * Each is one unit, which a pooler gives to one session. In the third, parameters that are sent as
 * text have no type there: the server finds it anew each time. Those in binary form must have the
 * type that they were written for.
 */
#include "backend/postgres/pg_send.h"

#include "backend/postgres/pg_age.h"
#include "backend/postgres/pg_call.h"
#include "backend/postgres/pg_cancel.h"
#include "backend/postgres/pg_group.h"
#include "backend/postgres/pg_link.h"
#include "backend/postgres/pg_pure.h"
#include "backend/postgres/pg_size.h"
#include "backend/postgres/pg_whole.h"
#include "backend/sql.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

static void append_step(struct pg_conn *c, struct pg_step *step, enum pg_step_kind kind)
{
    step->kind = kind;
    step->results = 0;
    step->ends = false;
    step->exposed = pg_signal_active(&c->cancel);
    step->seq = ++c->sent;
    list_push_back(&c->steps, &step->link);
    if (!c->at) {
        pg_group_begins(c);
        pg_cancel_bound(c);
    }
}

/* Ends the step that was appended last. May close the connection. */
static bool sync_step(struct pg_conn *c, bool sent)
{
    if (sent) {
        c->grouped = 1;
        return pg_group_end(c);
    }
    pg_link_broken(c, "cannot send");
    return false;
}

bool pg_send_describe(struct pg_conn *c, struct pg_stmt *st)
{
    bool sent = pg_group_sync(c);
    st->refs++; /* the step's */
    st->describing = true;
    st->answers = 0;
    st->hit = st->changed = false;
    err_clear(&st->err);
    st->asked_ms = clock_ms();
    c->pool->stats.descriptions++;
    append_step(c, &st->step, PG_STEP_DESCRIBE);
    sent = sent && PQsendPrepare(c->pg, "", st->sql, 0, NULL) && PQsendDescribePrepared(c->pg, "");
    return sync_step(c, sent);
}

void pg_send_close(struct pg_conn *c, struct pg_stmt *st)
{
    char sql[16 + sizeof st->name];
    bool named = st->serial != 0 && c->pool->prepared;
    st->serial = 0;
    struct pg_step *step = named ? calloc(1, sizeof *step) : NULL;
    if (!step)
        return; /* without memory the name stays as long as the connection */
    snprintf(sql, sizeof sql, "DEALLOCATE %s", st->name);
    bool sent = pg_group_sync(c);
    step->known = st->parsed;
    append_step(c, step, PG_STEP_CLOSE);
    (void)sync_step(c, sent && PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0));
}

void pg_send_evict(struct pg_conn *c)
{
    struct pg_stmt *st;
    while (c->pg && (st = pg_stmt_evictable(&c->stmts)) != NULL) {
        pg_stmt_take(&c->stmts, st);
        pg_send_close(c, st);
        pg_stmt_unref(st);
    }
}

/* One that was dropped from the cache would leave its name behind. */
static bool has_name(const struct pg_conn *c, const struct pg_call *call, const struct pg_stmt *st)
{
    return c->pool->prepared && st->nameable && st->desc.exact && !call->unnamed &&
           !list_empty(&st->lru);
}

static bool put_query(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    struct pg_params *p = &c->pool->params;
    int count = st->desc.params;
    if (!call->serial)
        return PQsendQueryParams(c->pg, st->sql, count, p->types, p->values, p->lengths, p->formats,
                                 0) != 0;
    if (call->parses && !PQsendPrepare(c->pg, st->name, st->sql, count, st->desc.param_types))
        return false;
    return PQsendQueryPrepared(c->pg, st->name, count, p->values, p->lengths, p->formats, 0) != 0;
}

static bool send_query(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    uint64_t before = memory_allocated();
    bool sent = put_query(c, call, st);
    pg_size_note(c, memory_allocated() - before);
    return sent;
}

static void name_call(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    bool named = has_name(c, call, st);
    call->parses = named && st->serial == 0;
    if (call->parses)
        pg_stmt_rename(st, c->pool->seed, ++c->pool->names);
    call->serial = named ? st->serial : 0;
}

/* Values of types that the catalog was not asked for yet can be neither written nor read. */
static bool lacks_types(const struct pg_conn *c, const struct pg_stmt *st)
{
    const struct pg_desc *d = &st->desc;
    return pg_types_miss(c->pool, d->param_types, d->params) ||
           pg_types_miss(c->pool, d->column_types, d->columns);
}

/* Sends the driver's own question, unless that is NULL. May close. */
static void send_question(struct pg_conn *c, struct pg_call *question)
{
    if (question)
        pg_send_call(c, question);
}

void pg_send_run(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    struct pg_params *p = &c->pool->params;
    struct call *q = call->q;
    if (q->shape == CALL_TYPES) {
        send_question(c, pg_pure_want(c, call, st));
        pg_pure_tell(call, st);
        return;
    }
    if (lacks_types(c, st)) {
        pg_call_await_types(call);
        return;
    }
    int rc = pg_row_check_shape(q, &st->desc);
    if (rc == 0)
        rc = pg_param_bind(p, q->params, st->desc.param_types, st->desc.params, &q->err);
    if (rc != 0) {
        pg_call_finish(call, rc);
        return;
    }
    pg_pure_run(c, st);
    call->shares = c->pool->prepared && (st->plain || sql_is_batch(q->verb));
    bool alone = pg_group_leaves_out(c, call, st);
    bool sent = !alone || pg_group_sync(c);
    bool first = list_empty(&c->steps);
    if (!call->stmt) {
        call->stmt = st;
        st->refs++;
    }
    call->state = PG_CALL_SENT;
    q->fate = CALL_SENT;
    call->rows = (struct pg_rows){.types = &c->pool->types};
    call->generation = st->generation;
    name_call(c, call, st);
    append_step(c, &call->step, PG_STEP_RUN);
    sent = sent && send_query(c, call, st);
    if (sent && first)
        pg_whole_begin(c);
    if (alone || !sent)
        (void)sync_step(c, sent);
    else
        pg_group_add(c, call);
}

static void await_description(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    call->state = PG_CALL_WAITING;
    list_push_back(&st->waiting, &call->step.link);
    if (!st->describing && pg_send_describe(c, st))
        pg_send_evict(c);
}

void pg_send_call(struct pg_conn *c, struct pg_call *call)
{
    struct call *q = call->q;
    /* By the text that it asks for many keys; and the driver's own need not be. */
    bool judged = sql_is_batch(q->verb) || call->own;
    struct pg_stmt *st = pg_stmt_find(&c->stmts, q->text);
    call->conn = c;
    c->in_air++;
    if (!st) {
        int rc = pg_stmt_add(&c->stmts, q->text, &st, &q->err);
        if (rc != 0) {
            pg_call_finish(call, rc);
            return;
        }
    }
    if (!pg_age_is_young(c, st)) {
        await_description(c, call, st);
        return;
    }
    pg_send_run(c, call, st);
    if (!c->pg || !c->pool->prepared) /* one unit is in the air already */
        return;
    if (pg_age_is_due(c, st))
        (void)!pg_send_describe(c, st);
    if (c->pg && !judged)
        send_question(c, pg_pure_ask(c, st));
}
