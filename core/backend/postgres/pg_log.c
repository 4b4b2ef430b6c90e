#include "backend/postgres/pg_log.h"

#include "backend/postgres/pg_error.h"
#include "backend/postgres/pg_log_poll.h"
#include "backend/postgres/pg_log_sql.h"
#include "backend/postgres/pg_missed.h"
#include "backend/postgres/pg_session.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS_A_TURN 256   /* of the loop, which other feeds share */
#define PURGE_MOST  10000 /* rows at once */
#define PURGE_LEAST 1000  /* ms between two times */
#define PURGE_SHARE 60    /* of log_keep between two times */
#define HEARTBEATS  3     /* that an answer may take */

enum stage { IDENTIFYING, IDLE, POLLING, PURGING };

/* What was missed is a gap until all that were at work when it was seen are done. */
enum gap { NO_GAP, GAP_SEEN, GAP_BOUNDED };

struct pg_log {
    struct listen head;
    struct pg_session session;
    struct listen_events events;
    struct pg_log_sql sql;
    struct buf text; /* of the message that is under way */
    enum stage stage;
    bool up, standby;
    int asked; /* IDENTIFYING: a part of it, or PG_IDENTITY_PARTS for whether it is a standby */
    bool may[PG_IDENTITY_PARTS];
    struct pg_place place; /* where it is: all before was told of */
    struct pg_log_poll poll;
    enum gap gap;
    uint64_t gap_end; /* GAP_BOUNDED: a transaction */
    int64_t began_ms, last_ms, wait_ms, beat_ms, purge_ms;
    struct rng rng;
};

static struct pg_log *log_of(struct pg_session *s)
{
    return container_of(s, struct pg_log, session);
}

static void send_text(struct pg_log *l, enum stage stage, int rc)
{
    struct pg_session *s = &l->session;
    if (rc != 0) {
        pg_session_close(s, "no memory for a query of the feed");
        return;
    }
    l->stage = stage;
    pg_session_arm(s, HEARTBEATS * s->conf->feed_heartbeat_ms);
    pg_session_send(s, l->text.data);
}

/* ---- a poll ---- */

static void send_poll(struct pg_log *l)
{
    l->last_ms = l->began_ms;
    l->began_ms = clock_ms();
    pg_log_poll_begin(&l->poll);
    send_text(l, POLLING, pg_log_sql_poll(&l->sql, &l->text, l->may, l->standby, &l->place));
    if (l->session.pg)
        (void)PQsetSingleRowMode(l->session.pg); /* else all rows come at once */
}

/* ---- what a poll leads to ---- */

static void wait_for_next(struct pg_log *l)
{
    const struct pg_conf *own = l->session.own;
    int64_t longer = l->wait_ms * 2;
    if (l->poll.found > 0)
        longer = own->feed_poll_ms;
    l->wait_ms = longer < own->feed_poll_idle_ms ? longer : own->feed_poll_idle_ms;
    l->stage = IDLE;
    pg_session_arm(&l->session, l->wait_ms);
}

static void lose(struct pg_log *l, const char *why)
{
    l->gap = NO_GAP;
    l->poll.before.count = 0;
    log_warn("feed.gap", "backend=%s reason=%s", l->session.conf->name, log_q(why));
    if (!l->up)
        return;
    l->up = false;
    l->events.down(l->events.arg, why);
}

static void beat(struct pg_log *l, bool held)
{
    int64_t now_ms = clock_ms();
    const struct listen_beat b = {
        .missed = l->place.missed,
        .held = held,
        .wal_end = l->place.identity.wal_end,
        .lag_ms = now_ms - (l->last_ms != 0 ? l->last_ms : l->began_ms),
    };
    l->beat_ms = now_ms + l->session.conf->feed_heartbeat_ms;
    l->events.beaten(l->events.arg, &b);
}

static void become_up(struct pg_log *l, bool resumed)
{
    const struct conf_backend *conf = l->session.conf;
    char shown[IDENTITY_TEXT];
    bool missed = l->place.missed[0] && strcmp(l->place.missed, PG_MISSED_NONE) != 0;
    identity_show(&l->place.identity, shown);
    log_info("feed.up", "backend=%s channel=%s log=%s identity=%s resumed=%s", conf->name,
             log_q(conf->feed), log_q(l->session.own->feed_log), shown, resumed ? "true" : "false");
    l->up = true;
    l->last_ms = l->beat_ms = 0;
    if (!resumed && missed) /* who left word may be at work yet */
        l->gap = GAP_SEEN;
    const struct listen_up up = {.identity = &l->place.identity,
                                 .missed = l->place.missed,
                                 .resumed = resumed,
                                 .polls = true};
    l->events.up(l->events.arg, &up);
}

