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
#include "backend/pg_error.h"
#include "backend/pg_pool.h"
#include "base/clock.h"

bool pg_describe_is_young(const struct pg_conn *c, const struct pg_stmt *st)
{
    const struct pg_pool *p = c->pool;
    return st->described && st->described_ms >= p->changed_ms &&
           clock_ms() - st->described_ms < p->statement_age_ms;
}

bool pg_describe_is_due(const struct pg_conn *c, const struct pg_stmt *st)
{
    return !st->describing && !list_empty(&st->lru) &&
           clock_ms() - st->described_ms >= c->pool->statement_age_ms / 2;
}

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

void pg_describe_fail(struct pg_stmt *st, const struct err *why)
{
    struct list *link;
    st->describing = false;
    while ((link = list_pop_front(&st->waiting)) != NULL) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        if (call->doubt == PG_DOUBT_TYPES) { /* it has an error of its own */
            pg_flow_finish(call, call->q->code);
        } else {
            call->q->err = *why;
            pg_flow_finish(call, why->code);
        }
    }
}

/* The call's error was told after st was described, or st has changed since it was sent. */
static void settle(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st)
{
    bool other = call->generation != st->generation;
    if (!other && (call->doubt != PG_DOUBT_PLAN || call->serial == 0)) {
        pg_flow_finish(call, call->q->code);
        return;
    }
    c->pool->stats.stale++;
    call->redone |= PG_REDO_STALE;
    pg_flow_renew(call);
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
        pg_flow_give_back(container_of(link, struct pg_call, step.link));
}

void pg_describe_hint(struct pg_pool *p, const struct pg_stmt *st, int64_t seen_ms)
{
    if (st->changed && st->described_ms >= p->changed_ms) /* else it was known to be old */
        p->changed_ms = seen_ms;
}

void pg_describe_doubt(const struct pg_conn *c, struct pg_stmt *st)
{
    st->described_ms = clock_ms() - c->pool->statement_age_ms;
}

static void take_over(struct pg_conn *c, struct pg_stmt *st)
{
    pg_describe_hint(c->pool, st, st->asked_ms);
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
    pg_describe_fail(st, &st->err);
    if (cached)
        pg_stmt_unref(st);
}

void pg_describe_ended(struct pg_conn *c, struct pg_stmt *st)
{
    st->describing = false;
    if (st->err.code == 0 && st->answers < 2)
        err_set(&st->err, ERR_INTERNAL, "the statement was not described");
    if (st->hit && !st->retried && !list_empty(&st->waiting)) {
        st->retried = true;
        (void)!pg_send_describe(c, st);
    } else if (st->err.code != 0) {
        give_up(c, st);
    } else {
        take_over(c, st);
    }
    pg_stmt_unref(st); /* the step's */
    if (c->pg)
        pg_send_evict(c);
}
