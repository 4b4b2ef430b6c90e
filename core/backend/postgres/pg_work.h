/*
 * pg_work: host names looked up off the loop (getaddrinfo blocks).
 *
 * Shape: a job is allocated, runs on a worker, comes back to the loop, ends; its connection may be
 * gone by then and says so by setting conn to NULL. One thread, begun with the first job.
 * Thread: the loop's. Limits: one job per connection.
 */
#ifndef RTCACHE_BACKEND_PG_WORK_H
#define RTCACHE_BACKEND_PG_WORK_H

#include "backend/postgres/pg_target.h"
#include "sys/pool.h"

struct pg_conn;

struct pg_works {
    struct ev_loop *loop;
    struct pool *pool; /* NULL until the first job */
    struct list jobs;
};

struct pg_work {
    struct pool_task task;
    struct list link;                                      /* in jobs */
    struct pg_conn *conn;                                  /* NULL: nobody waits for it any more */
    void (*done)(struct pg_work *w, struct pg_conn *conn); /* on the loop, where conn is left */
    const struct pg_target *target;
    struct pg_hosts hosts;
    struct err err; /* code 0: it went well */
};

void pg_work_init(struct pg_works *w, struct ev_loop *loop);
/* Waits for what runs; connections are gone already. */
void pg_work_fini(struct pg_works *w);

/* Begins a job; NULL with the reason in e. done gets it, and it ends with that call. */
struct pg_work *pg_work_resolve(struct pg_works *w, struct pg_conn *conn,
                                const struct pg_target *target,
                                void (*done)(struct pg_work *, struct pg_conn *), struct err *e);

#endif
