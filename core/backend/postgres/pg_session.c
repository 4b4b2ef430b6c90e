#include "backend/postgres/pg_session.h"

#include "backend/postgres/pg_error.h"
#include "base/log.h"

static void watch(struct pg_session *s, int events)
{
    ev_io_stop(s->loop, &s->io);
    int fd = PQsocket(s->pg);
    if (fd < 0)
        return;
    ev_io_set(&s->io, fd, events);
    ev_io_start(s->loop, &s->io);
}

void pg_session_arm(struct pg_session *s, int64_t ms)
{
    ev_timer_stop(s->loop, &s->timer);
    ev_now_update(s->loop);
    ev_timer_set(&s->timer, (double)ms / 1e3, 0.);
    ev_timer_start(s->loop, &s->timer);
}

void pg_session_settled(struct pg_session *s)
{
    s->wait_ms = s->own->reconnect_base_ms;
    ev_timer_stop(s->loop, &s->timer);
}

void pg_session_close(struct pg_session *s, const char *why)
{
    ev_io_stop(s->loop, &s->io);
    PQfinish(s->pg);
    s->pg = NULL;
    s->again = false;
    s->state = PG_SESSION_WAITING;
    log_warn("feed.down", "backend=%s retry_ms=%lld reason=%s", s->conf->name,
             (long long)s->wait_ms, log_q(why));
    pg_session_arm(s, s->wait_ms);
    s->wait_ms =
        s->wait_ms * 2 < s->own->reconnect_cap_ms ? s->wait_ms * 2 : s->own->reconnect_cap_ms;
    s->ops->closed(s, why);
}

void pg_session_broken(struct pg_session *s, const char *what)
{
    struct err why;
    pg_error_of_conn(s->pg, what, &why);
    pg_session_close(s, why.text);
}

void pg_session_flush(struct pg_session *s)
{
    int rc = PQflush(s->pg);
    if (rc < 0)
        pg_session_broken(s, "the feed's connection broke");
    else
        watch(s, rc > 0 ? EV_READ | EV_WRITE : EV_READ);
}

void pg_session_send(struct pg_session *s, const char *sql)
{
    if (!PQsendQuery(s->pg, sql))
        pg_session_broken(s, "the feed cannot send");
    else
        pg_session_flush(s);
}

void pg_session_again(struct pg_session *s)
{
    s->again = true;
    ev_feed_event(s->loop, &s->io, EV_READ);
}

static void read_some(struct pg_session *s)
{
    bool again = s->again;
    s->again = false;
    if (!again && !PQconsumeInput(s->pg)) {
        s->ops->readable(s, true); /* what came before the end */
        if (s->pg)
            pg_session_broken(s, "the feed's connection broke");
        return;
    }
    s->ops->readable(s, false);
    if (s->pg && !s->again)
        pg_session_flush(s);
}

static void session_on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop, (void)events;
    struct pg_session *s = io->data;
    if (s->state == PG_SESSION_OPEN) {
        read_some(s);
        return;
    }
    ev_io_stop(s->loop, &s->io); /* before libpq may close the descriptor */
    switch (PQconnectPoll(s->pg)) {
    case PGRES_POLLING_OK:
        if (PQsetnonblocking(s->pg, 1) != 0) {
            pg_session_broken(s, "no non-blocking mode");
        } else {
            s->state = PG_SESSION_OPEN;
            s->ops->opened(s);
        }
        break;
    case PGRES_POLLING_READING: watch(s, EV_READ); break;
    case PGRES_POLLING_WRITING: watch(s, EV_WRITE); break;
    default: pg_session_broken(s, "the feed cannot connect");
    }
}

static void begin(struct pg_session *s)
{
    struct pg_hosts hosts = {.count = 0};
    struct err e;
    pg_session_arm(s, s->own->connect_timeout_ms);
    int rc = s->target.has_names ? pg_target_resolve(&s->target, &hosts, &e) : 0;
    if (rc == 0) {
        s->state = PG_SESSION_CONNECTING;
        s->pg = pg_target_connect(&s->target, s->target.has_names ? &hosts : NULL);
        if (!s->pg || PQstatus(s->pg) == CONNECTION_BAD)
            pg_session_broken(s, "the feed cannot connect");
        else
            watch(s, EV_WRITE);
    } else {
        pg_session_close(s, e.text);
    }
    if (s->target.has_names)
        pg_target_hosts_fini(&hosts);
}

static void session_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pg_session *s = timer->data;
    switch (s->state) {
    case PG_SESSION_WAITING: begin(s); break;
    case PG_SESSION_CONNECTING:
        pg_session_close(s, "the feed was not up within connect_timeout");
        break;
    case PG_SESSION_OPEN: s->ops->timed_out(s); break;
    }
}

int pg_session_init(struct pg_session *s, struct ev_loop *loop, const struct conf_backend *b,
                    const struct pg_session_ops *ops, struct err *e)
{
    *s = (struct pg_session){.ops = ops, .loop = loop, .conf = b, .own = b->own};
    s->wait_ms = s->own->reconnect_base_ms;
    ev_init(&s->io, session_on_io);
    ev_init(&s->timer, session_on_timer);
    s->io.data = s->timer.data = s;
    int rc = pg_target_init(&s->target, s->own->url, s->own->connect_timeout_ms, e);
    if (rc == 0)
        pg_session_arm(s, 0);
    else
        pg_target_fini(&s->target); /* what it has of a url that is refused */
    return rc;
}

void pg_session_fini(struct pg_session *s)
{
    ev_io_stop(s->loop, &s->io);
    ev_timer_stop(s->loop, &s->timer);
    PQfinish(s->pg);
    pg_target_fini(&s->target);
}
