#include "server/restart_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "state/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIVE_S  1.   /* how often the folder is told that the server is there */
#define FIRST_MS 1000 /* when what came back is written again */
#define EXTEND_S 10.  /* how often the service manager is asked for more time */

/* ---- open ---- */

static int open_keep(struct restart *r)
{
    struct err e;
    err_clear(&e);
    if (keep_open(&r->keep, r->dir, &e) == 0)
        return 0;
    log_error("restart.unread", "error=%s", log_q(e.text));
    return 0;
}

int restart_open(struct restart **out, struct server *s, struct err *e)
{
    *out = NULL;
    if (!s->conf->state)
        return 0;
    struct restart *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for state");
    r->server = s;
    list_init(&r->asked);
    list_init(&r->later);
    buf_init(&r->write.positions, 0);
    process_boot_id(r->boot_id);
    if (r->boot_id[0] == '\0')
        log_warn("restart.boot_id", "reason=%s", log_q("the system does not tell it"));
    int rc = state_dir_open(&r->dir, s->conf->state, e);
    if (rc == 0) {
        r->alive_wall_ms = state_dir_alive_wall_ms(r->dir);
        rc = life_begin(r->dir, &r->life, e);
    }
    if (rc == 0)
        rc = open_keep(r);
    const struct pool_options one = {.name = "state", .threads = 1};
    if (rc == 0)
        rc = pool_new(&r->pool, s->loop, &one, e);
    if (rc != 0) {
        err_prefix(e, "state");
        restart_free(r);
        return rc;
    }
    r->seed = r->keep ? keep_header_of(r->keep)->seed : rng_os();
    keep_numbers_init(&r->numbers, r->life);
    *out = r;
    return 0;
}

bool restart_seed(const struct restart *r, uint64_t *seed)
{
    if (r)
        *seed = r->seed;
    return r != NULL;
}

struct keep_numbers *restart_numbers(struct restart *r)
{
    return r ? &r->numbers : NULL;
}

/* ---- the worker ---- */

static void write_done(struct restart *r);
static void read_done(struct restart *r);
static void begin_serving(struct restart *r);

static void on_work(struct pool_task *t, void *worker)
{
    (void)worker;
    struct restart *r = container_of(t, struct restart, task);
    switch (r->work) {
    case RESTART_READING: restart_read(r); break;
    case RESTART_REREADING: restart_reread(r); break;
    case RESTART_WRITING: restart_write(r); break;
    case RESTART_IDLE: break;
    }
}

static void on_done(struct pool_task *t)
{
    struct restart *r = container_of(t, struct restart, task);
    enum restart_work work = r->work;
    r->work = RESTART_IDLE;
    switch (work) {
    case RESTART_READING: read_done(r); break;
    case RESTART_REREADING: begin_serving(r); break;
    case RESTART_WRITING: write_done(r); break;
    case RESTART_IDLE: break;
    }
}

static void submit(struct restart *r, enum restart_work work)
{
    r->work = work;
    r->task = (struct pool_task){.work = on_work, .done = on_done};
    pool_submit(r->pool, &r->task);
}

static void on_extend(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct restart *r = timer->data;
    notify_extend(&r->server->notify, (int64_t)(3 * EXTEND_S * 1e6));
}

static void extend_start(struct restart *r)
{
    ev_timer_init(&r->extend, on_extend, 0., EXTEND_S);
    r->extend.data = r;
    ev_timer_start(r->server->loop, &r->extend);
}

/* ---- snapshots ---- */

static void answer_one(struct io_snapshot *a)
{
    a->message.recv = a->answered;
    mailbox_send(a->answer_to, &a->message);
}

/* What became of the snapshot that was written. */
static void answer_asked(struct restart *r, struct list *asked)
{
    const struct restart_write *w = &r->write;
    struct list *link;
    while ((link = list_pop_front(asked))) {
        struct io_snapshot *a = container_of(link, struct io_snapshot, link);
        a->rc = w->rc;
        if (w->rc != 0)
            a->err = w->err;
        snprintf(a->file, sizeof a->file, "%s/" KEEP_FILE, state_dir_path(r->dir));
        a->entries = w->saved.entries;
        a->bytes = w->saved.bytes;
        a->ms = w->saved.ms;
        answer_one(a);
    }
}

