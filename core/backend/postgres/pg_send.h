/*
 * pg_send: what is sent on an open connection, step by step.
 *
 * Thread: its connection's loop.
 */
#ifndef RTCACHE_BACKEND_PG_SEND_H
#define RTCACHE_BACKEND_PG_SEND_H

#include "backend/postgres/pg_priv.h"

/* READY: sends the call now or when its statement is described. May close. */
void pg_send_call(struct pg_conn *c, struct pg_call *call);
/* Sends a call whose statement is described. May close. */
void pg_send_run(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st);
/* False: that closed the connection. */
bool pg_send_describe(struct pg_conn *c, struct pg_stmt *st) MUST_USE;
/* Lets go of the statement's name on the server, where it has one. May close. */
void pg_send_close(struct pg_conn *c, struct pg_stmt *st);
/* Drops statements past the bound. May close. */
void pg_send_evict(struct pg_conn *c);

#endif
