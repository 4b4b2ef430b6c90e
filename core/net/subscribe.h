/*
 * subscribe: subscribe and unsubscribe, and the telling.
 *
 *   news (load/news.h) --one message per I/O thread--> subscriptions --> [2, "invalidated",
 * [{...}]]
 *
 * A connection is told of an event once, whatever it subscribed to. Where it is not known whether
 * an event concerns a subscriber it is told of it: of a tag, every subscriber of keys and patterns.
 * Thread: the connections' I/O thread. Limits: max_subscriptions per connection, max_notices on
 * their way to a thread; a connection with more than CONN_OUT_PAUSE (or half of max_output) unread
 * is told, once it has read, that it has to drop what it holds.
 */
#ifndef RTCACHE_NET_SUBSCRIBE_H
#define RTCACHE_NET_SUBSCRIBE_H

#include "load/news.h"
#include "net/conn.h"

/* The hub's recv; owner is the io. */
void subscribe_recv_news(struct message *m, void *owner);

/* All that was to be sent has been: what was lost can be told. */
void subscribe_drained(struct conn *c);
void subscribe_client_left(struct conn *c);

#endif
