/*
 * call: what a source is asked, and its outcome; of any driver.
 *
 * Shape: a text (SQL, or the name of what is wanted), parameters as one packed MessagePack array,
 * the result as packed MessagePack: one form of data between source, Lua and cache. The table of
 * SQL's types is in docs/loaders.md.
 * Thread: the loader loop of its backend. Limits: conf_backend's max_result.
 */
#ifndef RTCACHE_BACKEND_CALL_H
#define RTCACHE_BACKEND_CALL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

enum call_shape {
    CALL_ROW,   /* a map, such as column -> value, or nothing */
    CALL_ROWS,  /* an array of such maps, in order */
    CALL_VALUE, /* a value, such as the first column of the first row, or nothing */
    CALL_COUNT, /* an integer, such as rows affected */
    /* Not run, only described: [[type of each parameter, as its OID], [name of each column],
     * whether every parameter's type takes a text whole or not at all, whether it was shown that
     * the statement reads plain tables alone]; nothing from a driver whose statements have no
     * types. No older than the backend's `statement_age`. */
    CALL_TYPES,
};

/* What is known of a call that failed or was given up: a write may hang on it. */
enum call_fate {
    CALL_UNSENT, /* the source never saw it */
    CALL_SENT,   /* the source has it, and has not said what became of it */
    CALL_UNDONE, /* the source has answered with an error, and undone what the call did */
    CALL_DONE,   /* it ran, and what it changed stays; but it failed in part, or what it gave could
                     not be taken */
};

/* Embedded in its owner, who keeps it in place from backend_submit until done or backend_cancel. */
struct call {
    int verb;              /* in the driver's table of verbs (verb.h) */
    struct slice text;     /* borrowed until then */
    struct slice params;   /* a packed array, borrowed until then; empty: no parameters */
    enum call_shape shape; /* the verb's */
    void (*done)(struct call *q);
    /* The outcome, valid from done on. */
    int code;            /* 0 or ERR_* */
    enum call_fate fate; /* where code is not 0, and after backend_cancel */
    struct err err;      /* with the source's own message; SQLSTATE in front where there is one */
    bool found;          /* ROW, VALUE, TYPES: whether there is one */
    struct buf result;   /* owned by the call's owner, who calls buf_fini */
    /* The driver's. */
    struct list link;
    void *driver;
};

/* Prepares q's outcome: drivers call it first in submit. */
void call_reset(struct call *q, size_t max_result);

#endif
