/*
 * pg_describe: descriptions of statements, made anew before they can mislead.
 *
 * Thread: its connection's loop.
 */
#ifndef RTCACHE_BACKEND_PG_DESCRIBE_H
#define RTCACHE_BACKEND_PG_DESCRIBE_H

#include "backend/postgres/pg_priv.h"

/* A description's answer; then the end of its transaction, which may close. */
void pg_describe_result(struct pg_stmt *st, const PGresult *res);
void pg_describe_ended(struct pg_conn *c, struct pg_stmt *st);
/* The call failed by what may come of an old description: it ends or runs again when that is
 * known. May close. */
void pg_describe_judge(struct pg_conn *c, struct pg_call *call);

#endif
