/*
 * query: what a source is asked, and its outcome; of any driver.
 *
 * Shape: SQL text, parameters as one packed MessagePack array, the result as packed MessagePack:
 * one form of data between database, Lua and cache. The table of types is in docs/loaders.md.
 * Thread: the loader loop of its backend. Limits: conf_backend's max_result.
 */
#ifndef RTCACHE_BACKEND_QUERY_H
#define RTCACHE_BACKEND_QUERY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

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

/* Prepares q's outcome: drivers call it first in submit. */
void query_reset(struct query *q, size_t max_result);

#endif
