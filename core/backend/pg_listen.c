#include "backend/pg_listen.h"

#include "backend/pg_error.h"
#include "backend/pg_target.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In this order a connection gets up. */
enum stage { WAITING, CONNECTING, LISTENING, IDENTIFYING, UP };

#define IDENTITY_QUERY                                                                             \
    "SELECT system_identifier::text || '/' || timeline_id::text "                                  \
    "FROM pg_control_system(), pg_control_checkpoint()"

struct pg_listen {
    struct ev_loop *loop;
    const struct conf_backend *conf;
    struct pg_listen_events events;
    struct pg_target target;
    PGconn *pg;
    enum stage stage;
    ev_io io;
    ev_timer timer; /* WAITING: until the next try; up to UP: connect_timeout */
    int64_t wait_ms;
    char identity[64];
    bool sending; /* a heartbeat's answer is due */
};

static void begin(struct pg_listen *l);

static void watch(struct pg_listen *l, int events)
{
    ev_io_stop(l->loop, &l->io);
    int fd = PQsocket(l->pg);
    if (fd < 0)
        return;
    ev_io_set(&l->io, fd, events);
    ev_io_start(l->loop, &l->io);
}

static void arm(struct pg_listen *l, int64_t ms)
{
    ev_timer_stop(l->loop, &l->timer);
    ev_now_update(l->loop);
    ev_timer_set(&l->timer, (double)ms / 1e3, 0.);
    ev_timer_start(l->loop, &l->timer);
}

static void close_down(struct pg_listen *l, const char *why)
{
    bool was_up = l->stage == UP;
    ev_io_stop(l->loop, &l->io);
    PQfinish(l->pg);
    l->pg = NULL;
    l->stage = WAITING;
    l->sending = false;
    if (was_up)
        l->wait_ms = l->conf->reconnect_base_ms;
    log_warn("feed.down", "backend=%s retry_ms=%lld reason=%s", l->conf->name,
             (long long)l->wait_ms, log_q(why));
    arm(l, l->wait_ms);
    l->wait_ms =
        l->wait_ms * 2 < l->conf->reconnect_cap_ms ? l->wait_ms * 2 : l->conf->reconnect_cap_ms;
    if (was_up)
        l->events.down(l->events.arg, why);
}

static void broken(struct pg_listen *l, const char *what)
{
    struct err why;
    pg_error_of_conn(l->pg, what, &why);
    close_down(l, why.text);
}

static void flush(struct pg_listen *l)
{
    int rc = PQflush(l->pg);
    if (rc < 0)
        broken(l, "the feed's connection broke");
    else
        watch(l, rc > 0 ? EV_READ | EV_WRITE : EV_READ);
}

static void send_query(struct pg_listen *l, const char *sql)
{
    if (!PQsendQuery(l->pg, sql))
        broken(l, "the feed cannot send");
    else
        flush(l);
}

static void send_listen(struct pg_listen *l)
{
    char sql[256];
    char *channel = PQescapeIdentifier(l->pg, l->conf->feed, strlen(l->conf->feed));
    l->stage = LISTENING;
    if (!channel) {
        broken(l, "the feed's channel has no name that PostgreSQL takes");
        return;
    }
    snprintf(sql, sizeof sql, "LISTEN %s", channel);
    PQfreemem(channel);
    send_query(l, sql);
}

static void become_up(struct pg_listen *l)
{
    l->stage = UP;
    l->wait_ms = l->conf->reconnect_base_ms;
    ev_timer_stop(l->loop, &l->timer);
    log_info("feed.up", "backend=%s channel=%s identity=%s", l->conf->name, log_q(l->conf->feed),
             l->identity[0] ? l->identity : "unknown");
    l->events.up(l->events.arg, l->identity);
}

/* One result of the query that is under way; res NULL: it has ended. */
static void take_result(struct pg_listen *l, PGresult *res)
{
    struct err said;
    ExecStatusType status = PQresultStatus(res);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (res && !ok)
        pg_error_of_result(res, &said);
    switch (l->stage) {
    case LISTENING:
        if (res && !ok) {
            close_down(l, said.text);
        } else if (!res) {
            l->stage = IDENTIFYING;
            l->identity[0] = '\0';
            send_query(l, IDENTITY_QUERY);
        }
        break;
    case IDENTIFYING:
        if (res && ok && PQntuples(res) == 1)
            snprintf(l->identity, sizeof l->identity, "%s", PQgetvalue(res, 0, 0));
        else if (res && !ok)
            log_info("feed.identity", "backend=%s reason=%s", l->conf->name, log_q(said.text));
        else if (!res)
            become_up(l);
        break;
    default:
        if (res && !ok)
            log_warn("feed.heartbeat", "backend=%s reason=%s", l->conf->name, log_q(said.text));
        l->sending = l->sending && res;
    }
}

