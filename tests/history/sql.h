/*
 * sql: the databases: writers that pass the server by, and the replica that follows late.
 *
 * Shape: SQL_WRITERS connections to the primary, one statement in the air on each; one to the
 * replica, which takes what was committed in batches, each after a delay of chance. Versions put a
 * key's rows in order, so that the replica is only ever late. Thread: the loop's. Limits:
 * SQL_WRITERS; the queue to the replica holds SQL_QUEUE rows.
 */
#ifndef HISTORY_SQL_H
#define HISTORY_SQL_H

#include "run.h"

#include <libpq-fe.h>

#define SQL_WRITERS 6
#define SQL_QUEUE   65536
#define SQL_TOLD    16384 /* more at a time are forgotten */

/* The urls are borrowed. */
void sql_init(struct run *run, const char *primary, const char *replica_db);
void sql_fini(void);

/* Lets the writers write their share, and the replica what is due. */
void sql_turn(struct run *run);
bool sql_is_idle(void);
/* For how long at most the replica was without what was known. */
unsigned sql_lag_ms(void);

/* The primary gives its place to another: no statement begins, all are answered and the replica has
 * what was told of (so it lags for no longer than it may), the connections end, and are made anew.
 */
void sql_pause(void);
/* Until then, also through the cache nothing is to be written: there would always be a row that the
 * replica does not have yet. */
bool sql_is_pausing(void);
bool sql_is_paused(void);
void sql_leave(struct run *run);
void sql_return(struct run *run);
const char *sql_host(void); /* of the primary */

/* A write was answered: it is known now, and goes to the replica. */
void sql_changed(struct run *run, uint32_t key, const struct known *row);

/* The feed has told of it, whether its write is answered or not. */
void sql_told(struct run *run, uint32_t key, int64_t version);

/* After quiet: the replica becomes what the primary is. */
void sql_level(void);
/* At the end: the primary's own account of all versions is recorded. */
void sql_account(struct run *run);

/* For rare statements, waited for. Ends the program where one fails. The caller clears the result.
 */
PGresult *sql_ask(const char *statement);

#endif
