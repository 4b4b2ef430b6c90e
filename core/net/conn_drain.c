/* The connections of a server that goes down. What was begun before is answered; what is asked from
 * now on is answered with why not, by the protocol's other table. One for which nothing is pending
 * is kept for DRAIN_QUIET_MS after the last that was heard of it, so that a request which is on its
 * way is answered; then it is closed in order. */
#include "net/conn.h"

#include <poll.h>

#define DRAIN_QUIET_MS 200
#define DRAIN_MOST_MS  1000 /* for one that goes on asking, does not read, or has just come */

void conn_drain(struct conn *c)
{
    c->protocol = c->protocol->draining;
    conn_advance(c, CONN_DRAINING);
}

static bool is_readable(const struct conn *c)
{
    struct pollfd p = {.fd = c->reading.fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* One that has come a moment ago is about to ask for something. */
static bool is_new(const struct conn *c, int64_t now_ms)
{
    return c->active_ms <= c->opened_ms && now_ms - c->opened_ms < DRAIN_MOST_MS;
}

/* Whether nothing more of it is on its way, as far as can be known. */
static bool is_quiet(const struct conn *c, int64_t now_ms)
{
    int64_t began_ms = c->io->drain_ms, last_ms = c->active_ms > began_ms ? c->active_ms : began_ms;
    return now_ms - last_ms >= DRAIN_QUIET_MS && !is_new(c, now_ms) && conn_unread(c) == 0 &&
           !is_readable(c);
}

/* Whether nothing has come from it or gone to it since the server began to go down: then no answer
 * is on its way that a reset could take away. */
static bool is_idle(const struct conn *c)
{
    return c->active_ms < c->io->drain_ms && c->in.size == 0;
}

bool conn_drained(struct conn *c, int64_t now_ms)
{
    if (!list_empty(&c->tickets)) {
        c->done_ms = 0;
        return false;
    }
    /* What was answered in this turn is not written yet, and sent_ms tells nothing of it. */
    if (ev_is_active(&c->writing) && conn_unread(c) > 0 && now_ms - c->sent_ms >= DRAIN_MOST_MS)
        return true;
    if (c->state != CONN_DRAINING)
        return false; /* it has an end of its own */
    if (c->done_ms == 0)
        c->done_ms = now_ms;
    bool quiet = is_quiet(c, now_ms);
    if (quiet && is_idle(c))
        return true;
    if (quiet || now_ms - c->done_ms >= DRAIN_MOST_MS)
        conn_finish(c);
    return false;
}
