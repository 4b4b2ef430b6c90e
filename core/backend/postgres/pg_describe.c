/*
 * pg_describe: descriptions of statements, made anew before they can mislead.
 *
 * What PostgreSQL said of a statement may be over: a column has another type, a view another body,
 * a name means another table. Three things keep it right.
 *
 *   age      no query is sent by a description that was asked for longer ago than `statement_age`.
 *            One that is used is made again at half of it, beside the queries; none waits for that.
 *   errors   one that may come of an old description is not told before a description that was made
 *            after it. If that differs, the query, which the error undid, runs again, once. One
 *            description judges all that failed before it.
 *   hints    where one that was not thought old has changed, all that were asked for before are
 *            old: a migration seldom comes alone.
 *
 * With a new description a statement gets a new name, too, so that what the server keeps under
 * the name is as young.
 */
#include "backend/postgres/pg_describe.h"

#include "backend/postgres/pg_age.h"
#include "backend/postgres/pg_air.h"
#include "backend/postgres/pg_call.h"
#include "backend/postgres/pg_send.h"
#include "base/clock.h"

void pg_describe_result(struct pg_stmt *st, const PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
        if (++st->answers == 2)
            (void)!pg_stmt_describe(st, res, &st->err);
        break;
    case PGRES_PIPELINE_ABORTED: break;
    default:
        pg_error_of_result(res, false, &st->err);
        st->hit = pg_error_is_cancel(res) && st->step.exposed;
    }
}

/* The call's error was told after st was described, or st has changed since it was sent. */
static void settle(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    bool other = call->generation != st->generation;
    if (!other && (call->doubt != PG_DOUBT_PLAN || call->serial == 0)) {
        pg_call_finish(call, call->q->code);
        return;
    }
    c->pool->stats.stale++;
    call->redone |= PG_REDO_STALE;
    pg_call_renew(call);
    pg_send_run(c, call, st);
}

void pg_describe_judge(struct pg_conn *c, struct pg_call *call)
{
    struct pg_stmt *st = call->stmt;
    if (call->generation != st->generation || st->described_seq > call->step.seq) {
        settle(c, call, st);
        return;
    }
    call->state = PG_CALL_WAITING;
    list_push_back(&st->waiting, &call->step.link);
    if (!st->describing)
        (void)!pg_send_describe(c, st);
}

/* Gives what waits its turn. A call that failed after st was described waits for the next. */
static void resume(struct pg_conn *c, struct pg_stmt *st)
{
    struct list waiting, *link;
    list_init(&waiting);
    list_splice(&waiting, &st->waiting);
    while (c->pg && (link = list_pop_front(&waiting)) != NULL) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        if (call->doubt == PG_SURE)
            pg_send_run(c, call, st);
        else if (call->generation == st->generation && call->step.seq > st->described_seq)
            list_push_back(&st->waiting, link);
        else
            settle(c, call, st);
    }
    if (c->pg && !list_empty(&st->waiting))
        (void)!pg_send_describe(c, st);
    if (!c->pg) /* closed meanwhile: these are not in the air */
        list_splice(&waiting, &st->waiting);
    while (!c->pg && (link = list_pop_front(&waiting)) != NULL)
        pg_call_give_back(container_of(link, struct pg_call, step.link));
}

static void take_over(struct pg_conn *c, struct pg_stmt *st)
{
    pg_age_hint(c->pool, st, st->asked_ms);
    st->described = true;
    st->retried = false;
    st->described_ms = st->asked_ms;
    st->described_seq = st->step.seq;
    pg_send_close(c, st);
    resume(c, st);
}

static void give_up(struct pg_conn *c, struct pg_stmt *st)
{
    bool cached = !list_empty(&st->lru);
    if (cached) {
        pg_stmt_take(&c->stmts, st);
        pg_send_close(c, st);
    }
    pg_air_fail_waiting(st, &st->err);
    if (cached)
        pg_stmt_unref(st);
}

/* A cancel may hit more than once: the server signals the process and then its group. A client has
 * a deadline and stands behind each attempt; the driver's own question has one more. */
static bool may_begin_again(const struct pg_stmt *st)
{
    return pg_air_has_client(st) || (!st->retried && !list_empty(&st->waiting));
}

void pg_describe_ended(struct pg_conn *c, struct pg_stmt *st)
{
    st->describing = false;
    if (st->err.code == 0 && st->answers < 2)
        err_set(&st->err, ERR_BACKEND, "the server did not describe the statement");
    if (st->hit && may_begin_again(st)) {
        st->retried = true;
        (void)!pg_send_describe(c, st);
    } else if (st->err.code != 0) {
        give_up(c, st);
    } else {
        take_over(c, st);
    }
    pg_stmt_unref(st); /* the step's */
    pg_send_evict(c);
}
