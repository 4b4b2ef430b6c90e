/*
 * pg_life: when a pool's connections may open, and how long they live.
 *
 * After a connect has failed the next one waits: exponential, full jitter, capped. A connection has
 * `connection_age`, less a tenth at most, and less where a row has made libpq's buffers grow.
 * Thread: its pool's loop.
 */
#ifndef RTCACHE_BACKEND_PG_LIFE_H
#define RTCACHE_BACKEND_PG_LIFE_H

#include "backend/postgres/pg_priv.h"

/* c is READY. */
void pg_life_opened(struct pg_pool *p, struct pg_conn *c);
/* c is closed. was_open: it had been READY. */
void pg_life_lost(struct pg_pool *p, struct pg_conn *c, bool was_open, const struct err *why);
/* Past its age. While no other can be opened an old connection is better than none. */
bool pg_life_is_over(const struct pg_pool *p, const struct pg_conn *c, int64_t now_ms);

#endif
