/*
 * pg_known: what a statement's types are, where a connection of the pool knows that already.
 *
 *   CALL_TYPES -> a young description, and whether it reads plain tables -> an answer at once
 *               -> one of them is not there, or it is time to ask anew    -> the way of a query
 *
 * Thread: its pool's loop. Limits: what is told is never older than `statement_age`.
 */
#ifndef RTCACHE_BACKEND_PG_KNOWN_H
#define RTCACHE_BACKEND_PG_KNOWN_H

#include "backend/postgres/pg_priv.h"

/* A backend's `answer`. */
bool pg_known_answer(struct backend *b, struct call *q);

#endif