/* fresh: it is up since this poll; moved: somebody has left word since the last one. Those who were
 * at work when that was seen have begun before the poll after it. */
static void follow_gap(struct pg_log *l, bool fresh, bool moved)
{
    bool over = l->gap == GAP_BOUNDED && l->place.xmin >= l->gap_end;
    if (moved) {
        l->gap = GAP_SEEN;
    } else if (l->gap == GAP_SEEN && !fresh) {
        l->gap = GAP_BOUNDED;
        l->gap_end = l->poll.begun;
    } else if (over) {
        l->gap = NO_GAP;
    }
    if (moved || over || clock_ms() >= l->beat_ms)
        beat(l, l->gap != NO_GAP);
}

static void end_poll(struct pg_log *l)
{
    struct pg_session *s = &l->session;
    const struct pg_log_poll *poll = &l->poll;
    if (!poll->stated) {
        pg_session_close(s, "the log's table of one row has none");
        return;
    }
    bool known = pg_place_known(&l->place);
    bool moved = known && strcmp(l->place.missed, poll->next.missed) != 0;
    bool holds = pg_place_holds(&l->place, &poll->next, poll->purged_below) && (l->up || !moved);
    pg_session_settled(s);
    l->standby = poll->next.standby;
    if (known && !holds)
        lose(l, pg_log_poll_why(poll, &l->place));
    if (!pg_place_known(&poll->next)) { /* a standby, which was not asked as one; or no memory */
        if (l->up)
            lose(l, "no memory for its place");
        pg_place_forget(&l->place);
        wait_for_next(l);
        return;
    }
    bool was_up = l->up;
    pg_log_poll_done(&l->poll, &l->place);
    if (!was_up)
        become_up(l, holds);
    follow_gap(l, !was_up, was_up && moved);
    l->events.moved(l->events.arg);
    if (!l->standby && clock_ms() >= l->purge_ms)
        send_text(l, PURGING, pg_log_sql_purge(&l->sql, &l->text, s->own->log_keep_ms, PURGE_MOST));
    else
        wait_for_next(l);
}

/* ---- purging ---- */

static void plan_purge(struct pg_log *l, bool more)
{
    int64_t ms = l->session.own->log_keep_ms / PURGE_SHARE;
    if (more || ms < PURGE_LEAST)
        ms = PURGE_LEAST;
    ms += (int64_t)(rng_next(&l->rng) % (uint64_t)(ms / 4 + 1)); /* not with other servers */
    l->purge_ms = clock_ms() + ms;
}

static void take_purged(struct pg_log *l, const PGresult *res)
{
    uint64_t gone = 0;
    if (PQntuples(res) == 1)
        (void)pg_place_number(slice_of(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0)),
                              &gone);
    plan_purge(l, gone >= PURGE_MOST);
}

/* ---- results ---- */

static void send_next_part(struct pg_log *l)
{
    l->asked++;
    buf_clear(&l->text);
    if (l->asked > PG_IDENTITY_PARTS) {
        send_poll(l);
        return;
    }
    bool part = l->asked < PG_IDENTITY_PARTS;
    int rc = buf_printf(&l->text, "SELECT %s",
                        part ? pg_identity_expression((enum pg_identity_part)l->asked)
                             : "pg_catalog.pg_is_in_recovery()");
    send_text(l, IDENTIFYING, rc | buf_append(&l->text, "", 1));
}

static void take_part(struct pg_log *l, const PGresult *res)
{
    if (l->asked < PG_IDENTITY_PARTS)
        l->may[l->asked] = true;
    else if (PQntuples(res) == 1)
        l->standby = PQgetvalue(res, 0, 0)[0] == 't';
}

static void take_error(struct pg_log *l, const PGresult *res)
{
    struct err said;
    pg_error_of_result(res, false, &said);
    switch (l->stage) {
    case IDENTIFYING:
        log_info("feed.identity", "backend=%s reason=%s", l->session.conf->name, log_q(said.text));
        break;
    case PURGING:
        log_warn("feed.purge", "backend=%s reason=%s", l->session.conf->name, log_q(said.text));
        plan_purge(l, false);
        break;
    case IDLE:
    case POLLING: pg_session_close(&l->session, said.text); break;
    }
}

