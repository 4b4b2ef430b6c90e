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

#include "backend/pg_conn.h"
#include "backend/pg_param.h"
#include "backend/pg_types.h"
#include "base/rng.h"

struct pg_pool {
    struct backend base;
    struct ev_loop *loop;
    char *name;
    struct pg_target target;
    uint32_t pipeline, group, max_queue;
    bool prepared;      /* statements have names on the server; else one unit is in the air */
    bool full_errors;   /* they tell what they quote of rows */
    uint64_t seed;      /* of their names: two servers, or two lives of one, share none */
    uint64_t names;     /* so far */
    int64_t changed_ms; /* descriptions that were asked for before are old; clock_ms */
    int64_t statement_age_ms, connection_age_ms; /* 0 of the latter: for ever */
    size_t max_result;
    int64_t connect_timeout_ms, reconnect_base_ms, reconnect_cap_ms;
    struct pg_works works;
    struct list queue; /* calls */
    uint32_t queued;
    struct list ended; /* queries whose done is owed */
    struct ev_idle deliver;
    struct ev_prepare turn; /* ends the groups of every turn of the loop, after all that is in it */
    struct rng rng;
    uint32_t failures; /* of connects, in a row */
    int64_t retry_ms;  /* no connect before; clock_ms */
    struct err down;   /* why the last one failed */
    struct pg_params params;
    struct pg_types types;
    struct backend_stats stats;
    unsigned conn_count;
    struct pg_conn conns[];
};

void pg_pool_submit(struct backend *b, struct query *q);
void pg_pool_cancel(struct backend *b, struct query *q);
void pg_pool_read_stats(const struct backend *b, struct backend_stats *out);

/* q is over; its done comes later. code: also the query's, whose err stands already. */
void pg_pool_end(struct pg_pool *p, struct query *q, int code);
/* A question of the driver's own, which others wait for: before all that wait, past every bound. */
void pg_pool_ask(struct pg_pool *p, struct query *q);
/* The call runs again, before all others. */
void pg_pool_again(struct pg_pool *p, struct pg_call *call);
/* The call, which waits for a statement or for nothing, waits until its types are known. */
void pg_pool_await_types(struct pg_pool *p, struct pg_call *call);
void pg_pool_opened(struct pg_pool *p, struct pg_conn *c);
/* A session did not know its own statement: a pooler stands between. No names from now on. */
void pg_pool_unprepare(struct pg_pool *p, const PGresult *res);
/* c is closed. was_open: it had been READY. */
void pg_pool_lost(struct pg_pool *p, struct pg_conn *c, bool was_open, const struct err *why);
/* Gives waiting queries to connections. */
void pg_pool_dispatch(struct pg_pool *p);
/* Calls done for what has ended. The pool may be gone afterwards. */
void pg_pool_deliver(struct pg_pool *p);
/* Both: the last thing that a callback of the loop does. */
void pg_pool_turn(struct pg_pool *p);

#endif
