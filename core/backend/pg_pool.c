#include "backend/pg_pool.h"

#include "backend/pg_pure.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

#define HOLD_MS 250

/* ---- outcomes ---- */

void pg_pool_end(struct pg_pool *p, struct query *q, int code)
{
    q->code = code;
    q->err.code = code;
    q->driver = NULL;
    if (code != 0) {
        p->stats.failures++;
        q->found = false;
        buf_clear(&q->result);
    }
    list_push_back(&p->ended, &q->link);
    if (!ev_is_active(&p->deliver))
        ev_idle_start(p->loop, &p->deliver);
}

/* What ends while done runs is for the next turn, so that a query that fails at once and is asked
 * again at once does not keep the loop. */
void pg_pool_deliver(struct pg_pool *p)
{
    struct list batch, *link;
    list_init(&batch);
    list_splice(&batch, &p->ended);
    ev_idle_stop(p->loop, &p->deliver);
    backend_ref(&p->base);
    while ((link = list_pop_front(&batch)) != NULL) {
        struct query *q = container_of(link, struct query, link);
        q->done(q);
    }
    backend_unref(&p->base);
}

void pg_pool_turn(struct pg_pool *p)
{
    pg_pool_dispatch(p);
    pg_pool_deliver(p);
}

/* ---- the queue ---- */

/* Past its age. While no other can be opened an old connection is better than none. */
static bool is_old(const struct pg_pool *p, const struct pg_conn *c, int64_t now_ms)
{
    return now_ms >= c->retire_ms && now_ms >= p->retry_ms;
}

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
        if (c->state == PG_READY && has_room(p, c) && !is_old(p, c, now_ms) &&
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

static struct pg_call *pop_call(struct pg_pool *p)
{
    p->queued--;
    return container_of(list_pop_front(&p->queue), struct pg_call, step.link);
}

static void fail_queue(struct pg_pool *p)
{
    int64_t left = p->retry_ms - clock_ms();
    while (!list_empty(&p->queue)) {
        struct pg_call *call = pop_call(p);
        err_set(&call->q->err, ERR_BACKEND_DOWN, "backend \"%s\": %s", p->name, p->down.text);
        call->q->err.retry_after_ms = (int32_t)(left > 0 ? left : 0);
        pg_pool_end(p, call->q, ERR_BACKEND_DOWN);
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
        if (c->state == PG_READY && is_old(p, c, now_ms) && c->in_air == 0 &&
            list_empty(&c->steps) && !pg_cancel_drains(c)) {
            err_set(&why, ERR_BACKEND_DOWN, "%s",
                    c->grown ? "libpq's buffers have grown past max_result"
                             : "the connection is older than connection_age");
            pg_conn_close(c, &why);
        }
    }
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
        pg_send_call(c, pop_call(p));
        sent = true;
    }
    c = least_loaded(p);
    if (!list_empty(&p->queue) || (sent && (!c || c->in_air > 0)))
        open_another(p);
    if (!list_empty(&p->queue) && all_closed(p))
        fail_queue(p);
}

void pg_pool_again(struct pg_pool *p, struct pg_call *call)
{
    call->state = PG_CALL_QUEUED;
    call->conn = NULL;
    list_push_front(&p->queue, &call->step.link);
    p->queued++;
}

void pg_pool_await_types(struct pg_pool *p, struct pg_call *call)
{
    call->state = PG_CALL_QUEUED;
    call->conn = NULL;
    list_push_back(&p->types.waiting, &call->step.link);
    p->queued++;
}

/* NULL: there is no memory, and the query has ended. */
static struct pg_call *begin(struct pg_pool *p, struct query *q)
{
    query_reset(q, p->max_result);
    p->stats.queries++;
    struct pg_call *call = calloc(1, sizeof *call);
    if (!call) {
        pg_pool_end(p, q, err_set(&q->err, ERR_NOMEM, "no memory for a query"));
        return NULL;
    }
    call->q = q;
    q->driver = call;
    return call;
}

void pg_pool_ask(struct pg_pool *p, struct query *q)
{
    struct pg_call *call = begin(p, q);
    if (!call)
        return;
    pg_pool_again(p, call);
    pg_pool_dispatch(p);
}

void pg_pool_submit(struct backend *b, struct query *q)
{
    struct pg_pool *p = (struct pg_pool *)b;
    struct pg_call *call = begin(p, q);
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
    pg_pool_end(p, q,
                err_set(&q->err, ERR_OVERLOADED,
                        "backend \"%s\": %u queries wait already (max_queue)", p->name,
                        p->max_queue));
}

void pg_pool_cancel(struct backend *b, struct query *q)
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

/* ---- connections ---- */

static bool is_alone(const struct pg_pool *p, const struct pg_conn *c)
{
    for (unsigned i = 0; i < p->conn_count; i++)
        if (&p->conns[i] != c && p->conns[i].state == PG_READY)
            return false;
    return true;
}

void pg_pool_opened(struct pg_pool *p, struct pg_conn *c)
{
    int64_t age_ms = p->connection_age_ms; /* less a tenth at most: not all at once */
    int64_t less_ms = (int64_t)rng_below(&p->rng, (uint64_t)(age_ms > 0 ? age_ms / 10 : 0) + 1);
    c->retire_ms = age_ms > 0 ? clock_ms() + age_ms - less_ms : INT64_MAX;
    p->stats.connects++;
    if (is_alone(p, c)) /* else queries are in the air that were sent by what is known */
        pg_types_forget(&p->types);
    log_info("pg.connected", "backend=%s server=%d pid=%d ms=%lld", p->name, PQserverVersion(c->pg),
             PQbackendPID(c->pg), (long long)(clock_ms() - c->opened_ms));
}

static void back_off(struct pg_pool *p, const struct err *why)
{
    int64_t most = p->reconnect_base_ms > 0 ? p->reconnect_base_ms : 1;
    for (uint32_t i = 0; i < p->failures && most < p->reconnect_cap_ms; i++)
        most *= 2;
    if (most > p->reconnect_cap_ms)
        most = p->reconnect_cap_ms;
    p->failures++;
    p->retry_ms = clock_ms() + 1 + (int64_t)rng_below(&p->rng, (uint64_t)(most > 0 ? most : 0));
    p->down = *why;
}

void pg_pool_lost(struct pg_pool *p, struct pg_conn *c, bool was_open, const struct err *why)
{
    if (was_open)
        p->stats.disconnects++;
    if (why->code == ERR_SHUTDOWN)
        return;
    if (was_open && c->grown) {
        p->stats.grown++;
        log_info("pg.grown", "backend=%s reason=%s", p->name, log_q(why->text));
        return;
    }
    if (was_open && clock_ms() >= c->retire_ms) {
        p->stats.retired++;
        log_debug("pg.retired", "backend=%s reason=%s", p->name, log_q(why->text));
        return;
    }
    if (!was_open || !c->proven)
        back_off(p, why);
    int64_t left = p->retry_ms - clock_ms();
    log_warn(was_open ? "pg.disconnected" : "pg.connect_failed",
             "backend=%s reason=%s retry_ms=%lld", p->name, log_q(why->text),
             (long long)(left > 0 ? left : 0));
}

void pg_pool_unprepare(struct pg_pool *p, const PGresult *res)
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
