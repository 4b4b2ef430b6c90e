/*
 * watch_sql: the SQL by which a PostgreSQL table tells a feed of its changes.
 *
 *   'user:{id}' --> an SQL expression over OLD or NEW, and the pattern 'user:*'
 *
 * The SQL is printed, not run; its text is in watch*.sql. A table, a key, a channel and a log, if
 * there is one, make a watch, whose triggers and function are called by a hash of them: the same
 * one replaces itself, and no other. Thread: any. Limits: GLOB_STARS_MAX columns in a key,
 * WATCH_SQL_TAGS tags, WATCH_SQL_LOG bytes of a log's name.
 */
#ifndef RTCACHE_CLI_WATCH_SQL_H
#define RTCACHE_CLI_WATCH_SQL_H

#include "base/buf.h"

#define WATCH_SQL_TAGS 16
#define WATCH_SQL_LOG  48 /* bytes of the last part of a log's name: others begin with it */

enum watch_action {
    WATCH_INSTALL,
    WATCH_DROP, /* of the key, or without one all of the table */
    WATCH_LIST, /* all of the database */
};

struct watch_sql {
    enum watch_action action;
    const char *table;   /* name or schema.name; "Quoted" where it is not lower case */
    const char *key;     /* NULL, or a template; {column} as it is stored, {{ and }} for braces */
    const char *version; /* column, or NULL */
    const char *channel;
    const char *log; /* the table that it writes to, named as `table`; NULL: it notifies */
    const char *tags[WATCH_SQL_TAGS]; /* templates */
    size_t tag_count;
};

/* ERR_BAD_REQUEST says what is wrong with which of them. */
int watch_sql_write(struct buf *out, const struct watch_sql *w, struct err *e) MUST_USE;

#endif
