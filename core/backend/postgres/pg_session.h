/*
 * pg_session: one connection to PostgreSQL of a feed, which connects again whenever it is lost.
 *
 *   WAITING --timer--> CONNECTING --opened--> OPEN --readable...--> closed, WAITING
 *      ^                                                               |
 *      +---------------------------------------------------------------+
 *
 * It waits longer each time (reconnect_base to reconnect_cap), until its owner calls it settled.
 * The timer that bounds connecting goes on when it is open, until the owner sets it anew.
 * Thread: its loop's; looking a host name up blocks it. Limits: connect_timeout.
 */
#ifndef RTCACHE_BACKEND_PG_SESSION_H
#define RTCACHE_BACKEND_PG_SESSION_H

#include "backend/postgres/pg_options.h"
#include "backend/postgres/pg_target.h"

#include <ev.h>

struct pg_session;

struct pg_session_ops {
    void (*opened)(struct pg_session *s);
    /* Input was read, or pg_session_again was called. ended: it is the last, and nothing may be
     * sent. */
    void (*readable)(struct pg_session *s, bool ended);
    void (*timed_out)(struct pg_session *s); /* while it is open */
    void (*closed)(struct pg_session *s, const char *why);
};

/* Embedded in its owner. */
struct pg_session {
    const struct pg_session_ops *ops;
    struct ev_loop *loop;
    const struct conf_backend *conf; /* borrowed */
    const struct pg_conf *own;       /* of conf */
    struct pg_target target;
    PGconn *pg; /* NULL: WAITING */
    enum { PG_SESSION_WAITING, PG_SESSION_CONNECTING, PG_SESSION_OPEN } state;
    ev_io io;
    ev_timer timer;
    int64_t wait_ms;
    bool again;
};

/* It begins to connect at once. b is borrowed for its life. */
int pg_session_init(struct pg_session *s, struct ev_loop *loop, const struct conf_backend *b,
                    const struct pg_session_ops *ops, struct err *e) MUST_USE;
void pg_session_fini(struct pg_session *s);

/* It does what it is there for: the waits begin anew, and no timer runs. */
void pg_session_settled(struct pg_session *s);
/* timed_out is called so much later, and only then. */
void pg_session_arm(struct pg_session *s, int64_t ms);
/* readable is called in the loop's next turn, before more is read. */
void pg_session_again(struct pg_session *s);

/* All of these may call closed. */
void pg_session_send(struct pg_session *s, const char *sql);
void pg_session_flush(struct pg_session *s);
void pg_session_close(struct pg_session *s, const char *why);
/* As close, with what libpq says. */
void pg_session_broken(struct pg_session *s, const char *what);

#endif
