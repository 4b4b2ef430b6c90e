/*
 * sqlite_stmt: one prepared statement, the numbers of its parameters and the kinds of its columns.
 *
 * Shape: parameters are "?" (in order), "?7" or "$7" (by number); one statement uses one way.
 * SQLite itself takes "$7" for a name, so a table from number to SQLite's index stands beside.
 * Thread: the worker that has the connection. Limits: one statement a text; parameters up to
 * 32766, as SQLite's own default.
 */
#ifndef RTCACHE_BACKEND_SQLITE_STMT_H
#define RTCACHE_BACKEND_SQLITE_STMT_H

#include "backend/sqlite/sqlite_value.h"
#include "base/list.h"
#include "base/slice.h"

struct sqlite_column {
    char *name; /* owned */
    enum sqlite_kind kind;
};

struct sqlite_stmt {
    struct list lru;          /* the connection's */
    struct sqlite_stmt *next; /* the connection's: of the same bucket */
    uint64_t hash;
    sqlite3_stmt *raw;
    unsigned params;  /* how many values it takes */
    int *index_of;    /* owned: of number n at n - 1; 0: not used; NULL: number and index agree */
    int columns_seen; /* -1: not yet; else how often SQLite had prepared it again by then */
    int column_count;
    struct sqlite_column *columns; /* owned */
    const char *twice;             /* a name that two columns have, or NULL */
    size_t sql_size;
    char sql[];
};

/* Prepares sql (valid UTF-8 without NUL). ERR_BACKEND with SQLite's message, or as
 * sqlite_stmt_failed. */
int sqlite_stmt_new(struct sqlite_stmt **out, sqlite3 *db, struct slice sql, uint64_t hash,
                    struct err *e) MUST_USE;
void sqlite_stmt_free(struct sqlite_stmt *s); /* NULL is allowed */

/* params: a packed array, or empty; borrowed until the bindings are cleared. */
int sqlite_stmt_bind(struct sqlite_stmt *s, struct slice params, struct err *e) MUST_USE;

/* Looks at the columns, again where the schema changed. After the first step. */
int sqlite_stmt_look(struct sqlite_stmt *s, struct err *e) MUST_USE;
/* The current row as a map. Two columns of one name are an error. */
int sqlite_stmt_pack_row(struct sqlite_stmt *s, struct buf *out, struct err *e) MUST_USE;
/* The first column of the current row. */
int sqlite_stmt_pack_value(struct sqlite_stmt *s, struct buf *out, struct err *e) MUST_USE;

/* SQLite's result code as one of ours, with the connection's message. Returns that code. */
int sqlite_stmt_failed(sqlite3 *db, int rc, struct err *e);

#endif
