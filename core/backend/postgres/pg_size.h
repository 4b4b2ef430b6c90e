/*
 * pg_size: how much libpq may hold of one row, and of parameters.
 *
 * Thread: its connection's loop. Limits: four times max_result for a row.
 */
#ifndef RTCACHE_BACKEND_PG_SIZE_H
#define RTCACHE_BACKEND_PG_SIZE_H

#include "backend/postgres/pg_priv.h"

/* libpq took so many bytes at once. */
void pg_size_note(struct pg_conn *c, uint64_t took);
/* The message that libpq has begun to read is past what a row may take: the call that it is for
 * fails, and the connection closes. */
bool pg_size_is_too_much(const struct pg_conn *c, uint64_t took);
void pg_size_refuse(struct pg_conn *c, struct pg_call *call);

#endif
