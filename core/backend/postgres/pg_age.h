/*
 * pg_age: how old a description of a statement may be: `statement_age`, and no older than a change
 * that was seen of another one.
 *
 * Thread: its connection's loop.
 */
#ifndef RTCACHE_BACKEND_PG_AGE_H
#define RTCACHE_BACKEND_PG_AGE_H

#include "backend/postgres/pg_priv.h"

/* Whether the description may be used; whether it is time to make it again beside that. */
bool pg_age_is_young(const struct pg_conn *c, const struct pg_stmt *st);
bool pg_age_is_due(const struct pg_conn *c, const struct pg_stmt *st);
/* The description may be wrong: the next call waits for another one. */
void pg_age_doubt(const struct pg_conn *c, struct pg_stmt *st);
/* The statement was seen to have changed since it was described. */
void pg_age_hint(struct pg_pool *p, const struct pg_stmt *st, int64_t seen_ms);

#endif
