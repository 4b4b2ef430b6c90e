#include "backend/postgres/pg_link.h"

#include "backend/postgres/pg_air.h"
#include "backend/postgres/pg_life.h"

/* libpq closes descriptors and opens others by itself: the socket is asked for after every step. */
void pg_link_watch(struct pg_conn *c, int events)
{
    struct ev_loop *loop = c->pool->loop;
    int fd = PQsocket(c->pg);
    if (ev_is_active(&c->io) && c->io.fd == fd && (c->io.events & (EV_READ | EV_WRITE)) == events &&
        c->state == PG_READY)
        return;
    ev_io_stop(loop, &c->io);
    if (fd < 0)
        return;
    ev_io_set(&c->io, fd, events);
    ev_io_start(loop, &c->io);
}

void pg_link_close(struct pg_conn *c, const struct err *why)
{
    struct err reason = *why;
    bool was_open = c->state == PG_READY;
    PGconn *pg = c->pg;
    if (c->state == PG_CLOSED)
        return;
    ev_io_stop(c->pool->loop, &c->io);
    ev_timer_stop(c->pool->loop, &c->timer);
    if (c->lookup)
        c->lookup->conn = NULL;
    c->lookup = NULL;
    pg_signal_forget(&c->cancel, c->pool->loop);
    c->pg = NULL;
    c->state = PG_CLOSED;
    c->draining_ms = 0;
    pg_air_fail(c, &reason);
    pg_stmt_clear(&c->stmts);
    PQfinish(pg);
    pg_life_lost(c->pool, c, was_open, &reason);
}

void pg_link_broken(struct pg_conn *c, const char *what)
{
    struct err why;
    if (c->last_words[0])
        err_set(&why, ERR_BACKEND_DOWN, "%s: %s", what, c->last_words);
    else
        pg_error_of_conn(c->pg, what, &why);
    pg_link_close(c, &why);
}

void pg_link_flush(struct pg_conn *c)
{
    int rc = PQflush(c->pg);
    c->full = rc > 0;
    if (rc < 0 || PQstatus(c->pg) == CONNECTION_BAD)
        pg_link_broken(c, "the connection broke");
    else
        pg_link_watch(c, c->full ? EV_READ | EV_WRITE : EV_READ);
}
