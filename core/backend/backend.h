/*
 * backend: a source of data behind one small interface, without Lua.
 *
 *   bind --backend_submit(query)--> driver --(socket or worker thread)--> query->done(query)
 *
 * Shape: SQL text, parameters as one packed MessagePack array, the result as packed MessagePack:
 * one form of data between database, Lua and cache. The table of types is in docs/loaders.md.
 * Thread: one loader loop owns a backend and every query of it; done runs on that loop, never
 * inside backend_submit. Limits: conf_backend's pool, pipeline, max_queue, statements, max_result.
 */
#ifndef RTCACHE_BACKEND_BACKEND_H
#define RTCACHE_BACKEND_BACKEND_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "conf/conf.h"

#include <ev.h>

enum query_shape {
    QUERY_ROW,   /* a map column -> value, or nothing */
    QUERY_ROWS,  /* an array of such maps, in order */
    QUERY_VALUE, /* the first column of the first row, or nothing */
    QUERY_EXEC,  /* an integer: rows affected */
    /* Not run, only described: [[type of each parameter, as its OID], [name of each column],
     * whether every parameter's type takes a text whole or not at all, whether it was shown that
     * the statement reads plain tables alone]; nothing from a driver whose statements have no
     * types. No older than the backend's `statement_age`. */
    QUERY_TYPES,
};

/* What is known of a query that failed or was given up: a write may hang on it. */
enum query_fate {
    QUERY_UNSENT, /* the source never saw it */
    QUERY_SENT,   /* the source has it, and has not said what became of it */
    QUERY_UNDONE, /* the source has answered with an error, and undone the statement */
    QUERY_DONE,   /* it ran, and what it changed stays; but it failed in part, or what it gave could
                     not be taken */
};

/* Embedded in its owner, who keeps it in place from backend_submit until done or backend_cancel. */
struct query {
    struct slice sql;    /* borrowed until then */
    struct slice params; /* a packed array, borrowed until then; empty: no parameters */
    enum query_shape shape;
    /* It asks one statement for the keys of many, of which QUERY_TYPES has just told that it reads
     * plain tables alone: so does this, whose own text tells less. */
    bool plain;
    void (*done)(struct query *q);
    /* The outcome, valid from done on. */
    int code;             /* 0 or ERR_* */
    enum query_fate fate; /* where code is not 0, and after backend_cancel */
    struct err err;    /* with the database's own message; SQLSTATE in front where there is one */
    bool found;        /* ROW, VALUE, TYPES: whether there is one */
    struct buf result; /* owned by the query's owner, who calls buf_fini */
    /* The driver's. */
    struct list link;
    void *driver;
};

struct backend;

struct backend_stats {
    uint64_t queries, failures, connects, disconnects, cancels, timeouts;
    uint64_t groups, groups_failed; /* postgres: transactions of more than one SELECT */
    uint64_t reruns;                /* postgres: for rows that were too many to take at once */
    uint64_t descriptions;          /* postgres: statements described, again or the first time */
    uint64_t stale;                 /* postgres: queries run again by a newer description */
    uint64_t lost;                  /* postgres: queries run again for their name was not there */
    uint64_t retired;               /* postgres: connections closed for their age */
    uint64_t grown;                 /* postgres: connections closed for a row's size */
    uint32_t connections, idle, in_flight, queued;
    uint32_t statements_shared, statements_alone; /* postgres: by what was shown of them */
    uint32_t unprepared; /* postgres: threads that have given up names, for a pooler's sake */
};

struct backend_ops {
    void (*submit)(struct backend *b, struct query *q);
    void (*cancel)(struct backend *b, struct query *q);
    void (*free)(struct backend *b);
    void (*read_stats)(const struct backend *b, struct backend_stats *out);
};

/* The head of every driver's own struct. */
struct backend {
    const struct backend_ops *ops;
    const char *name; /* owned by the driver's struct */
    int refs;         /* one loop's: not atomic */
};

/* Makes a backend of conf's driver on this loop. share: this loop's part of the pool, at least 1.
 * It does not wait for the database: a database that is down is an error of each query, not of
 * this. */
int backend_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e) MUST_USE;
int postgres_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                 unsigned share, struct err *e) MUST_USE;
int sqlite_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
               unsigned share, struct err *e) MUST_USE;

static inline struct backend *backend_ref(struct backend *b)
{
    b->refs++;
    return b;
}

/* The last reference closes connections and ends threads; no query may be in the air then. */
void backend_unref(struct backend *b);

static inline void backend_submit(struct backend *b, struct query *q)
{
    b->ops->submit(b, q);
}

/* Gives q up: done will not be called, q may be released at once (its result too), and its fate
 * stands. The database is told to stop; the connection is used again only when it is drained. */
static inline void backend_cancel(struct backend *b, struct query *q)
{
    b->ops->cancel(b, q);
}

/* Prepares q's outcome: drivers call it first in submit. */
void query_reset(struct query *q, size_t max_result);

#endif
