/*
 * pg_signal: tells a PostgreSQL server to stop what a connection runs, off the loop.
 *
 * PQcancel opens a connection of its own and waits until the server closes it, for ever where the
 * server hangs. So each runs on a thread that nobody waits for: the thread owns all that it
 * touches, and its outcome comes back through a socket; who is not interested any more closes his
 * end. Thread: the loop's. Limits: one under way per connection; tcp_user_timeout bounds it on TCP.
 */
#ifndef RTCACHE_BACKEND_PG_SIGNAL_H
#define RTCACHE_BACKEND_PG_SIGNAL_H

#include "base/err.h"

#include <ev.h>
#include <libpq-fe.h>

/* Embedded in its connection. */
struct pg_signal {
    struct ev_io io; /* active: one is under way */
    /* On the loop; failure: why the server could not be told, "" where it was. */
    void (*done)(struct pg_signal *s, const char *failure);
};

void pg_signal_init(struct pg_signal *s, void (*done)(struct pg_signal *s, const char *failure));
/* ERR_NOMEM, ERR_IO; nothing is under way then. */
int pg_signal_send(struct pg_signal *s, struct ev_loop *loop, PGconn *pg, struct err *e) MUST_USE;
/* done will not be called. */
void pg_signal_forget(struct pg_signal *s, struct ev_loop *loop);

static inline bool pg_signal_active(const struct pg_signal *s)
{
    return ev_is_active(&s->io);
}

#endif
