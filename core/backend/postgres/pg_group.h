/*
 * pg_group: what shares a transaction; pg_group.c says why it may.
 *
 * Thread: its connection's loop. Limits: conf_backend's `group`; of parameters, PARAMS_MAX.
 */
#ifndef RTCACHE_BACKEND_PG_GROUP_H
#define RTCACHE_BACKEND_PG_GROUP_H

#include "backend/postgres/pg_priv.h"

/* Whether the call, of this statement, is to have a transaction of its own. */
bool pg_group_leaves_out(const struct pg_conn *c, const struct pg_call *call,
                         const struct pg_stmt *st);
/* A call's query was sent that is to share one. May end the group, which may close. */
void pg_group_add(struct pg_conn *c, const struct pg_call *call);
/* There is an oldest step, and it was another one till now, or none: pg_cancel_bound is next. */
void pg_group_begins(struct pg_conn *c);
/* Sends the sync that is owed, where one is; nothing of it is closed. False: it could not. */
bool pg_group_sync(struct pg_conn *c);
/* Ends the group: sends the sync that is owed, where one is, and flushes what libpq holds. False: a
 * failure of that closed the connection. */
bool pg_group_end(struct pg_conn *c);
/* Of the oldest transaction: whether it has more than one step, or may still get more. */
bool pg_group_is_shared(const struct pg_conn *c);
/* The call, of the oldest transaction, failed, and the others with it. */
void pg_group_error(struct pg_conn *c, struct pg_call *call);
/* Any of the oldest transaction's queries was given up. */
bool pg_group_given_up(const struct pg_conn *c);
/* Moves the steps of the oldest transaction into out: its sync has come. True: it had failed.
 * Learns from it which statements are quick. Another step may be the oldest: pg_cancel_bound. */
bool pg_group_take(struct pg_conn *c, struct list *out);

#endif
