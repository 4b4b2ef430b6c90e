/*
 * pg_whole: whether the rows of an answer come one by one or all at once.
 *
 * Thread: its connection's loop.
 */
#ifndef RTCACHE_BACKEND_PG_WHOLE_H
#define RTCACHE_BACKEND_PG_WHOLE_H

#include "backend/postgres/pg_priv.h"

/* Results of the oldest step come next, if there is one. */
void pg_whole_begin(struct pg_conn *c);
/* libpq took so many bytes for rows that come all at once. Whether that is past what few rows
 * take. */
bool pg_whole_is_past(struct pg_conn *c, uint64_t took);
/* The call has all its rows: is its statement expected to have few again? */
void pg_whole_learn(struct pg_call *call);

#endif
