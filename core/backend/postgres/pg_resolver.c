#include "backend/postgres/pg_resolver.h"

#include <stdlib.h>

void pg_resolver_init(struct pg_resolver *r, struct ev_loop *loop)
{
    r->loop = loop;
    r->pool = NULL;
    list_init(&r->lookups);
}

static void lookup_free(struct pg_lookup *lookup)
{
    list_remove(&lookup->link);
    pg_target_hosts_fini(&lookup->hosts);
    free(lookup);
}

void pg_resolver_fini(struct pg_resolver *r)
{
    pool_free(r->pool);
    r->pool = NULL;
    while (!list_empty(&r->lookups)) /* those that had not begun */
        lookup_free(container_of(r->lookups.next, struct pg_lookup, link));
}

static void lookup_run(struct pool_task *t, void *worker)
{
    (void)worker;
    struct pg_lookup *lookup = container_of(t, struct pg_lookup, task);
    (void)!pg_target_resolve(lookup->target, &lookup->hosts, &lookup->err);
}

static void lookup_done(struct pool_task *t)
{
    struct pg_lookup *lookup = container_of(t, struct pg_lookup, task);
    struct pg_conn *conn = lookup->conn;
    void (*done)(struct pg_lookup *, struct pg_conn *) = lookup->done;
    /* The backend may end inside done, and its lookups with it: this one is none of them any
     * more. */
    list_remove(&lookup->link);
    if (conn)
        done(lookup, conn);
    lookup_free(lookup);
}

static struct pg_lookup *lookup_new(struct pg_resolver *r, struct pg_conn *conn, struct err *e)
{
    const struct pool_options options = {.name = "pg", .threads = 1};
    if (!r->pool && pool_new(&r->pool, r->loop, &options, e) != 0)
        return NULL;
    struct pg_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) {
        err_set(e, ERR_NOMEM, "no memory for a lookup");
        return NULL;
    }
    lookup->conn = conn;
    lookup->task.work = lookup_run;
    lookup->task.done = lookup_done;
    list_push_back(&r->lookups, &lookup->link);
    return lookup;
}

struct pg_lookup *pg_resolver_begin(struct pg_resolver *r, struct pg_conn *conn,
                                    const struct pg_target *target,
                                    void (*done)(struct pg_lookup *, struct pg_conn *),
                                    struct err *e)
{
    struct pg_lookup *lookup = lookup_new(r, conn, e);
    if (!lookup)
        return NULL;
    lookup->target = target;
    lookup->done = done;
    pool_submit(r->pool, &lookup->task);
    return lookup;
}