static void write_start(struct restart *r, bool clean)
{
    struct restart_write *w = &r->write;
    list_splice(&r->asked, &r->later);
    ev_timer_stop(r->server->loop, &r->every);
    w->saved = (struct keep_saved){.entries = 0};
    w->rc = restart_write_begin(r, clean, &w->err);
    if (w->rc == 0)
        submit(r, RESTART_WRITING);
    else
        write_done(r);
}

static void on_every(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct restart *r = timer->data;
    if (r->work == RESTART_IDLE)
        write_start(r, false);
}

static void every_start(struct restart *r, int64_t most_ms)
{
    int64_t every_ms = r->every_ms = r->server->snapshot->conf->snapshot_every_ms;
    ev_timer_stop(r->server->loop, &r->every);
    if (every_ms == 0 || r->server->draining)
        return;
    every_ms = every_ms < most_ms ? every_ms : most_ms;
    ev_timer_init(&r->every, on_every, (double)every_ms / 1e3, 0.);
    r->every.data = r;
    ev_timer_start(r->server->loop, &r->every);
}

static void tell_written(struct restart *r)
{
    const struct restart_write *w = &r->write;
    keep_numbers_saved(&r->numbers, w->rc == 0 ? &w->saved : NULL, w->source.header.moment.wall_ms);
    if (w->rc != 0) {
        log_error("snapshot.failed", "error=%s", log_q(w->err.text));
        return;
    }
    log_info("snapshot.written", "entries=%llu floors=%llu bytes=%llu ms=%lld clean=%d",
             (unsigned long long)w->saved.entries, (unsigned long long)w->saved.floors,
             (unsigned long long)w->saved.bytes, (long long)w->saved.ms,
             (int)w->source.header.clean);
}

static void write_done(struct restart *r)
{
    struct restart_write *w = &r->write;
    bool clean = w->source.header.clean;
    snapshot_unref((struct snapshot *)w->source.snapshot);
    w->source.snapshot = NULL;
    tell_written(r);
    answer_asked(r, &r->asked);
    if (r->server
            ->draining) /* there is no next one for them; this one was given up, if it was theirs */
        answer_asked(r, &r->later);
    if (clean)
        ev_break(r->server->loop, EVBREAK_ALL);
    else if (list_empty(&r->later))
        every_start(r, INT64_MAX);
    else if (!r->server->draining)
        write_start(r, false);
}

void restart_recv_request(struct message *m, void *owner)
{
    struct server *s = owner;
    struct restart *r = s->restart;
    struct io_snapshot *a = container_of(m, struct io_snapshot, message);
    if (r && r->served && !s->draining) {
        list_push_back(&r->later, &a->link);
        if (r->work == RESTART_IDLE)
            write_start(r, false);
        return;
    }
    a->rc =
        r ? err_set(&a->err, ERR_SHUTDOWN, "the server is going down")
          : err_set(&a->err, ERR_CONFIG, "there is no folder for a snapshot: \"state\" is not set");
    answer_one(a);
}

/* ---- the start ---- */

static void tell_proof(struct restart *r)
{
    const struct restart_read *d = &r->read;
    const struct keep_restored *got = &d->restored;
    keep_numbers_started(&r->numbers, got, d->start.downtime_ms, d->journal_records);
    log_info("restart.restored",
             "entries=%llu proven=%llu stale=%llu candidates=%llu dropped=%llu over=%llu "
             "floors=%llu ms=%lld",
             (unsigned long long)got->entries, (unsigned long long)got->as[PROOF_PROVEN],
             (unsigned long long)got->as[PROOF_STALE], (unsigned long long)got->as[PROOF_CANDIDATE],
             (unsigned long long)got->as[PROOF_DROPPED], (unsigned long long)got->over,
             (unsigned long long)got->floors, (long long)got->ms);
}

static void on_alive(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct restart *r = timer->data;
    const struct conf *conf = r->server->snapshot->conf;
    state_dir_touch(r->dir);
    if (r->every_ms != conf->snapshot_every_ms && r->work == RESTART_IDLE)
        every_start(r, INT64_MAX);
    if (!r->journal)
        return;
    journal_keep(r->journal, conf->floor_ttl_ms, (uint64_t)conf->journal_bytes);
    journal_tick(r->journal, clock_ms(), clock_wall_ms());
}

static void alive_start(struct restart *r)
{
    ev_timer_init(&r->alive, on_alive, 0., ALIVE_S);
    r->alive.data = r;
    ev_timer_start(r->server->loop, &r->alive);
}

