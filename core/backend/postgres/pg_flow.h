/*
 * pg_flow: what comes back on an open connection, step by step.
 *
 * Thread: its connection's loop.
 */
#ifndef RTCACHE_BACKEND_PG_FLOW_H
#define RTCACHE_BACKEND_PG_FLOW_H

#include "backend/postgres/pg_priv.h"

/* Takes the results that are there. May close. */
void pg_flow_read(struct pg_conn *c);

#endif
