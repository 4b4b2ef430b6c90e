/*
 * pg_air: the calls that are in the air on a connection, or wait there for a description, as a
 * whole.
 *
 * Thread: its connection's loop. O(calls).
 */
#ifndef RTCACHE_BACKEND_PG_AIR_H
#define RTCACHE_BACKEND_PG_AIR_H

#include "backend/postgres/pg_priv.h"

/* Ends every call with why; drops every step. */
void pg_air_fail(struct pg_conn *c, const struct err *why);
/* Gives back what is in the air and may run twice. */
void pg_air_hand_over(struct pg_conn *c);

/* What waits for the statement's description fails. */
void pg_air_fail_waiting(struct pg_stmt *st, const struct err *why);
/* Whether a query that somebody asked for waits for it, not only the driver's own. */
bool pg_air_has_client(const struct pg_stmt *st);

#endif
