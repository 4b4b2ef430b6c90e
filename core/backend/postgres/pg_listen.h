/*
 * pg_listen: one connection to PostgreSQL that listens on a channel, and connects again.
 *
 *   waiting --timer--> connecting --> LISTEN is committed --> identity read --> up ... down
 *      ^                                                                                 |
 *      +---------------------------------------------------------------------------------+
 *
 * It is up only once LISTEN has been committed: whatever is committed in the database later than
 * that is heard. Notifications come in the order of their commits. `down` is called once for each
 * `up`; reconnects wait longer each time (reconnect_base to reconnect_cap).
 * Thread: its loop's; looking a host name up blocks it. Limits: PostgreSQL's 8000 bytes a payload;
 * connect_timeout.
 */
#ifndef RTCACHE_BACKEND_PG_LISTEN_H
#define RTCACHE_BACKEND_PG_LISTEN_H

#include "backend/listen.h"
#include "base/err.h"
#include "conf/conf.h"

#include <ev.h>

/* b (its feed is the channel) is borrowed for its life. It begins to connect at once. */
int pg_listen_new(struct listen **out, struct ev_loop *loop, const struct conf_backend *b,
                  const struct listen_events *events, struct err *e) MUST_USE;

#endif
