/*
 * subscribe: who is told of which invalidations, and the telling.
 *
 *   news (load/news.h) --one message per I/O thread--> subscriptions by key, tag, pattern --> conns
 *
 * Thread: the connections' I/O thread. Limits: max_subscriptions per connection, max_notices on
 * their way to a thread, max_output unread bytes of a connection.
 */
#ifndef RTCACHE_NET_SUBSCRIBE_H
#define RTCACHE_NET_SUBSCRIBE_H

#include "load/news.h"
#include "net/conn.h"

/* The hub's recv; owner is the io. */
void subscribe_recv_news(struct message *m, void *owner);

#endif
