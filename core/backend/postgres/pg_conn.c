#include "backend/postgres/pg_conn.h"

#include "backend/postgres/pg_cancel.h"
#include "backend/postgres/pg_flow.h"
#include "backend/postgres/pg_life.h"
#include "backend/postgres/pg_link.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <strings.h>

static void conn_on_io(struct ev_loop *loop, struct ev_io *io, int events);
static void conn_on_timer(struct ev_loop *loop, struct ev_timer *timer, int events);

int pg_conn_init(struct pg_conn *c, struct pg_pool *pool, uint32_t statements)
{
    *c = (struct pg_conn){.pool = pool, .state = PG_CLOSED, .print_ms = PG_PRINT_NEVER};
    list_init(&c->steps);
    ev_init(&c->io, conn_on_io);
    ev_init(&c->timer, conn_on_timer);
    pg_cancel_init(c);
    c->io.data = c->timer.data = c;
    return pg_stmt_init(&c->stmts, statements);
}

void pg_conn_fini(struct pg_conn *c)
{
    pg_stmt_fini(&c->stmts);
}

/* ---- opening ---- */

static void on_notice(void *arg, const PGresult *res)
{
    struct pg_conn *c = arg;
    struct err said;
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    pg_error_of_result(res, false, &said);
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        snprintf(c->last_words, sizeof c->last_words, "%.255s", said.text);
    else
        log_debug("pg.notice", "backend=%s text=%s", c->pool->name, log_q(said.text));
}

static void become_ready(struct pg_conn *c)
{
    if (!PQenterPipelineMode(c->pg)) {
        pg_link_broken(c, "no pipeline mode");
        return;
    }
    c->state = PG_READY;
    ev_timer_stop(c->pool->loop, &c->timer);
    pg_link_watch(c, EV_READ);
    pg_life_opened(c->pool, c);
}

/* What values are read by; most servers are set so already, which saves the round trip. */
static const char *settings_for(const PGconn *pg)
{
    const char *style = PQparameterStatus(pg, "DateStyle");
    bool iso = style && strncmp(style, "ISO", 3) == 0;
    bool exact = PQserverVersion(pg) >= 120000; /* floats in the shortest form that is exact */
    if (iso && exact)
        return NULL;
    return exact ? "SET DateStyle = 'ISO'" : "SET DateStyle = 'ISO'; SET extra_float_digits = 3";
}

static void on_connected(struct pg_conn *c)
{
    if (PQsetnonblocking(c->pg, 1) != 0) {
        pg_link_broken(c, "no non-blocking mode");
        return;
    }
    const char *settings = settings_for(c->pg);
    if (!settings) {
        become_ready(c);
        return;
    }
    c->state = PG_SETTING;
    if (!PQsendQuery(c->pg, settings))
        pg_link_broken(c, "cannot set the session");
    else
        pg_link_flush(c);
}

static void read_settings(struct pg_conn *c)
{
    while (!PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        ExecStatusType status = PQresultStatus(res);
        PQclear(res);
        if (!res) {
            become_ready(c);
            return;
        }
        if (status != PGRES_COMMAND_OK) {
            pg_link_broken(c, "cannot set the session");
            return;
        }
    }
}

static void poll_connect(struct pg_conn *c)
{
    ev_io_stop(c->pool->loop, &c->io); /* before libpq may close the descriptor */
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_OK: on_connected(c); break;
    case PGRES_POLLING_READING: pg_link_watch(c, EV_READ); break;
    case PGRES_POLLING_WRITING: pg_link_watch(c, EV_WRITE); break;
    default: pg_link_broken(c, "cannot connect");
    }
}

static void begin_connect(struct pg_conn *c, const struct pg_hosts *hosts)
{
    c->state = PG_CONNECTING;
    c->pg = pg_target_connect(&c->pool->target, hosts);
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD) {
        pg_link_broken(c, "cannot connect");
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, c);
    pg_link_watch(c, EV_WRITE);
}

static void on_resolved(struct pg_lookup *lookup, struct pg_conn *c)
{
    struct pg_pool *pool = c->pool;
    c->lookup = NULL;
    if (lookup->err.code != 0)
        pg_link_close(c, &lookup->err);
    else
        begin_connect(c, &lookup->hosts);
    pool->ops->turn(pool);
}

void pg_conn_open(struct pg_conn *c)
{
    struct pg_pool *p = c->pool;
    struct err e;
    c->state = PG_RESOLVING;
    c->proven = c->grown = false;
    c->last_words[0] = '\0';
    c->opened_ms = clock_ms();
    ev_now_update(p->loop);
    ev_timer_set(&c->timer, (double)p->connect_timeout_ms / 1000, 0);
    ev_timer_start(p->loop, &c->timer);
    if (!p->target.has_names) {
        begin_connect(c, NULL);
        return;
    }
    c->lookup = pg_resolver_begin(&p->resolver, c, &p->target, on_resolved, &e);
    if (!c->lookup)
        pg_link_close(c, &e);
}

/* ---- events ---- */

static void conn_on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    struct pg_conn *c = io->data;
    struct pg_pool *pool = c->pool;
    if (c->state == PG_CONNECTING) {
        poll_connect(c);
    } else if ((events & EV_READ) && !PQconsumeInput(c->pg)) {
        pg_flow_read(c); /* what came before the end */
        if (c->pg)
            pg_link_broken(c, "the connection broke");
    } else if (c->state == PG_SETTING) {
        pg_link_flush(c);
        if (c->pg)
            read_settings(c);
    } else {
        pg_flow_read(c);
        if (c->pg && c->grouped == 0) /* else at the end of the turn */
            pg_link_flush(c);
    }
    pool->ops->turn(pool);
}

static void conn_on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pg_conn *c = timer->data;
    struct pg_pool *pool = c->pool;
    if (c->state == PG_READY) {
        pg_cancel_on_timer(c);
    } else {
        struct err why;
        pool->stats.timeouts++;
        err_set(&why, ERR_BACKEND_DOWN, "cannot connect: no answer within %lld ms",
                (long long)pool->connect_timeout_ms);
        pg_link_close(c, &why);
    }
    pool->ops->turn(pool);
}
