/*
 * pg_conn: one connection to PostgreSQL: how it opens, and what the loop tells it.
 *
 *   CLOSED -> RESOLVING -> CONNECTING -> SETTING -> READY -> CLOSED
 *             (names only)               (if need be)
 *
 * Shape: a PGconn in pipeline mode, one ev_io, one ev_timer, the list of steps in the order of
 * sending. A sync ends a transaction, and with it what an error touches: a write, a description
 * and a close have one each, and SELECTs of one turn of the loop share one (pg_group). Which file
 * does what with it stands in pg_priv.h.
 * Thread: its loop's. Limits: `pipeline` calls in the air, `group` of them in a transaction,
 * `connect_timeout`, `statements`, `connection_age`.
 */
#ifndef RTCACHE_BACKEND_PG_CONN_H
#define RTCACHE_BACKEND_PG_CONN_H

#include "backend/postgres/pg_priv.h"

int pg_conn_init(struct pg_conn *c, struct pg_pool *pool, uint32_t statements) MUST_USE;
void pg_conn_fini(struct pg_conn *c);
/* CLOSED -> ...; a failure may close it before this returns. */
void pg_conn_open(struct pg_conn *c);

#endif
