/*
 * registry_sql: the SQL of the table in which loaders stand, and of the triggers by which it tells a
 * feed of its changes: a watch (watch_sql.h) whose key the server knows.
 *
 * The SQL is printed, not run. Thread: any. Limits: sql_name.h's.
 */
#ifndef RTCACHE_CLI_REGISTRY_SQL_H
#define RTCACHE_CLI_REGISTRY_SQL_H

#include "base/buf.h"

struct registry_sql {
    const char *table; /* NAME or SCHEMA.NAME */
    const char *channel, *log; /* as watch_sql has them; both NULL: no triggers */
    bool sqlite;
};

/* The command's name first; g borrows them. ERR_BAD_REQUEST says what is wrong. */
int registry_sql_parse(struct registry_sql *g, int argc, char **argv, struct err *e) MUST_USE;
/* ERR_BAD_REQUEST names what is wrong. */
int registry_sql_write(struct buf *out, const struct registry_sql *g, struct err *e) MUST_USE;

#endif