static void take_result(struct pg_log *l, const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_COMMAND_OK)
        return;
    if (status != PGRES_TUPLES_OK && status != PGRES_SINGLE_TUPLE)
        take_error(l, res);
    else if (l->stage == POLLING)
        pg_log_poll_take(&l->poll, res, l->standby, l->events.notified, l->events.arg);
    else if (l->stage == PURGING)
        take_purged(l, res);
    else
        take_part(l, res);
}

static void take_end(struct pg_log *l)
{
    switch (l->stage) {
    case IDENTIFYING: send_next_part(l); break;
    case POLLING: end_poll(l); break;
    case PURGING: wait_for_next(l); break;
    case IDLE: break;
    }
}

/* ---- the session ---- */

static void log_opened(struct pg_session *s)
{
    struct pg_log *l = log_of(s);
    l->asked = -1;
    memset(l->may, 0, sizeof l->may);
    send_next_part(l);
}

static void log_readable(struct pg_session *s, bool ended)
{
    struct pg_log *l = log_of(s);
    if (l->stage == IDLE)
        return;
    for (int n = 0; s->pg && !PQisBusy(s->pg); n++) {
        if (n == ROWS_A_TURN && !ended) {
            pg_session_again(s);
            break;
        }
        PGresult *res = PQgetResult(s->pg);
        if (!res) {
            take_end(l);
            return;
        }
        take_result(l, res);
        PQclear(res);
    }
    if (s->pg) /* something has come */
        pg_session_arm(s, HEARTBEATS * s->conf->feed_heartbeat_ms);
}

static void log_timed_out(struct pg_session *s)
{
    struct pg_log *l = log_of(s);
    char why[100];
    if (l->stage == IDLE) {
        send_poll(l);
        return;
    }
    snprintf(why, sizeof why, "no answer to the feed within %lld ms",
             (long long)(HEARTBEATS * s->conf->feed_heartbeat_ms));
    pg_session_close(s, why);
}

static void log_closed(struct pg_session *s, const char *why)
{
    struct pg_log *l = log_of(s);
    bool was_up = l->up;
    l->up = false;
    l->stage = IDLE;
    if (was_up)
        l->events.down(l->events.arg, why);
}

/* ---- the interface ---- */

static struct pg_log *log_of_head(const struct listen *head)
{
    return container_of((struct listen *)(uintptr_t)head, struct pg_log, head);
}

static void pg_log_free(struct listen *head)
{
    struct pg_log *l = log_of_head(head);
    pg_session_fini(&l->session);
    pg_log_sql_fini(&l->sql);
    pg_place_fini(&l->place);
    pg_log_poll_fini(&l->poll);
    buf_fini(&l->text);
    free(l);
}

/* The polls are its heartbeats. */
static bool pg_log_notify(struct listen *head, const char *payload, bool ask_held)
{
    (void)head, (void)payload, (void)ask_held;
    return false;
}

static void pg_log_drop(struct listen *head, const char *why)
{
    struct pg_log *l = log_of_head(head);
    if (l->up)
        pg_session_close(&l->session, why);
}

static bool pg_log_position(const struct listen *head, struct buf *out)
{
    return pg_place_write(&log_of_head(head)->place, out);
}

int pg_log_new(struct listen **out, struct ev_loop *loop, const struct conf_backend *b,
               const struct listen_events *events, struct err *e)
{
    static const struct listen_ops ops = {.free = pg_log_free,
                                          .notify = pg_log_notify,
                                          .drop = pg_log_drop,
                                          .position = pg_log_position};
    static const struct pg_session_ops session_ops = {.opened = log_opened,
                                                      .readable = log_readable,
                                                      .timed_out = log_timed_out,
                                                      .closed = log_closed};
    const struct pg_conf *own = b->own;
    *out = NULL;
    struct pg_log *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a feed");
    l->head.ops = &ops;
    l->events = *events;
    l->stage = IDLE;
    l->wait_ms = own->feed_poll_ms;
    l->rng.state = rng_os();
    pg_place_init(&l->place);
    pg_log_poll_init(&l->poll);
    buf_init(&l->text, 0);
    if (events->from && !pg_place_read(&l->place, events->from))
        log_warn("feed.position", "backend=%s reason=%s", b->name, "\"it is none of a log\"");
    int rc = pg_log_sql_init(&l->sql, own->feed_log, b->feed, e);
    if (rc == 0) {
        rc = pg_session_init(&l->session, loop, b, &session_ops, e);
        if (rc != 0)
            pg_log_sql_fini(&l->sql);
    }
    if (rc != 0) {
        pg_place_fini(&l->place);
        pg_log_poll_fini(&l->poll);
        free(l);
        return rc;
    }
    plan_purge(l, false);
    *out = &l->head;
    return 0;
}
