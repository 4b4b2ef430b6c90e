/*
 * pg_call: how a call begins, ends, or begins again.
 *
 * Thread: its pool's loop. One allocation a call.
 */
#ifndef RTCACHE_BACKEND_PG_CALL_H
#define RTCACHE_BACKEND_PG_CALL_H

#include "backend/postgres/pg_priv.h"

/* NULL: there is no memory, and the query has ended. */
struct pg_call *pg_call_new(struct pg_pool *p, struct call *q);
/* The call, in no list any more, is over; its query's err stands where code is not 0. */
void pg_call_finish(struct pg_call *call, int code);
/* The call's state becomes that of one that was not sent yet. It stays on its connection. */
void pg_call_renew(struct pg_call *call);
/* The call goes back to the head of the queue as one that was not sent. Any connection may run it.
 */
void pg_call_give_back(struct pg_call *call);
/* It waits until the catalog has told of its types, and runs then. */
void pg_call_await_types(struct pg_call *call);

#endif
