/*
 * pg_link: the link of a connection to its server, as libpq has it.
 *
 * Thread: its loop's.
 */
#ifndef RTCACHE_BACKEND_PG_LINK_H
#define RTCACHE_BACKEND_PG_LINK_H

#include "backend/postgres/pg_priv.h"

/* Has the loop watch the socket for these events, EV_READ or EV_WRITE or both. */
void pg_link_watch(struct pg_conn *c, int events);
/* Any state -> CLOSED; every call fails with why. */
void pg_link_close(struct pg_conn *c, const struct err *why);
/* Closes it with libpq's reason. */
void pg_link_broken(struct pg_conn *c, const char *what);
/* Sends what libpq holds, and waits for the socket where it is full. May close. */
void pg_link_flush(struct pg_conn *c);

#endif
