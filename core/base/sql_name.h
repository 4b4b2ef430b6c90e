/*
 * sql_name: the name of a table as people write it, and names and texts quoted for SQL.
 *
 *   Shop."Us""ers" --> shop, Us"ers --> "shop"."Us""ers"
 *
 * Thread: any. Limits: PostgreSQL's: SQL_NAME_MAX bytes of a part; a schema and a table at most.
 */
#ifndef RTCACHE_BASE_SQL_NAME_H
#define RTCACHE_BASE_SQL_NAME_H

#include "base/buf.h"

#define SQL_NAME_MAX   63
#define SQL_NAME_PARTS 2

struct sql_name {
    char text[SQL_NAME_PARTS][SQL_NAME_MAX + 1];
    int parts;
};

/* What is not quoted becomes lower case. ERR_BAD_REQUEST says what is wrong. */
int sql_name_read(struct sql_name *name, const char *text, struct err *e) MUST_USE;
/* Something of this name in the schema of `table`, quoted. All three fail as buf_append does. */
int sql_name_put_beside(struct buf *out, const struct sql_name *table, const char *name) MUST_USE;

/* quote: stands around the text, and is doubled in it. */
int sql_put_quoted(struct buf *out, struct slice text, char quote) MUST_USE;
/* A string that means the same whatever standard_conforming_strings is. */
int sql_put_literal(struct buf *out, struct slice text) MUST_USE;

#endif
