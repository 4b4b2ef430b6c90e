/*
 * pg_pure_catalog: the question to the database's catalog whether names mean what they seem to.
 *
 * Shape: one statement (pg_pure.sql) and its parameters; its answer is a text, the first reason
 * against, or no row. Thread: any. Limits: those of pg_pure_tree.
 */
#ifndef RTCACHE_BACKEND_PG_PURE_CATALOG_H
#define RTCACHE_BACKEND_PG_PURE_CATALOG_H

#include "backend/postgres/pg_pure_tree.h"
#include "base/buf.h"

#include <libpq-fe.h>

struct pg_pure_types {
    const Oid *at;
    int count;
};

struct slice pg_pure_catalog_sql(void);
/* Appends the statement that tells an array: the expressions (of text), and the answer or NULL. One
 * statement, so that all are of one session and moment. ERR_NOMEM. */
int pg_pure_catalog_beside(const char *expressions, struct buf *out) MUST_USE;
/* Packs the question's parameters: what the text names, and what the server says of it. ERR_NOMEM.
 */
int pg_pure_catalog_pack(const struct pg_pure_tree *t, struct pg_pure_types columns,
                         struct pg_pure_types params, struct buf *out) MUST_USE;

#endif
