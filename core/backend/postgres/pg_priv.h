/*
 * pg_priv: what the files of a pool share: a connection and what is in the air on it, a call, the
 * pool itself. Each file calls only files that stand below it:
 *
 *   postgres              a pool begins and ends
 *   pg_pool               shares calls out to connections
 *   pg_conn               a connection opens, and hears the loop
 *   pg_flow               results are read, step by step
 *   pg_describe           what is known of a statement stays young
 *   pg_send               calls are sent, step by step
 *   pg_pure, pg_cancel    which statements share; queries that were given up are stopped
 *   pg_share, pg_print    what other connections know of that; which sessions are equal
 *   pg_group              what shares a transaction
 *   pg_size, pg_whole     what libpq may hold; how rows come
 *   pg_link               the socket is flushed, and closed
 *   pg_air, pg_life       all calls of a connection; when connections open, and how old they get
 *   pg_types              what types are that users made
 *   pg_call               how a call begins, ends, or begins again
 *   pg_queue              calls that wait for a connection; queries whose done is owed
 *   pg_age, pg_step       how old a description may be; whose results come
 *
 * Two calls go upwards, through struct pg_pool_ops. Thread: a pool is one loop's.
 */
#ifndef RTCACHE_BACKEND_PG_PRIV_H
#define RTCACHE_BACKEND_PG_PRIV_H

#include "backend/backend.h"
#include "backend/postgres/pg_error.h"
#include "backend/postgres/pg_param.h"
#include "backend/postgres/pg_resolver.h"
#include "backend/postgres/pg_row.h"
#include "backend/postgres/pg_signal.h"
#include "backend/postgres/pg_stmt.h"
#include "backend/postgres/pg_types.h"
#include "base/rng.h"

struct pg_pool;

#define PG_PRINT_NEVER INT64_MIN

enum pg_state { PG_CLOSED, PG_RESOLVING, PG_CONNECTING, PG_SETTING, PG_READY };

struct pg_conn {
    struct pg_pool *pool;
    enum pg_state state;
    PGconn *pg; /* NULL: CLOSED or RESOLVING */
    struct ev_io io;
    struct ev_timer timer; /* until READY: of the connect; then: of the next cancel */
    struct list steps;     /* sent, oldest first */
    struct pg_step *at;    /* whose results come next; NULL: steps is empty */
    uint64_t sent;         /* steps so far */
    int64_t began_ms;      /* when the server could begin with the oldest */
    uint32_t grouped;      /* queries sent since the last sync */
    size_t grouped_bytes;  /* of their parameters */
    bool group_failed;     /* the transaction whose results are read */
    bool whole;            /* the rows that are read now come all at once... */
    uint64_t taken;        /* ...and libpq has taken so many bytes for them */
    bool full;             /* the socket takes no more: libpq holds the rest */
    uint32_t in_air;       /* calls that wait for a statement or were sent */
    struct pg_stmts stmts;
    struct pg_lookup *lookup; /* under way, or NULL */
    struct pg_signal cancel;
    int64_t opened_ms;
    int64_t retire_ms;   /* it takes nothing new from then on, and closes when it is idle */
    int64_t draining_ms; /* since when nobody wants the oldest step; 0: somebody does */
    double cancel_wait_s;
    struct pg_print print; /* of the session, as far as it was asked for... */
    int64_t print_ms;      /* ...and when; PG_PRINT_NEVER: it was not */
    bool print_asking;     /* it is in the air */
    bool proven;           /* a query has ended on it */
    bool grown;            /* libpq's buffers have, for good: it closes when it is idle */
    char last_words[256];  /* the server's, before it closes */
};

enum pg_call_state { PG_CALL_QUEUED, PG_CALL_WAITING, PG_CALL_SENT };

/* Why a call runs a second time; each at most once. */
enum pg_redo {
    PG_REDO_STALE = 1,
    PG_REDO_CANCEL = 2,
    PG_REDO_MANY = 4,
    PG_REDO_LOST = 8,
    PG_REDO_TYPES = 16
};

/* The driver's side of a query; outlives it where it is given up in the air. */
struct pg_call {
    struct pg_step step;
    struct call *q; /* NULL: given up */
    enum pg_call_state state;
    struct pg_conn *conn;
    struct pg_stmt *stmt; /* since it was sent: a reference */
    unsigned redo, redone;
    uint32_t generation; /* of the description that it was sent by */
    uint64_t serial;     /* of the name that it was sent by; 0: none */
    bool parses;         /* its statement gets the name just before it */
    bool unnamed;        /* its name was lost: it uses none */
    bool shares;         /* may share a transaction, and may run twice without a trace */
    enum pg_doubt doubt; /* WAITING after an error that a newer description judges */
    bool own;            /* the driver's question: nobody gives it up */
    bool many;           /* its rows came all at once, were many, and it was cancelled for that */
    bool alone;          /* shared a transaction that failed, and shares no other */
    struct pg_rows rows;
};

/* What events of connections and answers of the catalog need of pg_pool.c, which stands above the
 * files that have them. */
struct pg_pool_ops {
    /* Gives waiting queries to connections. */
    void (*dispatch)(struct pg_pool *p);
    /* That, and calls done for what has ended: the last thing that a callback of the loop does. The
     * pool may be gone afterwards. */
    void (*turn)(struct pg_pool *p);
};

struct pg_pool {
    struct backend base;
    const struct pg_pool_ops *ops;
    struct ev_loop *loop;
    char *name;
    struct pg_target target;
    uint32_t pipeline, group, max_queue;
    bool prepared;      /* statements have names on the server; else one unit is in the air */
    bool full_errors;   /* they tell what they quote of rows */
    uint64_t seed;      /* of their names: two servers, or two lives of one, share none */
    uint64_t names;     /* so far */
    int64_t changed_ms; /* descriptions that were asked for before are old; clock_ms */
    int64_t statement_age_ms, connection_age_ms; /* 0 of the latter: for ever */
    size_t max_result;
    int64_t connect_timeout_ms, reconnect_base_ms, reconnect_cap_ms;
    struct pg_resolver resolver;
    struct list queue; /* calls */
    uint32_t queued;
    struct list ended; /* queries whose done is owed */
    struct ev_idle deliver;
    struct ev_prepare turn; /* ends the groups of every turn of the loop, after all that is in it */
    struct rng rng;
    uint32_t failures;     /* of connects, in a row */
    int64_t retry_ms;      /* no connect before; clock_ms */
    struct ev_timer retry; /* then, where a query waits */
    struct err down;       /* why the last one failed */
    struct pg_params params;
    struct pg_types types;
    struct backend_stats stats;
    unsigned conn_count;
    struct pg_conn conns[];
};

#endif
