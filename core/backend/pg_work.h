/*
 * pg_work: what blocks, and so runs off the loop: looking up host names, and cancels (PQcancel
 * opens a connection of its own and waits for it).
 *
 * Shape: a job is allocated, runs on a worker, comes back to the loop, ends; its connection may be
 * gone by then and says so by setting conn to NULL. Two threads, begun with the first job, so that
 * a cancel that hangs does not hold up a reconnect. Thread: the loop's, but for `run`.
 * Limits: one job of each kind per connection.
 */
#ifndef RTCACHE_BACKEND_PG_WORK_H
#define RTCACHE_BACKEND_PG_WORK_H

#include "backend/pg_target.h"
#include "sys/pool.h"

struct pg_conn;

struct pg_works {
    struct ev_loop *loop;
    struct pool *pool; /* NULL until the first job */
    struct list jobs;
};

struct pg_work {
    struct pool_task task;
    struct list link;     /* in jobs */
    struct pg_conn *conn; /* NULL: nobody waits for it any more */
    void (*run)(struct pg_work *w);
    void (*done)(struct pg_work *w, struct pg_conn *conn); /* on the loop, where conn is left */
    /* resolve */
    const struct pg_target *target;
    struct pg_hosts hosts;
    struct err err; /* code 0: it went well */
    /* cancel */
    PGcancel *cancel;
};

void pg_work_init(struct pg_works *w, struct ev_loop *loop);
/* Waits for what runs; connections are gone already. */
void pg_work_fini(struct pg_works *w);

/* Begins a job; NULL with the reason in e. done gets it, and it ends with that call. */
struct pg_work *pg_work_resolve(struct pg_works *w, struct pg_conn *conn,
                                const struct pg_target *target,
                                void (*done)(struct pg_work *, struct pg_conn *), struct err *e);
struct pg_work *pg_work_cancel(struct pg_works *w, struct pg_conn *conn, PGconn *pg,
                               void (*done)(struct pg_work *, struct pg_conn *), struct err *e);

#endif
