/*
 * pg_print: what of a session decides what the names of a statement mean there, as a print of 128
 * bits: two sessions with equal prints give equal answers to pg_pure's question.
 *
 * Shape: the server (its address and when it was started: a standby's catalog lags), the database,
 * the role, the schemas in which names are looked up, the isolation of transactions. A session with
 * temporary objects has no print: nobody else can see those. It is asked for by a SELECT that reads
 * no table, in a transaction of its own; no query waits for it. pg_pure's question tells it too, as
 * of the moment of its answer.
 * Thread: its connection's loop. Limits: one question in the air on a connection; a print counts
 * for half of `statement_age`.
 */
#ifndef RTCACHE_BACKEND_PG_PRINT_H
#define RTCACHE_BACKEND_PG_PRINT_H

#include "backend/postgres/pg_priv.h"
#include "wire/mp.h"

/* Two expressions of SQL, of type text: the session's process, and what the print is made of; NULL
 * where it has none. */
const char *pg_print_columns(void);
/* Reads what these two gave. *out is none where it was not c's own session that answered. False:
 * they are not there. */
bool pg_print_read(const struct pg_conn *c, struct mp_reader *r, struct pg_print *out);
bool pg_print_is_any(struct pg_print print);
/* Two sessions that have none are not equal. */
bool pg_print_equal(struct pg_print a, struct pg_print b);

/* Whether what was asked at that time is young enough for another connection to take it over. */
bool pg_print_is_fresh(const struct pg_pool *p, int64_t asked_ms);
/* The connection's print was told to a question of that time. */
void pg_print_take(struct pg_conn *c, struct pg_print print, int64_t asked_ms);
/* The question for it, as a call that is to be sent next on c; NULL: it is in the air, or there is
 * no memory. */
struct pg_call *pg_print_ask(struct pg_conn *c);

#endif
