/*
 * pg_stmt: the prepared statements of one connection, by SQL text, least recently used out first.
 *
 * Shape: a chained hash of as many buckets as statements are kept, and a list by use; O(1). A
 * statement is described once: types of its parameters, names and types of its columns, with the
 * names packed already. Life: shared by reference; the cache holds one, each query in the air one.
 * Thread: its connection's loop. Limits: conf_backend's `statements`; those that are being prepared
 * are not evicted, so the cache may pass it for that long.
 */
#ifndef RTCACHE_BACKEND_PG_STMT_H
#define RTCACHE_BACKEND_PG_STMT_H

#include "base/buf.h"
#include "base/list.h"

#include <libpq-fe.h>
#include <stdint.h>

/* One thing sent on a connection, in the order of sending. */
enum pg_step_kind { PG_STEP_PREPARE, PG_STEP_RUN, PG_STEP_CLOSE };
struct pg_step {
    struct list link;
    enum pg_step_kind kind;
    bool ends;    /* a sync follows it: its transaction ends with it */
    bool exposed; /* a cancel was under way while it was in the air, and may have hit it */
};

struct pg_stmt {
    struct pg_step step;  /* of its preparation, later of its close */
    struct list lru;      /* in the cache; points at itself when out of it */
    struct list waiting;  /* calls that run when it is prepared */
    struct pg_stmt *next; /* in its bucket */
    uint64_t hash;
    int refs;
    bool prepared, described; /* the answers that have come */
    bool hit;                 /* its preparation ended by another query's cancel */
    bool nests;               /* a column may hold values in values */
    bool ready;               /* prepared and described */
    bool quick;               /* took so little time lately that it may share a transaction */
    bool reads;               /* a SELECT or its like: it may run twice */
    bool alone;               /* runs in a transaction of its own, never in a group */
    bool few;                 /* its last answer had few rows: they may come all at once... */
    bool many;                /* ...but once they were many then */
    bool retried;   /* its preparation was hit by another query's cancel and began again */
    struct err err; /* why it could not be prepared */
    char name[24];
    int params, columns;
    Oid *param_types, *column_types;
    struct buf keys;  /* the columns' names, packed, one after the other */
    size_t *key_ends; /* where each ends in keys */
    int repeated;     /* the first column, from 1, whose name stands before it too; or 0 */
    size_t sql_size;
    char sql[]; /* NUL-terminated */
};

struct pg_stmts {
    struct list lru; /* most recent first */
    struct pg_stmt **buckets;
    size_t bucket_mask;
    uint32_t count, max;
    uint32_t named; /* statements of this connection so far */
};

int pg_stmt_init(struct pg_stmts *s, uint32_t max) MUST_USE;
void pg_stmt_fini(struct pg_stmts *s);
/* Forgets all: the connection they were prepared on is gone. */
void pg_stmt_clear(struct pg_stmts *s);

/* NULL where there is none. Counts as a use. */
struct pg_stmt *pg_stmt_find(struct pg_stmts *s, struct slice sql);
/* A new one, not ready, in the cache; *out is the cache's reference. ERR_BAD_REQUEST for SQL that
 * a shared connection cannot run (transactions, session settings, COPY) or with a NUL byte. */
int pg_stmt_add(struct pg_stmts *s, struct slice sql, struct pg_stmt **out, struct err *e) MUST_USE;
/* Another name, and as if nothing had been sent of it. */
void pg_stmt_rename(struct pg_stmts *s, struct pg_stmt *st);
/* Takes what the server says of it. ERR_NOMEM; ERR_BACKEND for a column name that is not UTF-8. */
int pg_stmt_describe(struct pg_stmt *st, const PGresult *res, struct err *e) MUST_USE;
/* The name of column i, from 0. */
struct slice pg_stmt_column(const struct pg_stmt *st, int i);
/* Out of the cache; handed over: the caller owns the cache's reference. */
void pg_stmt_take(struct pg_stmts *s, struct pg_stmt *st);
/* The least recently used one that is ready, where the cache is past its bound; else NULL. */
struct pg_stmt *pg_stmt_evictable(struct pg_stmts *s);

void pg_stmt_unref(struct pg_stmt *st);

#endif
