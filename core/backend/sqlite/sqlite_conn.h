/*
 * sqlite_conn: one connection to an SQLite file, with its prepared statements.
 *
 * Shape: opened by the first query that needs it, and closed after a fault of the file and when its
 * path leads to another one (sqlite_file.h), so that the next query opens it again; statements are
 * found by hash of their text, least recently used out. A query is one transaction: BEGIN, ATTACH
 * and settings that outlive a query are refused. Thread: one worker. Limits: struct
 * sqlite_settings.
 */
#ifndef RTCACHE_BACKEND_SQLITE_CONN_H
#define RTCACHE_BACKEND_SQLITE_CONN_H

#include "backend/call.h"

/* The backend's, the same for all its workers, never changed. */
struct sqlite_settings {
    const char *path;
    const char *init; /* or NULL */
    size_t statements;
    size_t max_result;
    int64_t busy_timeout_ms;
};

/* One query as a worker sees it. */
struct sqlite_run {
    struct slice sql, params;
    enum call_shape shape;
    bool (*given_up)(const struct sqlite_run *run); /* asked often while it runs */
    /* The outcome. */
    int code;
    enum call_fate fate;
    struct err err;
    bool found;
    struct buf result;  /* owned by whoever owns the run; initialised by them */
    int opened, closed; /* connections, for the statistics */
};

struct sqlite_conn;

/* NULL: no memory. s is borrowed for the life of the connection. */
struct sqlite_conn *sqlite_conn_new(const struct sqlite_settings *s);
void sqlite_conn_free(struct sqlite_conn *c); /* NULL is allowed */
/* Runs it to its end and fills the outcome. */
void sqlite_conn_run(struct sqlite_conn *c, struct sqlite_run *run);
/* How many prepared statements it keeps. */
size_t sqlite_conn_statements(const struct sqlite_conn *c);

#endif
