/*
 * pg_listen: one connection to PostgreSQL that listens on a channel, and connects again.
 *
 *   waiting --timer--> connecting --> LISTEN is committed --> identity read --> up ... down -->
 * waiting
 *
 * It is up only once LISTEN has been committed: whatever is committed in the database later than
 * that is heard. Notifications come in the order of their commits. `down` is called once for each
 * `up`; reconnects wait longer each time (reconnect_base to reconnect_cap).
 * Thread: its loop's; looking a host name up blocks it. Limits: PostgreSQL's 8000 bytes a payload;
 * connect_timeout.
 */
#ifndef RTCACHE_BACKEND_PG_LISTEN_H
#define RTCACHE_BACKEND_PG_LISTEN_H

#include "backend/pg_identity.h"
#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"

#include <ev.h>

struct pg_listen;

#define PG_LISTEN_MISSED 48

/* What a notification of ours that was sent told beside. */
struct pg_beat {
    const char *missed; /* as for up; borrowed */
    bool held;          /* asked for, and a transaction that has moved it is not over */
    uint64_t wal_end;   /* 0: unknown */
};

struct pg_listen_events {
    /* missed: a text that changes when a trigger could not tell of a change; "" where none can say
     * so. Both borrowed. */
    void (*up)(void *arg, const struct pg_identity *identity, const char *missed);
    void (*notified)(void *arg, struct slice payload);
    void (*beaten)(void *arg, const struct pg_beat *beat);
    void (*down)(void *arg, const char *why);
    void *arg;
};

/* b (its feed is the channel) is borrowed for its life. It begins to connect at once. */
int pg_listen_new(struct pg_listen **out, struct ev_loop *loop, const struct conf_backend *b,
                  const struct pg_listen_events *events, struct err *e) MUST_USE;
/* Without a word to down. NULL is allowed. */
void pg_listen_free(struct pg_listen *l);

/* Sends a notification on the channel; false: it is not up, or the last one has not been sent yet.
 * ask_held: the beat that follows says it. */
bool pg_listen_notify(struct pg_listen *l, const char *payload, bool ask_held);
/* The connection is not believed any more: down, and another one. Not from inside an event. */
void pg_listen_drop(struct pg_listen *l, const char *why);

#endif
