#include "backend/postgres/postgres.h"

#include "backend/postgres/pg_conn.h"
#include "backend/postgres/pg_group.h"
#include "backend/postgres/pg_known.h"
#include "backend/postgres/pg_link.h"
#include "backend/postgres/pg_listen.h"
#include "backend/postgres/pg_log.h"
#include "backend/postgres/pg_options.h"
#include "backend/postgres/pg_pool.h"
#include "backend/postgres/pg_queue.h"
#include "backend/sql.h"

#include <stdlib.h>
#include <string.h>

static void postgres_free(struct backend *b)
{
    struct pg_pool *p = (struct pg_pool *)b;
    struct err why;
    err_set(&why, ERR_SHUTDOWN, "the backend ends");
    for (unsigned i = 0; i < p->conn_count; i++)
        pg_link_close(&p->conns[i], &why);
    struct list *link;
    while ((link = list_pop_front(&p->queue)) != NULL) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        pg_queue_end(p, call->q, ERR_SHUTDOWN);
        free(call);
    }
    while ((link = list_pop_front(&p->ended)) != NULL) { /* the driver's own questions */
        struct call *q = container_of(link, struct call, link);
        q->done(q);
    }
    pg_types_fini(&p->types);
    pg_resolver_fini(&p->resolver);
    ev_idle_stop(p->loop, &p->deliver);
    ev_timer_stop(p->loop, &p->retry);
    ev_ref(p->loop);
    ev_prepare_stop(p->loop, &p->turn);
    for (unsigned i = 0; i < p->conn_count; i++)
        pg_conn_fini(&p->conns[i]);
    pg_param_fini(&p->params);
    pg_target_fini(&p->target);
    free(p->name);
    free(p);
}

/* A connection that closes here has queries to tell, and others may go elsewhere: on_deliver. */
static void on_turn(struct ev_loop *loop, struct ev_prepare *turn, int events)
{
    (void)events;
    struct pg_pool *p = turn->data;
    for (unsigned i = 0; i < p->conn_count; i++)
        if (!pg_group_end(&p->conns[i]))
            ev_idle_start(loop, &p->deliver);
}

static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)events;
    pg_pool_turn(timer->data);
}

static void on_deliver(struct ev_loop *loop, struct ev_idle *idle, int events)
{
    (void)loop, (void)events;
    pg_pool_turn(idle->data);
}

static const struct pg_pool_ops pool_ops = {
    .dispatch = pg_pool_dispatch,
    .turn = pg_pool_turn,
};

static const struct backend_ops postgres_ops = {
    .submit = pg_pool_submit,
    .answer = pg_known_answer,
    .cancel = pg_pool_cancel,
    .free = postgres_free,
    .read_stats = pg_pool_read_stats,
};

static uint32_t bound(int64_t v, int64_t least)
{
    return (uint32_t)(v < least ? least : v > INT32_MAX ? INT32_MAX : v);
}

static int postgres_open(struct backend **out, struct ev_loop *loop,
                         const struct conf_backend *conf, unsigned share, struct err *e)
{
    const struct pg_conf *own = conf->own;
    unsigned conns = share ? share : 1;
    *out = NULL;
    struct pg_pool *p = calloc(1, sizeof *p + conns * sizeof p->conns[0]);
    if (!p)
        return err_set(e, ERR_NOMEM, "backend '%s': no memory", conf->name);
    p->loop = loop;
    p->ops = &pool_ops;
    p->base = (struct backend){.ops = &postgres_ops, .refs = 1};
    p->pipeline = bound(own->pipeline, 1);
    p->group = bound(own->group, 1);
    p->max_queue = bound(conf->max_queue, 0);
    p->max_result = conf->max_result > 0 ? (size_t)conf->max_result : 0;
    p->connect_timeout_ms = own->connect_timeout_ms;
    p->reconnect_base_ms = own->reconnect_base_ms;
    p->reconnect_cap_ms = own->reconnect_cap_ms;
    p->prepared = own->prepared;
    p->full_errors = conf->full_errors;
    p->statement_age_ms = own->statement_age_ms;
    p->connection_age_ms = own->connection_age_ms;
    p->changed_ms = INT64_MIN;
    p->seed = rng_os();
    p->rng.state = rng_os();
    list_init(&p->queue);
    list_init(&p->ended);
    pg_types_init(&p->types);
    p->params.known = &p->types;
    pg_resolver_init(&p->resolver, loop);
    ev_idle_init(&p->deliver, on_deliver);
    ev_set_priority(&p->deliver, EV_MAXPRI); /* busy connections do not hold it up */
    p->deliver.data = p;
    ev_timer_init(&p->retry, on_retry, 0., 0.);
    p->retry.data = p;
    ev_prepare_init(&p->turn, on_turn);
    ev_set_priority(&p->turn, EV_MINPRI + 1); /* after those in which loads begin */
    p->turn.data = p;
    ev_prepare_start(loop, &p->turn);
    ev_unref(loop);
    int rc = pg_target_init(&p->target, own->url, own->connect_timeout_ms, e);
    p->name = strdup(conf->name);
    p->base.name = p->name;
    while (rc == 0 && p->conn_count < conns) {
        rc = pg_conn_init(&p->conns[p->conn_count], p, bound(own->statements, 1));
        p->conn_count++;
        if (rc != 0)
            err_set(e, rc, "no memory for connections");
    }
    if (rc == 0 && !p->name)
        rc = err_set(e, ERR_NOMEM, "no memory for a name");
    if (rc != 0) {
        err_prefix(e, "backend '%s'", conf->name);
        postgres_free(&p->base);
        return rc;
    }
    *out = &p->base;
    return 0;
}

static int postgres_listen(struct listen **out, struct ev_loop *loop,
                           const struct conf_backend *conf, const struct listen_events *events,
                           struct err *e)
{
    const struct pg_conf *own = conf->own;
    return (own->feed_log ? pg_log_new : pg_listen_new)(out, loop, conf, events, e);
}

const struct backend_driver postgres_driver = {
    .conf = {.name = "postgres",
             .options = pg_options,
             .own_size = sizeof(struct pg_conf),
             .speaks_sql = true,
             .check = pg_options_check,
             .name_source = pg_options_name_source},
    .verbs = sql_verbs,
    .open = postgres_open,
    .listen = postgres_listen,
};
