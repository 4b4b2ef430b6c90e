/*
 * pg_group: SELECTs of one turn of the loop that read plain tables (pg_pure), sent in one
 * transaction.
 *
 *   SELECT  SELECT  SELECT  sync        one flush, one transaction, one answer of the server
 *
 * A transaction, its flush and its wake-up cost the server and this process more than a row that is
 * found by its key. A group ends with the turn, when it is full, or before anything that is not a
 * SELECT. What its queries answer is told when the server has committed: so where one of them
 * fails, nothing of any has happened, and each runs again alone, the one that failed too. That
 * one's statement stays alone on this connection. And a quick one waits for a slow one that it
 * shares with: so a statement goes alone until it was seen to be quick, and again after a group
 * that was slow.
 *
 * Under READ COMMITTED each statement has a snapshot of its own. Under stricter isolation they
 * share the first one's: so libpq must hold a group back until its last query is in it, and what
 * it holds stays below the 64 KiB from which on it sends by itself.
 */
#include "backend/postgres/pg_group.h"

#include "backend/postgres/pg_link.h"
#include "backend/postgres/pg_step.h"
#include "base/clock.h"

#define QUICK_MS 10
#define SLOW_MS  100
/* Of one query, and of a group before its last, as MessagePack: up to 14 times as much in the
 * protocol, beside 70 bytes a query. */
#define PARAMS_MAX 1024

bool pg_group_sync(struct pg_conn *c)
{
    if (c->grouped == 0)
        return true;
    c->pool->stats.groups += c->grouped > 1;
    c->grouped = 0;
    c->grouped_bytes = 0;
    container_of(c->steps.prev, struct pg_step, link)->ends = true;
    return PQpipelineSync(c->pg) != 0;
}

bool pg_group_end(struct pg_conn *c)
{
    if (c->grouped == 0)
        return true;
    if (pg_group_sync(c))
        pg_link_flush(c);
    else
        pg_link_broken(c, "cannot send");
    return c->pg != NULL;
}

bool pg_group_leaves_out(const struct pg_conn *c, const struct pg_call *call,
                         const struct pg_stmt *st)
{
    return c->pool->group == 1 || !call->shares || call->alone || st->alone || !st->quick ||
           c->full || call->q->params.size > PARAMS_MAX;
}

void pg_group_add(struct pg_conn *c, const struct pg_call *call)
{
    c->grouped++;
    c->grouped_bytes += call->q->params.size;
    if (c->grouped == c->pool->group || c->grouped_bytes > PARAMS_MAX)
        pg_group_end(c);
}

bool pg_group_is_shared(const struct pg_conn *c)
{
    return !pg_step_oldest(c)->ends;
}

void pg_group_error(struct pg_conn *c, struct pg_call *call)
{
    if (c->group_failed)
        return;
    c->group_failed = true;
    c->pool->stats.groups_failed++;
    if (!call->step.exposed)
        call->stmt->alone = true;
}

void pg_group_begins(struct pg_conn *c)
{
    c->at = pg_step_oldest(c);
    c->began_ms = clock_ms();
}

static void learn(struct pg_step *step, bool shared, int64_t took_ms)
{
    struct pg_call *call = container_of(step, struct pg_call, step);
    bool answered = call->q && call->q->code == 0; /* a cancel makes any statement short */
    if (!answered || took_ms > SLOW_MS)
        call->stmt->quick = false;
    else if (!shared)
        call->stmt->quick = took_ms <= QUICK_MS;
}

bool pg_group_take(struct pg_conn *c, struct list *out)
{
    bool last, failed = c->group_failed, shared = pg_group_is_shared(c);
    int64_t took_ms = clock_ms() - c->began_ms;
    list_init(out);
    do {
        struct pg_step *step = pg_step_oldest(c);
        last = step->ends;
        if (step->kind == PG_STEP_RUN)
            learn(step, shared, took_ms);
        list_remove(&step->link);
        list_push_back(out, &step->link);
    } while (!last);
    c->at = NULL;
    if (!list_empty(&c->steps))
        pg_group_begins(c);
    c->group_failed = false;
    return failed;
}

bool pg_group_given_up(const struct pg_conn *c)
{
    const struct pg_step *step = pg_step_oldest(c);
    while (container_of(step, struct pg_call, step)->q) {
        if (step->ends || step->link.next == &c->steps)
            return false;
        step = pg_step_next(step);
    }
    return true;
}
