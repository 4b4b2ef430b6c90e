/*
 * pg_pool: the connections of one PostgreSQL backend on one loop, and the queries that wait.
 *
 *   submit -> [queue] -> the connection with the least in the air -> [ended] -> done
 *
 * Connections open on demand, one at a time: the first with the first query, another when every
 * open one has something in the air. A query whose statement its connection has yet to describe may
 * be overtaken there by one whose statement is described. While none is open, queries wait for the
 * connect; after a connect has failed they fail at once (BACKEND_DOWN, with the time to retry
 * after) until the backoff is over: exponential, full jitter, capped. Outcomes are delivered from
 * the loop, never from submit. Thread: one loop's. Limits: share, pipeline, max_queue.
 */
#ifndef RTCACHE_BACKEND_PG_POOL_H
#define RTCACHE_BACKEND_PG_POOL_H

#include "backend/postgres/pg_priv.h"

void pg_pool_submit(struct backend *b, struct call *q);
void pg_pool_cancel(struct backend *b, struct call *q);
void pg_pool_read_stats(const struct backend *b, struct backend_stats *out);

/* Gives waiting queries to connections. */
void pg_pool_dispatch(struct pg_pool *p);
/* That, and calls done for what has ended: the last thing that a callback of the loop does. The
 * pool may be gone afterwards. */
void pg_pool_turn(struct pg_pool *p);

#endif
