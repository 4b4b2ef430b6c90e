/*
 * pg_stmt: the statements of one connection, by SQL text, least recently used out first.
 *
 *   described (Parse "", Describe) -> run by a name of the server's, or without one
 *
 * Shape: a chained hash of as many buckets as statements are kept, and a list by use; O(1). A
 * description is made by the unnamed statement, so that each is a fresh analysis of the text, and
 * is made again when it is older than `statement_age` or an error may come of its age. A name is
 * used for what reads by parameters of exact types (pg_desc): it holds a hash of the text and the
 * types, a seed of its pool and a number that is used once, so no other statement, of whomever,
 * can have it. What writes has none: the server analyses it anew every time.
 * Life: shared by reference; the cache holds one, each query in the air one.
 * Thread: its connection's loop. Limits: conf_backend's `statements`; those that are being
 * described are not evicted, so the cache may pass it for that long.
 */
#ifndef RTCACHE_BACKEND_PG_STMT_H
#define RTCACHE_BACKEND_PG_STMT_H

#include "backend/postgres/pg_desc.h"
#include "base/list.h"

#include <stdint.h>

/* One thing sent on a connection, in the order of sending. */
enum pg_step_kind { PG_STEP_DESCRIBE, PG_STEP_RUN, PG_STEP_CLOSE };
struct pg_step {
    struct list link;
    enum pg_step_kind kind;
    bool ends;        /* a sync follows it: its transaction ends with it */
    bool exposed;     /* a cancel was under way while it was in the air, and may have hit it */
    bool known;       /* of a close: the server had said that it knows the name */
    uint64_t seq;     /* in the order of sending, from 1 */
    unsigned results; /* that came; of a query without its rows and its Parse */
};

/* What is known of whether a statement may share a transaction; pg_pure keeps it. */
enum pg_pure_state {
    PG_PURE_UNKNOWN, /* nobody has asked yet */
    PG_PURE_NEVER,   /* its text does more than read, or may */
    PG_PURE_NO,      /* what its names mean does */
    PG_PURE_YES,
};
/* Of a session (pg_print); 0, 0: none. */
struct pg_print {
    uint64_t high, low;
};
struct pg_pure {
    enum pg_pure_state state;
    bool asking;           /* the database is being asked */
    bool awaited;          /* queries of type CALL_TYPES want to know it */
    struct list waiting;   /* calls of these, until it has answered */
    uint32_t runs;         /* since it was asked */
    uint32_t generation;   /* of the description that the question answered last was asked by */
    int64_t asked_ms;      /* when that question was asked; clock_ms */
    int64_t sent_ms;       /* when the one in the air was */
    struct pg_print print; /* of the session that gave that answer */
};

struct pg_stmt {
    struct pg_step step;  /* of its description */
    struct list lru;      /* in the cache; points at itself when out of it */
    struct list waiting;  /* calls that run, or end, when it is described */
    struct pg_stmt *next; /* in its bucket */
    uint64_t hash;
    int refs;
    struct pg_desc desc;
    bool described;         /* once at least */
    bool describing;        /* again or for the first time */
    bool changed;           /* it was described before, and otherwise */
    unsigned answers;       /* of the two that a description has */
    bool hit;               /* its description ended by another query's cancel... */
    bool retried;           /* ...and began again, once at least */
    struct err err;         /* why it could not be described */
    int64_t asked_ms;       /* when the last description was sent; clock_ms */
    int64_t described_ms;   /* when the description that is used was sent; clock_ms */
    uint64_t described_seq; /* of its step */
    uint32_t generation;    /* counts descriptions that differ from the one before */
    char name[64];          /* on the server */
    uint64_t serial;        /* of the name; 0: it has none */
    bool parsed;            /* the server has said that it knows the name */
    bool reads;             /* a SELECT, VALUES or TABLE: given up where a row cannot be taken */
    bool nameable;          /* has no part that writes by its words: it may run twice */
    bool repeats;           /* an error undoes all that it did: it may run again after one */
    struct pg_pure pure;
    /* Reads plain tables alone, as was shown: may share a transaction, and may run twice without a
     * trace. A description that has changed takes it back. */
    bool plain;
    bool quick; /* took so little time lately that it may share a transaction */
    bool alone; /* runs in a transaction of its own, never in a group */
    bool few;   /* its last answer had few rows: they may come all at once... */
    bool many;  /* ...but once they were many then */
    size_t sql_size;
    char sql[]; /* NUL-terminated */
};

struct pg_stmts {
    struct list lru; /* most recent first */
    struct pg_stmt **buckets;
    size_t bucket_mask;
    uint32_t count, max;
};

int pg_stmt_init(struct pg_stmts *s, uint32_t max) MUST_USE;
void pg_stmt_fini(struct pg_stmts *s);
/* Forgets all: the connection they were prepared on is gone. */
void pg_stmt_clear(struct pg_stmts *s);

/* NULL where there is none. Counts as a use. */
struct pg_stmt *pg_stmt_find(struct pg_stmts *s, struct slice sql);
/* The one with the text of another connection's; NULL where there is none. Counts as no use. */
const struct pg_stmt *pg_stmt_peek(const struct pg_stmts *s, const struct pg_stmt *like);
/* A new one, not ready, in the cache; *out is the cache's reference. ERR_BAD_REQUEST for SQL that
 * a shared connection cannot run (transactions, session settings, COPY) or with a NUL byte. */
int pg_stmt_add(struct pg_stmts *s, struct slice sql, struct pg_stmt **out, struct err *e) MUST_USE;
/* Takes what the server says of it. ERR_NOMEM; ERR_BACKEND for a column name that is not UTF-8. */
int pg_stmt_describe(struct pg_stmt *st, const PGresult *res, struct err *e) MUST_USE;
/* Takes the columns of an answer, where they are others than those of its description. */
int pg_stmt_adopt(struct pg_stmt *st, const PGresult *res, struct err *e) MUST_USE;
/* Another name, of its pool's seed and a number that is used once. */
void pg_stmt_rename(struct pg_stmt *st, uint64_t seed, uint64_t serial);
/* Out of the cache; handed over: the caller owns the cache's reference. */
void pg_stmt_take(struct pg_stmts *s, struct pg_stmt *st);
/* The least recently used one that is described, where the cache is past its bound; else NULL. */
struct pg_stmt *pg_stmt_evictable(struct pg_stmts *s);

void pg_stmt_unref(struct pg_stmt *st);

#endif
