/*
 * pg_step: the steps of a connection in the order of sending, and the results that each has.
 *
 * Thread: its connection's loop.
 */
#ifndef RTCACHE_BACKEND_PG_STEP_H
#define RTCACHE_BACKEND_PG_STEP_H

#include "backend/postgres/pg_priv.h"

/* There is one at least. */
struct pg_step *pg_step_oldest(const struct pg_conn *c);
/* The step after one that is not the last of all. */
struct pg_step *pg_step_next(const struct pg_step *step);
/* The call whose results come next; NULL: they are another step's, or none comes. */
struct pg_call *pg_step_call(const struct pg_conn *c);

/* A result of the step has come, but for rows, and for the Parse before a query. */
void pg_step_count(struct pg_step *step);
bool pg_step_has_all(const struct pg_step *step);
/* Whether each step of the oldest transaction has. */
bool pg_step_answered(const struct pg_conn *c);

#endif
