/*
 * pg_cancel: queries that were given up while in the air.
 *
 * The server knows a connection, not a query: a cancel stops whatever runs on it when it arrives.
 * So one is sent only for the oldest step, which is the one that runs; a query given up behind
 * others is cancelled when it becomes the oldest. A neighbour that was in the air while a cancel
 * was under way, and ends with 57014, was rolled back whole and runs once more (pg_flow). A
 * cancel may arrive before its query: it is repeated until the query ends. While that lasts the
 * connection takes nothing new; after connect_timeout of it, it is closed.
 *
 * What nobody can give up, because no client asked for it, has connect_timeout from when the server
 * could begin with it.
 *
 * A description may wait for a lock on a table. One that no query waits for any more is stopped in
 * the same way, though not at once: most end by themselves. So do most of the queries that share a
 * transaction (pg_group), where a cancel makes all the others run again.
 */
#include "backend/postgres/pg_cancel.h"

#include "backend/postgres/pg_air.h"
#include "backend/postgres/pg_group.h"
#include "backend/postgres/pg_link.h"
#include "base/clock.h"
#include "base/log.h"

#define WAIT_FIRST_S 0.1
#define WAIT_LAST_S  1.0

static const struct pg_step *oldest_step(const struct pg_conn *c)
{
    return list_empty(&c->steps) ? NULL : container_of(c->steps.next, struct pg_step, link);
}

/* Whether the oldest step is one without a client's deadline: the driver's own question, a
 * description for such alone, or the end of a statement. */
static bool is_endless(const struct pg_conn *c)
{
    const struct pg_step *oldest = oldest_step(c);
    if (oldest && oldest->kind == PG_STEP_DESCRIBE)
        return !pg_air_has_client(container_of(oldest, const struct pg_stmt, step));
    return oldest &&
           (oldest->kind == PG_STEP_CLOSE || container_of(oldest, const struct pg_call, step)->own);
}

static int64_t endless_left_ms(const struct pg_conn *c)
{
    return c->began_ms + c->pool->connect_timeout_ms - clock_ms();
}

static bool given_up(const struct pg_conn *c)
{
    const struct pg_step *oldest = oldest_step(c);
    if (oldest && is_endless(c) && endless_left_ms(c) <= 0)
        return true;
    if (!oldest || oldest->kind == PG_STEP_CLOSE)
        return false;
    if (oldest->kind == PG_STEP_DESCRIBE)
        return list_empty(&container_of(oldest, struct pg_stmt, step)->waiting);
    return pg_group_given_up(c);
}

bool pg_cancel_drains(const struct pg_conn *c)
{
    bool patient = c->draining_ms == 0 || clock_ms() - c->draining_ms < 1000 * WAIT_FIRST_S;
    if (patient && !list_empty(&c->steps) && oldest_step(c)->kind == PG_STEP_DESCRIBE)
        return pg_signal_active(&c->cancel);
    return pg_signal_active(&c->cancel) || given_up(c);
}

static void set_timer(struct pg_conn *c, double seconds)
{
    ev_timer_stop(c->pool->loop, &c->timer);
    ev_now_update(c->pool->loop);
    ev_timer_set(&c->timer, seconds, 0);
    ev_timer_start(c->pool->loop, &c->timer);
}

static void arm(struct pg_conn *c)
{
    set_timer(c, c->cancel_wait_s);
    c->cancel_wait_s = c->cancel_wait_s * 2 < WAIT_LAST_S ? c->cancel_wait_s * 2 : WAIT_LAST_S;
}

static void on_cancelled(struct pg_signal *s, const char *failure)
{
    struct pg_conn *c = container_of(s, struct pg_conn, cancel);
    if (failure[0])
        log_warn("pg.cancel_failed", "backend=%s reason=%s", c->pool->name, log_q(failure));
    pg_cancel_settle(c); /* the oldest may be another one, given up as well */
    c->pool->ops->turn(c->pool);
}

void pg_cancel_init(struct pg_conn *c)
{
    pg_signal_init(&c->cancel, on_cancelled);
}

static void send_cancel(struct pg_conn *c)
{
    struct err e;
    if (pg_signal_send(&c->cancel, c->pool->loop, c->pg, &e) != 0) {
        log_warn("pg.cancel_failed", "backend=%s reason=%s", c->pool->name, log_q(e.text));
        return;
    }
    list_for_each (it, &c->steps)
        container_of(it, struct pg_step, link)->exposed = true;
}

void pg_cancel_now(struct pg_conn *c)
{
    if (!pg_signal_active(&c->cancel))
        send_cancel(c);
}

void pg_cancel_bound(struct pg_conn *c)
{
    if (c->state == PG_READY && c->draining_ms == 0 && !ev_is_active(&c->timer) && is_endless(c))
        set_timer(c, (double)(endless_left_ms(c) + 1) / 1000);
}

void pg_cancel_settle(struct pg_conn *c)
{
    if (c->state != PG_READY || pg_signal_active(&c->cancel))
        return;
    if (!given_up(c)) {
        pg_cancel_bound(c);
        return;
    }
    if (c->draining_ms != 0) /* it was told, and has its time */
        return;
    c->draining_ms = clock_ms();
    c->cancel_wait_s = WAIT_FIRST_S;
    if (oldest_step(c)->kind == PG_STEP_RUN && !pg_group_is_shared(c))
        send_cancel(c);
    arm(c);
}

void pg_cancel_step_began(struct pg_conn *c)
{
    if (c->draining_ms != 0) {
        c->draining_ms = 0;
        ev_timer_stop(c->pool->loop, &c->timer);
    }
    pg_cancel_settle(c);
}

void pg_cancel_on_timer(struct pg_conn *c)
{
    struct err why;
    if (c->draining_ms == 0) {
        pg_cancel_settle(c);
        return;
    }
    if (clock_ms() - c->draining_ms >= c->pool->connect_timeout_ms) {
        err_set(&why, ERR_BACKEND_DOWN, "a cancelled query did not end within %lld ms",
                (long long)c->pool->connect_timeout_ms);
        pg_link_close(c, &why);
        return;
    }
    if (!pg_signal_active(&c->cancel))
        send_cancel(c);
    arm(c);
}
