/*
 * pg_resolver: host names looked up off the loop (getaddrinfo blocks).
 *
 * Shape: a lookup is allocated, runs on a worker, comes back to the loop, ends; its connection may
 * be gone by then and says so by setting conn to NULL. One thread, begun with the first lookup.
 * Thread: the loop's. Limits: one lookup per connection.
 */
#ifndef RTCACHE_BACKEND_PG_RESOLVER_H
#define RTCACHE_BACKEND_PG_RESOLVER_H

#include "backend/postgres/pg_target.h"
#include "sys/pool.h"

struct pg_conn;

struct pg_resolver {
    struct ev_loop *loop;
    struct pool *pool; /* NULL until the first lookup */
    struct list lookups;
};

struct pg_lookup {
    struct pool_task task;
    struct list link;     /* in lookups */
    struct pg_conn *conn; /* NULL: nobody waits for it any more */
    void (*done)(struct pg_lookup *lookup,
                 struct pg_conn *conn); /* on the loop, where conn is left */
    const struct pg_target *target;
    struct pg_hosts hosts;
    struct err err; /* code 0: it went well */
};

void pg_resolver_init(struct pg_resolver *r, struct ev_loop *loop);
/* Waits for what runs; connections are gone already. */
void pg_resolver_fini(struct pg_resolver *r);

/* Begins a lookup; NULL with the reason in e. done gets it, and it ends with that call. */
struct pg_lookup *pg_resolver_begin(struct pg_resolver *r, struct pg_conn *conn,
                                    const struct pg_target *target,
                                    void (*done)(struct pg_lookup *, struct pg_conn *),
                                    struct err *e);

#endif
