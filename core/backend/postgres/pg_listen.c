#include "backend/postgres/pg_listen.h"

#include "backend/postgres/pg_error.h"
#include "backend/postgres/pg_identity.h"
#include "backend/postgres/pg_missed.h"
#include "backend/postgres/pg_session.h"
#include "base/list.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In this order a session gets up. */
enum stage { LISTENING, IDENTIFYING, UP };

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
    struct pg_session session;
    struct listen_events events;
    enum stage stage; /* while the session is open */
    int asked; /* IDENTIFYING: an identity's part, or PG_IDENTITY_PARTS for what was missed */
    struct identity identity;
    char missed[LISTEN_MISSED];
    bool sending; /* a heartbeat's answer is due */
};

static struct pg_listen *listen_of(struct pg_session *s)
{
    return container_of(s, struct pg_listen, session);
}

static bool is_up(const struct pg_listen *l)
{
    return l->session.state == PG_SESSION_OPEN && l->stage == UP;
}

static void listen_opened(struct pg_session *s)
{
    char sql[256];
    char *channel = PQescapeIdentifier(s->pg, s->conf->feed, strlen(s->conf->feed));
    listen_of(s)->stage = LISTENING;
    if (!channel) {
        pg_session_broken(s, "the feed's channel has no name that PostgreSQL takes");
        return;
    }
    snprintf(sql, sizeof sql, "LISTEN %s", channel);
    PQfreemem(channel);
    pg_session_send(s, sql);
}

static void become_up(struct pg_listen *l)
{
    const struct conf_backend *conf = l->session.conf;
    l->stage = UP;
    pg_session_settled(&l->session);
    char shown[IDENTITY_TEXT];
    identity_show(&l->identity, shown);
    log_info("feed.up", "backend=%s channel=%s identity=%s", conf->name, log_q(conf->feed), shown);
    const struct listen_up up = {.identity = &l->identity, .missed = l->missed};
    l->events.up(l->events.arg, &up);
}

/* LISTEN is committed, which a standby refuses: it is a server that takes writes. */
static void ask_next(struct pg_listen *l)
{
    char sql[1000];
    l->asked++;
    if (l->asked > PG_IDENTITY_PARTS) {
        become_up(l);
        return;
    }
    snprintf(sql, sizeof sql, "SELECT %s",
             l->asked < PG_IDENTITY_PARTS ? pg_identity_expression((enum pg_identity_part)l->asked)
                                          : PG_MISSED);
    pg_session_send(&l->session, sql);
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
            pg_session_close(&l->session, said.text);
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
            log_info("feed.identity", "backend=%s reason=%s", l->session.conf->name,
                     log_q(said.text));
        else
            ask_next(l);
        break;
    default:
        if (res && ok)
            take_beat(l, res);
        if (res && !ok)
            log_warn("feed.heartbeat", "backend=%s reason=%s", l->session.conf->name,
                     log_q(said.text));
        l->sending = l->sending && res;
    }
}

static void take_notifications(struct pg_listen *l)
{
    PGnotify *n;
    while (is_up(l) && (n = PQnotifies(l->session.pg))) {
        l->events.notified(l->events.arg, slice_str(n->extra));
        PQfreemem(n);
    }
}

static void listen_readable(struct pg_session *s, bool ended)
{
    struct pg_listen *l = listen_of(s);
    bool busy = !ended && (l->stage != UP || l->sending);
    while (busy && s->pg && !PQisBusy(s->pg)) {
        PGresult *res = PQgetResult(s->pg);
        enum stage before = l->stage;
        take_result(l, res);
        PQclear(res);
        busy = res != NULL || before != l->stage;
        if (l->stage == UP)
            busy = busy && l->sending;
    }
    take_notifications(l);
}

static void listen_timed_out(struct pg_session *s)
{
    pg_session_close(s, "the feed was not up within connect_timeout");
}

static void listen_closed(struct pg_session *s, const char *why)
{
    struct pg_listen *l = listen_of(s);
    bool was_up = l->stage == UP;
    l->stage = LISTENING;
    l->sending = false;
    if (was_up)
        l->events.down(l->events.arg, why);
}

static void pg_listen_free(struct listen *head)
{
    struct pg_listen *l = container_of(head, struct pg_listen, head);
    pg_session_fini(&l->session);
    free(l);
}

static bool pg_listen_notify(struct listen *head, const char *payload, bool ask_held)
{
    struct pg_listen *l = container_of(head, struct pg_listen, head);
    const char *values[] = {l->session.conf->feed, payload, ask_held && l->missed[0] ? "t" : "f"};
    char sql[1500];
    if (!is_up(l) || l->sending)
        return false;
    snprintf(sql, sizeof sql, "SELECT pg_notify($1, $2), %s, %s, $3::boolean AND %s",
             l->identity.wal_end != 0 ? WAL_END : "NULL", l->missed[0] ? PG_MISSED : "NULL",
             l->missed[0] ? MISSED_HELD : "false");
    if (!PQsendQueryParams(l->session.pg, sql, 3, NULL, values, NULL, NULL, 0))
        return false; /* a connection that is dead is told so by its missing heartbeats */
    l->sending = true;
    pg_session_flush(&l->session);
    return true;
}

static void pg_listen_drop(struct listen *head, const char *why)
{
    struct pg_listen *l = container_of(head, struct pg_listen, head);
    if (is_up(l))
        pg_session_close(&l->session, why);
}

int pg_listen_new(struct listen **out, struct ev_loop *loop, const struct conf_backend *b,
                  const struct listen_events *events, struct err *e)
{
    static const struct listen_ops ops = {
        .free = pg_listen_free, .notify = pg_listen_notify, .drop = pg_listen_drop};
    static const struct pg_session_ops session_ops = {.opened = listen_opened,
                                                      .readable = listen_readable,
                                                      .timed_out = listen_timed_out,
                                                      .closed = listen_closed};
    *out = NULL;
    struct pg_listen *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a feed");
    l->head.ops = &ops;
    l->events = *events;
    int rc = pg_session_init(&l->session, loop, b, &session_ops, e);
    if (rc != 0) {
        free(l);
        return rc;
    }
    *out = &l->head;
    return 0;
}