/* A journal that cannot be made is one that is broken: it says so, and tries again. */
static int open_journal(struct restart *r, struct err *e)
{
    const struct conf *conf = r->server->conf;
    const struct journal_reading *read = &r->read.journal;
    if (strcmp(conf->journal, "off") == 0)
        return journal_remove(r->dir, e);
    struct journal_options o = {
        .dir = r->dir,
        .incarnation = rng_os(),
        .now_ms = clock_ms(),
        .wall_ms = clock_wall_ms(),
        .keep_ms = conf->floor_ttl_ms,
        .max_bytes = (uint64_t)conf->journal_bytes,
        .sync = strcmp(conf->journal, "sync") == 0,
        .relies = KEEP_FILE,
    };
    strcpy(o.boot_id, r->boot_id);
    if (read->verdict == JOURNAL_COMPLETE && !read->other_boot)
        o.after = read;
    return journal_open(&r->journal, &o, e);
}

static bool is_given_up(struct restart *r)
{
    if (!r->read.given_up && !r->stop)
        return false;
    ev_timer_stop(r->server->loop, &r->extend);
    ev_break(r->server->loop, EVBREAK_ALL);
    return true;
}

static void feeds_done(struct restart *r)
{
    if (is_given_up(r))
        return;
    for (size_t i = 0; i < CONF_BACKENDS_MAX; i++)
        if (r->read.again[i]) {
            submit(r, RESTART_REREADING);
            return;
        }
    begin_serving(r);
}

static void read_done(struct restart *r)
{
    if (!is_given_up(r))
        restart_feeds_begin(r, feeds_done);
}

static void begin_serving(struct restart *r)
{
    struct server *s = r->server;
    struct err e;
    if (is_given_up(r))
        return;
    ev_timer_stop(s->loop, &r->extend);
    if (restart_feeds_lost(r))
        r->read.lossy_until_ms = s->started_ms + s->conf->floor_ttl_ms;
    keep_close(r->keep);
    r->keep = NULL;
    tell_proof(r);
    flights_lose_floors(s->flights, r->read.lossy_until_ms);
    if (open_journal(r, &e) != 0)
        log_error("journal.broken", "error=%s", log_q(e.text));
    changes_journal(&s->changes, r->journal);
    changes_journal(&s->changes, r->journal);
    r->served = true;
    alive_start(r);
    /* The file that was read is gone: what came back is to outlast a crash soon. */
    every_start(r, r->read.restored.entries > 0 ? FIRST_MS : INT64_MAX);
    r->begun(s);
}

void restart_begin(struct restart *r, void (*done)(struct server *s), struct server *s)
{
    if (!r) {
        done(s);
        return;
    }
    r->begun = done;
    restart_feeds_open(r);
    extend_start(r);
    submit(r, RESTART_READING);
}

/* ---- the end ---- */

void restart_stop(struct restart *r)
{
    if (r)
        atomic_store(&r->stop, true);
}

/* Nothing was changed since it was taken: it is there for the next life as it was for this one. */
static void give_back(struct restart *r)
{
    struct err e;
    if (!r->keep)
        return;
    int rc = keep_give_back(r->keep, &e);
    r->keep = NULL;
    if (rc == 0)
        rc = life_undo(r->dir, r->life, &e);
    if (rc != 0)
        log_error("restart.not_given_back", "error=%s", log_q(e.text));
}

void restart_end(struct restart *r)
{
    if (!r)
        return;
    struct ev_loop *loop = r->server->loop;
    ev_timer_stop(loop, &r->every);
    ev_timer_stop(loop, &r->alive);
    ev_timer_stop(loop, &r->feeds_limit);
    while (r->work != RESTART_IDLE) /* it has been told to stop */
        ev_run(loop, EVRUN_ONCE);
    if (!r->served) {
        give_back(r);
        return;
    }
    r->served = false;
    atomic_store(&r->stop, false);
    extend_start(r);
    write_start(r, true);
    while (r->work != RESTART_IDLE)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &r->extend);
    state_dir_touch(r->dir);
}

void restart_free(struct restart *r)
{
    if (!r)
        return;
    pool_free(r->pool);
    keep_close(r->keep);
    journal_close(r->journal);
    state_dir_close(r->dir);
    buf_fini(&r->write.positions);
    keep_numbers_fini(&r->numbers);
    free(r);
}
