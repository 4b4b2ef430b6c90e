#include "backend/postgres/pg_pool.h"

#include "backend/postgres/pg_call.h"
#include "backend/postgres/pg_cancel.h"
#include "backend/postgres/pg_conn.h"
#include "backend/postgres/pg_life.h"
#include "backend/postgres/pg_link.h"
#include "backend/postgres/pg_pure.h"
#include "backend/postgres/pg_queue.h"
#include "backend/postgres/pg_send.h"
#include "base/clock.h"

#include <stdlib.h>

#define HOLD_MS 250

void pg_pool_turn(struct pg_pool *p)
{
    pg_pool_dispatch(p);
    pg_queue_deliver(p);
}

/* ---- the queue ---- */

/* A pooler gives a session away after each sync. One that is told so while part of the next unit
 * has come already (PgBouncer 1.18, in transaction and statement mode) sends the rest to another's
 * session. So where sessions may be shared, a connection has one unit in the air. */
static bool has_room(const struct pg_pool *p, const struct pg_conn *c)
{
    return p->prepared ? c->in_air < p->pipeline : c->in_air == 0 && list_empty(&c->steps);
}

static struct pg_conn *least_loaded(struct pg_pool *p)
{
    struct pg_conn *best = NULL;
    int64_t now_ms = clock_ms();
    for (unsigned i = 0; i < p->conn_count; i++) {
        struct pg_conn *c = &p->conns[i];
        if (c->state == PG_READY && has_room(p, c) && !pg_life_is_over(p, c, now_ms) &&
            !pg_cancel_drains(c) && (!best || c->in_air < best->in_air))
            best = c;
    }
    return best;
}

static void open_another(struct pg_pool *p)
{
    struct pg_conn *closed = NULL;
    for (unsigned i = 0; i < p->conn_count; i++) {
        enum pg_state state = p->conns[i].state;
        if (state != PG_CLOSED && state != PG_READY)
            return; /* one at a time */
        if (state == PG_CLOSED && !closed)
            closed = &p->conns[i];
    }
    if (closed && clock_ms() >= p->retry_ms)
        pg_conn_open(closed);
}

static bool all_closed(const struct pg_pool *p)
{
    for (unsigned i = 0; i < p->conn_count; i++)
        if (p->conns[i].state != PG_CLOSED)
            return false;
    return true;
}

static void fail_queue(struct pg_pool *p)
{
    int64_t left = p->retry_ms - clock_ms();
    while (!list_empty(&p->queue)) {
        struct pg_call *call = pg_queue_pop(p);
        err_set(&call->q->err, ERR_BACKEND_DOWN, "backend \"%s\": %s", p->name, p->down.text);
        call->q->err.retry_after_ms = (int32_t)(left > 0 ? left : 0);
        pg_queue_end(p, call->q, ERR_BACKEND_DOWN);
        free(call);
    }
}

/* Whether a connection will be there in a moment: its end, good or bad, dispatches again. */
static bool opens_soon(const struct pg_pool *p)
{
    int64_t since_ms = clock_ms() - HOLD_MS;
    for (unsigned i = 0; i < p->conn_count; i++) {
        const struct pg_conn *c = &p->conns[i];
        if (c->state != PG_CLOSED && c->state != PG_READY && c->opened_ms >= since_ms)
            return true;
    }
    return false;
}

/* Settings of a role or a database (search_path) are those of the time when a session began; and
 * libpq gives nothing back of what a connection has grown by. */
static void retire_old(struct pg_pool *p)
{
    struct err why;
    int64_t now_ms = clock_ms();
    for (unsigned i = 0; i < p->conn_count; i++) {
        struct pg_conn *c = &p->conns[i];
        if (c->state == PG_READY && pg_life_is_over(p, c, now_ms) && c->in_air == 0 &&
            list_empty(&c->steps) && !pg_cancel_drains(c)) {
            err_set(&why, ERR_BACKEND_DOWN, "%s",
                    c->grown ? "libpq's buffers have grown past max_result"
                             : "the connection is older than connection_age");
            pg_link_close(c, &why);
        }
    }
}

/* What waits may go to a connection that may not be opened yet: nothing else tells of that time. */
static void look_again(struct pg_pool *p)
{
    int64_t left_ms = p->retry_ms - clock_ms();
    if (left_ms <= 0 || ev_is_active(&p->retry))
        return;
    ev_now_update(p->loop);
    ev_timer_set(&p->retry, (double)left_ms / 1000, 0.);
    ev_timer_start(p->loop, &p->retry);
}

/* A query that may be slow holds up what stands behind it in its pipeline. So one connection is
 * kept idle as long as the pool has any, and a query waits for one that is just being opened. */
void pg_pool_dispatch(struct pg_pool *p)
{
    bool sent = false;
    struct pg_conn *c;
    retire_old(p);
    while (!list_empty(&p->queue) && (c = least_loaded(p)) != NULL) {
        if (c->in_air > 0) {
            open_another(p);
            if (opens_soon(p))
                break;
        }
        pg_send_call(c, pg_queue_pop(p));
        sent = true;
    }
    c = least_loaded(p);
    if (!list_empty(&p->queue) || (sent && (!c || c->in_air > 0)))
        open_another(p);
    if (!list_empty(&p->queue) && all_closed(p))
        fail_queue(p);
    if (!list_empty(&p->queue))
        look_again(p);
}

void pg_pool_submit(struct backend *b, struct call *q)
{
    struct pg_pool *p = (struct pg_pool *)b;
    struct pg_call *call = pg_call_new(p, q);
    if (!call)
        return;
    list_push_back(&p->queue, &call->step.link);
    p->queued++;
    pg_pool_dispatch(p);
    bool waits = q->driver && call->state == PG_CALL_QUEUED; /* without driver call is gone */
    if (!waits || p->queued <= p->max_queue)
        return;
    /* No place for the last one, which is this. */
    list_remove(&call->step.link);
    p->queued--;
    free(call);
    pg_queue_end(p, q,
                 err_set(&q->err, ERR_OVERLOADED,
                         "backend \"%s\": %u queries wait already (max_queue)", p->name,
                         p->max_queue));
}

void pg_pool_cancel(struct backend *b, struct call *q)
{
    struct pg_pool *p = (struct pg_pool *)b;
    struct pg_call *call = q->driver;
    p->stats.cancels++;
    buf_fini(&q->result);
    q->driver = NULL;
    if (!call) { /* ended, done is owed */
        list_remove(&q->link);
    } else if (call->state == PG_CALL_SENT) {
        call->q = NULL;
        pg_cancel_settle(call->conn);
    } else {
        struct pg_conn *c = call->conn;
        list_remove(&call->step.link);
        if (call->state == PG_CALL_QUEUED) {
            p->queued--;
        } else {
            c->in_air--;
            pg_cancel_settle(c);
        }
        if (call->stmt)
            pg_stmt_unref(call->stmt);
        free(call);
    }
}

void pg_pool_read_stats(const struct backend *b, struct backend_stats *out)
{
    const struct pg_pool *p = (const struct pg_pool *)b;
    *out = p->stats;
    out->queued = p->queued;
    for (unsigned i = 0; i < p->conn_count; i++) {
        const struct pg_conn *c = &p->conns[i];
        out->in_flight += c->in_air;
        out->connections += c->state == PG_READY;
        out->idle += c->state == PG_READY && c->in_air == 0;
        pg_pure_count(c, out);
    }
}
