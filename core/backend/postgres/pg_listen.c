#include "backend/postgres/pg_listen.h"
#include "backend/postgres/pg_options.h"

#include "backend/postgres/pg_error.h"
#include "backend/postgres/pg_identity.h"
#include "backend/postgres/pg_target.h"
#include "base/list.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In this order a connection gets up. */
enum stage { WAITING, CONNECTING, LISTENING, IDENTIFYING, UP };

/* Where triggers leave word of what they could not tell; each has a sequence of its owner's. */
#define MISSED                                                                                     \
    "(SELECT coalesce(sum(last_value), 0)::text || '/' || count(last_value)::text"                 \
    " FROM pg_catalog.pg_sequences WHERE sequencename = 'rtcache_missed')"
/* Whether a transaction that has left word is not over yet. Who only reads has no transaction id.
 */
#define MISSED_HELD                                                                                \
    "EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation"   \
    " WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted"                 \
    " AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = "                   \
    "current_database())"                                                                          \
    " AND c.relname = 'rtcache_missed' AND c.relkind = 'S' AND EXISTS (SELECT FROM"                \
    " pg_catalog.pg_locks x WHERE x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock'"       \
    " AND x.granted AND x.virtualtransaction = l.virtualtransaction))"
#define WAL_END "(pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text"

struct pg_listen {
    struct listen head;
    struct ev_loop *loop;
    const struct conf_backend *conf;
    const struct pg_conf *own; /* of conf */
    struct listen_events events;
    struct pg_target target;
    PGconn *pg;
    enum stage stage;
    ev_io io;
    ev_timer timer; /* WAITING: until the next try; up to UP: connect_timeout */
    int64_t wait_ms;
    int asked; /* IDENTIFYING: an identity's part, or PG_IDENTITY_PARTS for what was missed */
    struct identity identity;
    char missed[LISTEN_MISSED];
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
        l->wait_ms = l->own->reconnect_base_ms;
    log_warn("feed.down", "backend=%s retry_ms=%lld reason=%s", l->conf->name,
             (long long)l->wait_ms, log_q(why));
    arm(l, l->wait_ms);
    l->wait_ms =
        l->wait_ms * 2 < l->own->reconnect_cap_ms ? l->wait_ms * 2 : l->own->reconnect_cap_ms;
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
    l->wait_ms = l->own->reconnect_base_ms;
    ev_timer_stop(l->loop, &l->timer);
    char shown[IDENTITY_TEXT];
    identity_show(&l->identity, shown);
    log_info("feed.up", "backend=%s channel=%s identity=%s", l->conf->name, log_q(l->conf->feed),
             shown);
    const struct listen_up up = {.identity = &l->identity, .missed = l->missed};
    l->events.up(l->events.arg, &up);
}

/* LISTEN is committed, which a standby refuses: it is a server that takes writes. */
static void ask_next(struct pg_listen *l)
{
    l->asked++;
    if (l->asked < PG_IDENTITY_PARTS)
        send_query(l, pg_identity_query((enum pg_identity_part)l->asked));
    else if (l->asked == PG_IDENTITY_PARTS)
        send_query(l, "SELECT " MISSED);
    else
        become_up(l);
}

static void take_part(struct pg_listen *l, const PGresult *res)
{
    if (PQntuples(res) != 1)
        return;
    struct slice text = slice_of(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0));
    if (l->asked < PG_IDENTITY_PARTS)
        pg_identity_take(&l->identity, (enum pg_identity_part)l->asked, text);
    else
        snprintf(l->missed, sizeof l->missed, "%.*s", SLICE_ARG(text));
}

/* The columns of listen_notify's query. */
static void take_beat(struct pg_listen *l, const PGresult *res)
{
    struct listen_beat beat = {.missed = l->missed, .lag_ms = -1};
    if (PQntuples(res) != 1 || PQnfields(res) != 4)
        return;
    struct identity now = {.wal_end = 0};
    pg_identity_take(&now, PG_WAL_END, slice_str(PQgetvalue(res, 0, 1)));
    snprintf(l->missed, sizeof l->missed, "%s", PQgetvalue(res, 0, 2));
    beat.wal_end = now.wal_end;
    beat.held = PQgetvalue(res, 0, 3)[0] == 't';
    l->events.beaten(l->events.arg, &beat);
}

/* One result of the query that is under way; res NULL: it has ended. */
static void take_result(struct pg_listen *l, PGresult *res)
{
    struct err said;
    ExecStatusType status = PQresultStatus(res);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (res && !ok)
        pg_error_of_result(res, false, &said);
    switch (l->stage) {
    case LISTENING:
        if (res && !ok) {
            close_down(l, said.text);
        } else if (!res) {
            l->stage = IDENTIFYING;
            l->identity = (struct identity){.wal_end = 0};
            l->missed[0] = '\0';
            l->asked = -1;
            ask_next(l);
        }
        break;
    case IDENTIFYING:
        if (res && ok)
            take_part(l, res);
        else if (res)
            log_info("feed.identity", "backend=%s reason=%s", l->conf->name, log_q(said.text));
        else
            ask_next(l);
        break;
    default:
        if (res && ok)
            take_beat(l, res);
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
    arm(l, l->own->connect_timeout_ms);
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

static struct pg_listen *listen_of(struct listen *head)
{
    return container_of(head, struct pg_listen, head);
}

static void pg_listen_free(struct listen *head)
{
    struct pg_listen *l = listen_of(head);
    ev_io_stop(l->loop, &l->io);
    ev_timer_stop(l->loop, &l->timer);
    PQfinish(l->pg);
    pg_target_fini(&l->target);
    free(l);
}

static bool pg_listen_notify(struct listen *head, const char *payload, bool ask_held)
{
    struct pg_listen *l = listen_of(head);
    const char *values[] = {l->conf->feed, payload, ask_held && l->missed[0] ? "t" : "f"};
    char sql[1500];
    if (l->stage != UP || l->sending)
        return false;
    snprintf(sql, sizeof sql, "SELECT pg_notify($1, $2), %s, %s, $3::boolean AND %s",
             l->identity.wal_end != 0 ? WAL_END : "NULL", l->missed[0] ? MISSED : "NULL",
             l->missed[0] ? MISSED_HELD : "false");
    if (!PQsendQueryParams(l->pg, sql, 3, NULL, values, NULL, NULL, 0))
        return false; /* a connection that is dead is told so by its missing heartbeats */
    l->sending = true;
    flush(l);
    return true;
}

static void pg_listen_drop(struct listen *head, const char *why)
{
    struct pg_listen *l = listen_of(head);
    if (l->stage == UP)
        close_down(l, why);
}

int pg_listen_new(struct listen **out, struct ev_loop *loop, const struct conf_backend *b,
                  const struct listen_events *events, struct err *e)
{
    static const struct listen_ops ops = {
        .free = pg_listen_free, .notify = pg_listen_notify, .drop = pg_listen_drop};
    *out = NULL;
    struct pg_listen *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a feed");
    l->head.ops = &ops;
    l->loop = loop;
    l->conf = b;
    l->own = b->own;
    l->events = *events;
    l->wait_ms = l->own->reconnect_base_ms;
    ev_init(&l->io, listen_on_io);
    ev_init(&l->timer, listen_on_timer);
    l->io.data = l->timer.data = l;
    int rc = pg_target_init(&l->target, l->own->url, l->own->connect_timeout_ms, e);
    if (rc != 0) {
        pg_target_fini(&l->target);
        free(l);
        return rc;
    }
    arm(l, 0);
    *out = &l->head;
    return 0;
}
