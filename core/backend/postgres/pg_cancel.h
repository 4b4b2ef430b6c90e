/*
 * pg_cancel: queries that were given up while in the air.
 *
 * Thread: its connection's loop. Limits: connect_timeout until one has ended.
 */
#ifndef RTCACHE_BACKEND_PG_CANCEL_H
#define RTCACHE_BACKEND_PG_CANCEL_H

#include "backend/postgres/pg_priv.h"

void pg_cancel_init(struct pg_conn *c);
/* Whether nobody wants the oldest step any more, or a cancel is under way: then nothing new is
 * sent. But for a description that nobody waits for, until it takes long. */
bool pg_cancel_drains(const struct pg_conn *c);
/* The oldest step is another one now, or a query was given up. */
void pg_cancel_step_began(struct pg_conn *c);
void pg_cancel_settle(struct pg_conn *c);
/* There is another oldest step: one that nobody can give up has connect_timeout. */
void pg_cancel_bound(struct pg_conn *c);
/* Stops the oldest query though it is wanted, unless a cancel is under way: it runs again. */
void pg_cancel_now(struct pg_conn *c);
void pg_cancel_on_timer(struct pg_conn *c);

#endif
