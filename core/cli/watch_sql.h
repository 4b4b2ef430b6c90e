/*
 * watch_sql: the SQL by which a PostgreSQL table tells a feed of its changes.
 *
 *   'user:{id}' --> an SQL expression over OLD or NEW, and the pattern 'user:*'
 *
 * The SQL is printed, not run. Thread: any. Limits: GLOB_STARS_MAX columns in a key, WATCH_SQL_TAGS
 * tags.
 */
#ifndef RTCACHE_CLI_WATCH_SQL_H
#define RTCACHE_CLI_WATCH_SQL_H

#include "base/buf.h"

#define WATCH_SQL_TAGS 16

struct watch_sql {
    const char *table;   /* name or schema.name; "Quoted" where it is not lower case */
    const char *key;     /* template; {column} as it is stored, {{ and }} for braces */
    const char *version; /* column, or NULL */
    const char *channel;
    const char *tags[WATCH_SQL_TAGS]; /* templates */
    size_t tag_count;
};

/* ERR_BAD_REQUEST says what is wrong with which of them. */
int watch_sql_write(struct buf *out, const struct watch_sql *w, struct err *e) MUST_USE;

/* From `rtcache watch-sql`'s words, the command's name first. */
int watch_sql_parse(struct watch_sql *w, int argc, char **argv, struct err *e) MUST_USE;

#endif
