/*
 * pg_conn: one connection to PostgreSQL and what is in the air on it.
 *
 *   CLOSED -> RESOLVING -> CONNECTING -> SETTING -> READY -> CLOSED
 *             (names only)               (if need be)
 *
 * Shape: a PGconn in pipeline mode, one ev_io, one ev_timer, the list of steps in the order of
 * sending. A sync ends a transaction, and with it what an error touches: a write, a description
 * and a close have one each, and SELECTs of one turn of the loop share one (pg_group). Nine files:
 * pg_conn opens and closes, pg_send sends, pg_flow reads, pg_describe keeps what is known of a
 * statement young, pg_group says what shares a transaction, pg_cancel stops queries that were given
 * up, pg_size bounds what libpq holds, pg_step counts results, pg_pool shares out.
 * Thread: its loop's. Limits: `pipeline` calls in the air, `group` of them in a transaction,
 * `connect_timeout`, `statements`, `connection_age`.
 */
#ifndef RTCACHE_BACKEND_PG_CONN_H
#define RTCACHE_BACKEND_PG_CONN_H

#include "backend/backend.h"
#include "backend/pg_error.h"
#include "backend/pg_row.h"
#include "backend/pg_signal.h"
#include "backend/pg_stmt.h"
#include "backend/pg_work.h"

struct pg_pool;

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
    struct pg_work *resolve; /* under way, or NULL */
    struct pg_signal cancel;
    int64_t opened_ms;
    int64_t retire_ms;   /* it takes nothing new from then on, and closes when it is idle */
    int64_t draining_ms; /* since when nobody wants the oldest step; 0: somebody does */
    double cancel_wait_s;
    bool proven;          /* a query has ended on it */
    bool grown;           /* libpq's buffers have, for good: it closes when it is idle */
    char last_words[256]; /* the server's, before it closes */
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
    struct query *q; /* NULL: given up */
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
    bool many;           /* its rows came all at once, were many, and it was cancelled for that */
    bool alone;          /* shared a transaction that failed, and shares no other */
    struct pg_rows rows;
};

int pg_conn_init(struct pg_conn *c, struct pg_pool *pool, uint32_t statements) MUST_USE;
void pg_conn_fini(struct pg_conn *c);
/* CLOSED -> ...; a failure may close it before this returns. */
void pg_conn_open(struct pg_conn *c);
/* Any state -> CLOSED; every call fails with why. */
void pg_conn_close(struct pg_conn *c, const struct err *why);
/* Closes it with libpq's reason. */
void pg_conn_broken(struct pg_conn *c, const char *what);
/* Sends what libpq holds, and waits for the socket where it is full. May close. */
void pg_conn_flush(struct pg_conn *c);

/* Whether the call, of this statement, is to have a transaction of its own. */
bool pg_group_leaves_out(const struct pg_conn *c, const struct pg_call *call,
                         const struct pg_stmt *st);
/* A call's query was sent that is to share one. May end the group, which may close. */
void pg_group_add(struct pg_conn *c, const struct pg_call *call);
/* There is an oldest step, and it was another one till now, or none. */
void pg_group_begins(struct pg_conn *c);
/* Sends the sync that is owed, where one is; nothing of it is closed. False: it could not. */
bool pg_group_sync(struct pg_conn *c);
/* The same, and flushes. False: that closed the connection. */
bool pg_group_end(struct pg_conn *c);
/* The step after one that is not the last of all. */
struct pg_step *pg_group_next(const struct pg_step *step);
/* Of the oldest transaction: whether it has more than one step, or may still get more. */
bool pg_group_is_shared(const struct pg_conn *c);
/* The call, of the oldest transaction, failed, and the others with it. */
void pg_group_error(struct pg_conn *c, struct pg_call *call);
/* Any of the oldest transaction's queries was given up. */
bool pg_group_given_up(const struct pg_conn *c);
/* Moves the steps of the oldest transaction into out: its sync has come. True: it had failed.
 * Learns from it which statements are quick. */
