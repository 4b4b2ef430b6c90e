/*
 * pg_queue: calls of a pool that no connection has, and queries that have ended and were not told.
 *
 *   [queue] -> a connection -> [ended] -> done
 *
 * Thread: its pool's loop. O(1). Limits: `max_queue`, which pg_pool sees to.
 */
#ifndef RTCACHE_BACKEND_PG_QUEUE_H
#define RTCACHE_BACKEND_PG_QUEUE_H

#include "backend/postgres/pg_priv.h"

/* q is over; its done comes later. code: also the query's, whose err stands already. */
void pg_queue_end(struct pg_pool *p, struct call *q, int code);
/* The call runs again, before all others. */
void pg_queue_again(struct pg_pool *p, struct pg_call *call);
/* The call waits until its types are known. */
void pg_queue_await_types(struct pg_pool *p, struct pg_call *call);
/* The oldest call, out of a queue that is not empty. */
struct pg_call *pg_queue_pop(struct pg_pool *p);
/* Calls done for what has ended. The pool may be gone afterwards. */
void pg_queue_deliver(struct pg_pool *p);

#endif
