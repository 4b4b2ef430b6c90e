/*
 * protocols: what is spoken where.
 *
 * The one place that names the protocols. A further one is a file beside rpc.c and a line here.
 * Thread: any, it is pure.
 */
#ifndef RTCACHE_NET_PROTOCOLS_H
#define RTCACHE_NET_PROTOCOLS_H

#include "net/protocol.h"
#include "sys/addr.h"

/* What a client that connects to this address of ours speaks; static. */
const struct protocol *protocol_at(const struct addr *a);

#endif