bool pg_group_take(struct pg_conn *c, struct list *out);

/* READY: sends the call now or when its statement is described. May close. */
void pg_send_call(struct pg_conn *c, struct pg_call *call);
/* Sends a call whose statement is described. May close. */
void pg_send_run(struct pg_conn *c, struct pg_call *call, struct pg_stmt *st);
/* False: that closed the connection. */
bool pg_send_describe(struct pg_conn *c, struct pg_stmt *st) MUST_USE;
/* Lets go of the statement's name on the server, where it has one. May close. */
void pg_send_close(struct pg_conn *c, struct pg_stmt *st);
/* Drops statements past the bound. May close. */
void pg_send_evict(struct pg_conn *c);

/* A description's answer; then the end of its transaction, which may close. */
void pg_describe_result(struct pg_stmt *st, const PGresult *res);
void pg_describe_ended(struct pg_conn *c, struct pg_stmt *st);
/* The call failed by what may come of an old description: it ends or runs again when that is
 * known. May close. */
void pg_describe_judge(struct pg_conn *c, struct pg_call *call);
/* Whether the description may be used; whether it is time to make it again beside that. */
bool pg_describe_is_young(const struct pg_conn *c, const struct pg_stmt *st);
bool pg_describe_is_due(const struct pg_conn *c, const struct pg_stmt *st);
/* The description may be wrong: the next call waits for another one. */
void pg_describe_doubt(const struct pg_conn *c, struct pg_stmt *st);
/* The statement was seen to have changed since it was described. */
void pg_describe_hint(struct pg_pool *p, const struct pg_stmt *st, int64_t seen_ms);
/* The connection broke: what waits for the description fails. */
void pg_describe_fail(struct pg_stmt *st, const struct err *why);

/* Takes the results that are there. May close. */
void pg_flow_read(struct pg_conn *c);
/* Ends every call with why. */
void pg_flow_fail(struct pg_conn *c, const struct err *why);
/* Results of the oldest step come next. */
void pg_flow_begin(struct pg_conn *c);
/* The call, in no list any more, is over; its query's err stands where code is not 0. */
void pg_flow_finish(struct pg_call *call, int code);
/* The call's state becomes that of one that was not sent yet. It stays on its connection. */
void pg_flow_renew(struct pg_call *call);
/* The call goes back to the head of the queue as one that was not sent. Any connection may run it.
 */
void pg_flow_give_back(struct pg_call *call);
/* Gives back what is in the air and may run twice. */
void pg_flow_hand_over(struct pg_conn *c);
/* It waits until the catalog has told of its types, and runs then. */
void pg_flow_await_types(struct pg_call *call);

/* pg_step.c. A result of the step has come, but for rows, and for the Parse before a query. */
void pg_step_count(struct pg_step *step);
bool pg_step_has_all(const struct pg_step *step);
/* Whether each step of the oldest transaction has. */
bool pg_step_answered(const struct pg_conn *c);

/* pg_size.c: what libpq holds of rows and parameters. It took so many bytes at once. */
void pg_size_note(struct pg_conn *c, uint64_t took);
/* The message that libpq has begun to read is past what a row may take: the call that it is for
 * fails, and the connection closes. */
bool pg_size_is_too_much(const struct pg_conn *c, uint64_t took);
void pg_size_refuse(struct pg_conn *c, struct pg_call *call);

void pg_cancel_init(struct pg_conn *c);
/* Whether nobody wants the oldest step any more, or a cancel is under way: then nothing new is
 * sent. But for a description that nobody waits for, until it takes long. */
bool pg_cancel_drains(const struct pg_conn *c);
/* The oldest step is another one now, or a query was given up. */
void pg_cancel_step_began(struct pg_conn *c);
void pg_cancel_settle(struct pg_conn *c);
/* Stops the oldest query though it is wanted, unless a cancel is under way: it runs again. */
void pg_cancel_now(struct pg_conn *c);
void pg_cancel_on_timer(struct pg_conn *c);

#endif
