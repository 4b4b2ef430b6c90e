/*
 * pg_pure: which statements may share a transaction: those that are shown to read plain tables.
 *
 *   8 runs -> the grammar (pg_pure_tree) -> the catalog (pg_pure_catalog) -> shares, or goes alone
 *             for ever no                  until it is asked again
 *
 * A transaction lets its statements see: settings of its own (set_config(..., true), SET LOCAL) and
 * what reads them (policies, functions, views); its locks, which it never refuses itself (advisory
 * ones, rows FOR UPDATE); its time and number (now(), the text 'now' as a date, txid_current());
 * what it has written; temporary objects; and its end, of which a statement that writes must know.
 * A statement that is pure can do none of these and can tell none of them:
 *
 * - It consists of nodes that are known, which compute and read; whatever else the grammar has
 *   (locks, functions in FROM, subqueries, special values) goes alone.
 * - What it calls is of PostgreSQL's own and from a list: the names that stand in it are resolved
 *   in the session where it runs, and none has a namesake of the database's own that could be
 *   meant. PostgreSQL's own are also the casts that are made without a word, the operator classes
 *   that sort and compare, and the functions that an index, a constraint, a partition or statistics
 *   may call while a query is planned. Values are of its types, or of enums; so nothing of the
 *   database's own reads or writes a value.
 * - What it reads is a table, a partitioned one, or a materialized view, with all below it: no
 *   view, no foreign table, no policy, nothing temporary, nothing of the system.
 * - Its transaction is READ COMMITTED: each statement has a snapshot of its own.
 *
 * So the members of a group leave nothing that others of it could find, and look at nothing that
 * others could leave. What stays is time: locks of the weakest kind on tables, held until the last
 * of a group has run, which let everything pass but DDL.
 *
 * An answer counts for `statement_age`, and is asked for again at half of it; no longer than the
 * description it was asked by, nor than a change that another statement has met. Within that time
 * DDL may make another thing of a name. A policy that is switched on then reads settings, which
 * no member can set; a view that sets one in place of a table is seen by none that reads one: it
 * takes two tables that DDL replaced within one age, one by what sets, one by what reads.
 *
 * Most often another connection of the pool knows the answer already, or is just asking: one whose
 * session has an equal print takes it over (pg_share, pg_print). While the other is asking, it is
 * waited for a quarter of a second, in which the statement goes alone; CALL_TYPES does not wait.
 *
 * The question goes the way of a query, in a transaction of its own, on the connection whose
 * statement it concerns. No query waits for it but CALL_TYPES, which is asked by who would put the
 * SQL of many keys into one statement, where they share more than a transaction: one is then asked
 * for at once. Behind a pooler that deals out sessions (prepared = false) it is answered for
 * another session, which reads by the same role and the same catalog: nothing shares there, but
 * CALL_TYPES is told, for which alone it is asked then: beside another query it would be a second
 * unit in the air. Thread: its connection's loop. Limits: a question for 8 runs or one of
 * CALL_TYPES, and for half of `statement_age`, whichever is later.
 */
#ifndef RTCACHE_BACKEND_PG_PURE_H
#define RTCACHE_BACKEND_PG_PURE_H

#include "backend/postgres/pg_priv.h"

/* st is about to run: counts it, and takes back an answer that is too old. */
void pg_pure_run(const struct pg_conn *c, struct pg_stmt *st);
/* What is to be asked of whether st reads plain tables alone, as a call that is to be sent next on
 * c; NULL: it is not time to ask, another connection's answer was taken over or is waited for, or
 * there is no memory. */
struct pg_call *pg_pure_ask(struct pg_conn *c, struct pg_stmt *st);
/* The question whether st reads plain tables alone, for a call that asks for st's types
 * (CALL_TYPES) and waits for the answer; NULL: nothing is to be asked, or there is no memory. */
struct pg_call *pg_pure_want(struct pg_conn *c, const struct pg_call *call, struct pg_stmt *st);
/* Whether that is known now, so that st->plain may be told with nothing asked or sent; counts a
 * run.
 */
bool pg_pure_is_told(const struct pg_conn *c, struct pg_stmt *st);
/* Ends a call that asks for st's types, at once or as soon as it is known whether st reads plain
 * tables alone. */
void pg_pure_tell(struct pg_call *call, struct pg_stmt *st);
/* Adds the connection's statements of which is known whether they may. */
void pg_pure_count(const struct pg_conn *c, struct backend_stats *out);

#endif
