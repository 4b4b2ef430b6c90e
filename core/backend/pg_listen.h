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

#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"

#include <ev.h>

struct pg_listen;

struct pg_listen_events {
    /* identity: of the cluster and its timeline; "" where the role may not ask. Borrowed. */
    void (*up)(void *arg, const char *identity);
    void (*notified)(void *arg, struct slice payload);
    void (*down)(void *arg, const char *why);
    void *arg;
};

/* b (its feed is the channel) is borrowed for its life. It begins to connect at once. */
int pg_listen_new(struct pg_listen **out, struct ev_loop *loop, const struct conf_backend *b,
                  const struct pg_listen_events *events, struct err *e) MUST_USE;
/* Without a word to down. NULL is allowed. */
void pg_listen_free(struct pg_listen *l);

/* Sends a notification on the channel; false: it is not up, or the last one has not been sent yet.
 */
bool pg_listen_notify(struct pg_listen *l, const char *payload);
/* The connection is not believed any more: down, and another one. Not from inside an event. */
void pg_listen_drop(struct pg_listen *l, const char *why);

#endif
