/*
 * subscribe: the methods subscribe and unsubscribe; what is told is in telling.h.
 *
 * A subscription counts from the moment at which its call is answered. Thread: the connections' I/O
 * thread. Limits: max_subscriptions per connection; the subscriptions of a connection that closed
 * are removed in slices.
 */
#ifndef RTCACHE_NET_SUBSCRIBE_H
#define RTCACHE_NET_SUBSCRIBE_H

#include "net/conn.h"

void subscribe_client_left(struct conn *c);
/* What connections that have left have not yet removed. */
void subscribe_fini(struct io *io);

#endif