static void take_notifications(struct pg_listen *l)
{
    PGnotify *n;
    while (l->stage == UP && (n = PQnotifies(l->pg))) {
        l->events.notified(l->events.arg, slice_str(n->extra));
        PQfreemem(n);
    }
}

static void read_all(struct pg_listen *l)
{
    if (!PQconsumeInput(l->pg)) {
        take_notifications(l); /* what came before the end */
        broken(l, "the feed's connection broke");
        return;
    }
    bool busy = l->stage != UP || l->sending;
    while (busy && l->pg && !PQisBusy(l->pg)) {
        PGresult *res = PQgetResult(l->pg);
        enum stage before = l->stage;
        take_result(l, res);
        PQclear(res);
        busy = res != NULL || before != l->stage;
        if (l->stage == UP)
            busy = busy && l->sending;
    }
    take_notifications(l);
    if (l->pg)
        flush(l);
}

static void listen_on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop, (void)events;
    struct pg_listen *l = io->data;
    if (l->stage != CONNECTING) {
        read_all(l);
        return;
    }
    ev_io_stop(l->loop, &l->io); /* before libpq may close the descriptor */
    switch (PQconnectPoll(l->pg)) {
    case PGRES_POLLING_OK:
        if (PQsetnonblocking(l->pg, 1) != 0)
            broken(l, "no non-blocking mode");
        else
            send_listen(l);
        break;
    case PGRES_POLLING_READING: watch(l, EV_READ); break;
    case PGRES_POLLING_WRITING: watch(l, EV_WRITE); break;
    default: broken(l, "the feed cannot connect");
    }
}

static void listen_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct pg_listen *l = timer->data;
    if (l->stage == WAITING)
        begin(l);
    else
        close_down(l, "the feed was not up within connect_timeout");
}

static void begin(struct pg_listen *l)
{
    struct pg_hosts hosts = {.count = 0};
    struct err e;
    arm(l, l->conf->connect_timeout_ms);
    int rc = l->target.has_names ? pg_target_resolve(&l->target, &hosts, &e) : 0;
    if (rc == 0) {
        l->stage = CONNECTING;
        l->pg = pg_target_connect(&l->target, l->target.has_names ? &hosts : NULL);
        if (!l->pg || PQstatus(l->pg) == CONNECTION_BAD)
            broken(l, "the feed cannot connect");
        else
            watch(l, EV_WRITE);
    } else {
        close_down(l, e.text);
    }
    if (l->target.has_names)
        pg_target_hosts_fini(&hosts);
}

int pg_listen_new(struct pg_listen **out, struct ev_loop *loop, const struct conf_backend *b,
                  const struct pg_listen_events *events, struct err *e)
{
    *out = NULL;
    struct pg_listen *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a feed");
    l->loop = loop;
    l->conf = b;
    l->events = *events;
    l->wait_ms = b->reconnect_base_ms;
    ev_init(&l->io, listen_on_io);
    ev_init(&l->timer, listen_on_timer);
    l->io.data = l->timer.data = l;
    int rc = pg_target_init(&l->target, b->url, b->connect_timeout_ms, e);
    if (rc != 0) {
        free(l);
        return rc;
    }
    arm(l, 0);
    *out = l;
    return 0;
}

void pg_listen_free(struct pg_listen *l)
{
    if (!l)
        return;
    ev_io_stop(l->loop, &l->io);
    ev_timer_stop(l->loop, &l->timer);
    PQfinish(l->pg);
    pg_target_fini(&l->target);
    free(l);
}

bool pg_listen_notify(struct pg_listen *l, const char *payload)
{
    const char *values[] = {l->conf->feed, payload};
    if (l->stage != UP || l->sending)
        return false;
    if (!PQsendQueryParams(l->pg, "SELECT pg_notify($1, $2)", 2, NULL, values, NULL, NULL, 0))
        return false; /* a connection that is dead is told so by its missing heartbeats */
    l->sending = true;
    flush(l);
    return true;
}

void pg_listen_drop(struct pg_listen *l, const char *why)
{
    if (l->stage == UP)
        close_down(l, why);
}
