#include "server/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/misfits.h"
#include "server/watch.h"
#include "server/watch_files.h"
#include "sys/process.h"

#include <stdlib.h>

#define BESIDE_MOST 16 /* the part of `memory`, 1 / this */

struct reload {
    struct server *server;
    struct snapshot *next;      /* being taken over; NULL: idle */
    struct feeds_change *feeds; /* what its feeds need; NULL: they have it */
    int64_t from_ms;            /* since when loads may begin by it */
    struct edition_change loaders[SERVER_THREADS_MAX];
    struct io_change ios[SERVER_THREADS_MAX];
    unsigned pending;
    struct err err;    /* the first of this round */
    struct list asked; /* clients' requests that this round answers */
    struct list later; /* that came during it */
    void (*first_done)(struct server *s, const struct err *e);
    uint64_t fingerprint;
    bool changed;
    const char *again; /* why another round follows this one */
    struct misfits misfits;
    bool stopped; /* the threads are about to end: what they answer leads to nothing more */
};

static void reload_start(struct reload *r, const char *why);

int reload_new(struct reload **out, struct server *s, struct err *e)
{
    *out = NULL;
    struct reload *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for reloads");
    r->server = s;
    list_init(&r->asked);
    list_init(&r->later);
    misfits_init(&r->misfits, s);
    *out = r;
    return 0;
}

static void answer_asked(struct reload *r, const struct err *e)
{
    struct list *link;
    while ((link = list_pop_front(&r->asked))) {
        struct io_reload *asked = container_of(link, struct io_reload, link);
        asked->rc = e ? e->code : 0;
        if (e)
            asked->err = *e;
        asked->generation = r->server->generation;
        asked->loaders = r->server->snapshot ? r->server->snapshot->conf->loader_count : 0;
        asked->changed = r->changed;
        asked->message.recv = asked->answered;
        mailbox_send(asked->answer_to, &asked->message);
    }
}

static void refuse_asked(struct reload *r)
{
    struct err e;
    err_set(&e, ERR_SHUTDOWN, "the server is going down");
    answer_asked(r, &e);
}

/* The round is over; e is NULL where the configuration was taken over. */
static void reload_end(struct reload *r, const struct err *e)
{
    struct server *s = r->server;
    snapshot_unref(r->next);
    feeds_drop(r->feeds);
    r->next = NULL;
    r->feeds = NULL;
    if (e) {
        metrics_inc(metrics_mine(), M_RELOADS_REFUSED);
        log_error("reload.refused", "error=%s", log_q(e->text));
    }
    if (r->first_done) {
        void (*done)(struct server *, const struct err *) = r->first_done;
        r->first_done = NULL;
        done(s, e);
    }
    answer_asked(r, e);
    const char *again = r->again;
    r->again = NULL;
    list_splice(&r->asked, &r->later);
    if (again)
        reload_start(r, again);
}

/* In force all the same: an old certificate serves those who do not look at it. */
static void tell_certificate(const struct snapshot *s)
{
    char doubt[64], until[64];
    if (!s->tls)
        return;
    tls_context_doubt(s->tls, clock_wall_ms() / 1000, doubt, sizeof doubt);
    tls_context_until(s->tls, until, sizeof until);
    if (doubt[0] != '\0')
        log_warn("tls.certificate", "file=%s doubt=%s", log_q(s->conf->tls.certificate),
                 log_q(doubt));
    else
        log_info("tls.certificate", "file=%s until=%s", log_q(s->conf->tls.certificate), until);
}

/* What `memory` leaves for entries: the process as it started is taken off, as far as that is no
 * more than BESIDE_MOST of it. What it needs later, for connections and loads, comes on top. */
static size_t entries_memory(struct server *s, const struct conf *conf)
{
    struct store_stats stats;
    size_t memory = (size_t)conf->memory_bytes;
    if (s->beside == 0) {
        size_t resident = process_resident();
        store_read_stats(s->store, &stats);
        s->beside = resident > stats.bytes ? resident - stats.bytes : 1;
    }
    return memory - (s->beside < memory / BESIDE_MOST ? s->beside : memory / BESIDE_MOST);
}

static void on_everywhere(struct reload *r)
{
    struct server *s = r->server;
    if (s->snapshot)
        misfits_become_due(&r->misfits, s->snapshot->conf);
    snapshot_unref(s->snapshot);
    s->snapshot = snapshot_ref(r->next);
    misfits_drop(&r->misfits);
    s->generation = r->next->generation;
    struct conf *conf = s->snapshot->conf;
    store_set_memory(s->store, entries_memory(s, conf), clock_ms());
    watch_set(s->watch, conf);
    feeds_commit(s->feeds, r->feeds, r->from_ms);
    r->feeds = NULL;
    log_setup(s->log_fd >= 0 ? s->log_fd : 2, (enum log_level)log_level_parse(conf->log_level));
    tell_certificate(s->snapshot);
    metrics_inc(metrics_mine(), M_RELOADS);
    log_info("reload.done", "generation=%llu loaders=%zu changed=%d",
             (unsigned long long)s->generation, conf->loader_count, (int)r->changed);
    reload_end(r, NULL);
}

static void recv_io_changed(struct message *m, void *owner)
{
    (void)m;
    struct server *s = owner;
    if (--s->reload->pending == 0 && !s->reload->stopped)
        on_everywhere(s->reload);
}

static void recv_loader_changed(struct message *m, void *owner);

static void step(struct reload *r, enum edition_step what)
{
    struct server *s = r->server;
    r->pending = s->loader_count;
    for (unsigned i = 0; i < s->loader_count; i++) {
        struct edition_change *c = &r->loaders[i];
        c->step = what;
        c->snapshot = r->next;
        c->answer_to = &s->control;
        c->answered = recv_loader_changed;
        loader_thread_change(s->loaders[i], c);
    }
}

static void step_ios(struct reload *r)
{
    struct server *s = r->server;
    r->pending = s->io_count;
    for (unsigned i = 0; i < s->io_count; i++) {
        struct io_change *c = &r->ios[i];
        c->snapshot = r->next;
        c->answer_to = &s->control;
        c->answered = recv_io_changed;
        io_change(s->ios[i], c);
    }
}

static void recv_loader_changed(struct message *m, void *owner)
{
    struct server *s = owner;
    struct reload *r = s->reload;
    struct edition_change *c = container_of(m, struct edition_change, message);
    if (c->rc != 0 && r->err.code == 0)
        r->err = c->err;
    if (--r->pending > 0 || r->stopped)
        return;
    switch (c->step) {
    case EDITION_PREPARE:
        r->from_ms = clock_ms();
        step(r, r->err.code == 0 ? EDITION_COMMIT : EDITION_ABORT);
        break;
    case EDITION_COMMIT: step_ios(r); break;
    case EDITION_ABORT: {
        struct err e = r->err;
        if (!r->first_done)
            e.code = ERR_RELOAD;
        reload_end(r, &e);
        break;
    }
    }
}

/* What is made on this thread. conf is handed over. */
static int prepare(struct reload *r, struct conf *conf)
{
    struct server *s = r->server;
    int rc = snapshot_new(&r->next, conf, s->generation + 1, s->snapshot, &r->err);
    if (rc != 0)
        conf_unref(conf);
    else
        rc = feeds_prepare(&r->feeds, r->next, &r->err);
    return rc;
}

static void take_over(struct reload *r, struct conf *conf)
{
    uint64_t fingerprint = watch_fingerprint(conf); /* what changes from here on is seen again */
    if (prepare(r, conf) != 0) {
        struct err e = r->err;
        if (!r->first_done)
            e.code = ERR_RELOAD;
        reload_end(r, &e);
        return;
    }
    r->changed = fingerprint != r->fingerprint;
    r->fingerprint = fingerprint;
    step(r, EDITION_PREPARE);
}

void reload_first(struct reload *r, void (*done)(struct server *s, const struct err *e))
{
    r->first_done = done;
    err_clear(&r->err);
    take_over(r, conf_ref(r->server->conf));
}

static void reload_start(struct reload *r, const char *why)
{
    struct server *s = r->server;
    struct conf *conf = NULL;
    err_clear(&r->err);
    log_info("reload.begin", "why=%s", log_q(why));
    int rc = conf_load(s->conf->file, backend_drivers, &conf, NULL, &r->err);
    if (rc == 0)
        rc = listen_check_reload(s, conf, &r->err);
    const char *fixed = rc == 0 ? conf_needs_restart(s->conf, conf) : NULL;
    if (rc == 0 && !fixed) {
        take_over(r, conf);
        return;
    }
    struct err e = r->err;
    if (fixed)
        err_set(&e, ERR_CONFIG, "%s: %s cannot change without a restart; nothing was changed",
                s->conf->file, fixed);
    else
        e.code = ERR_RELOAD;
    conf_unref(conf);
    reload_end(r, &e);
}

void reload_begin(struct reload *r, const char *why)
{
    if (r->next || r->first_done)
        r->again = why;
    else if (!r->server->draining && !r->stopped)
        reload_start(r, why);
}

void reload_file_changed(struct reload *r)
{
    if (r->next || watch_fingerprint(r->server->snapshot->conf) != r->fingerprint)
        reload_begin(r, "file changed");
}

void reload_recv_request(struct message *m, void *owner)
{
    struct server *s = owner;
    struct io_reload *asked = container_of(m, struct io_reload, message);
    bool busy = s->reload->next != NULL;
    list_push_back(busy ? &s->reload->later : &s->reload->asked, &asked->link);
    if (s->draining || s->reload->stopped)
        refuse_asked(s->reload);
    else
        reload_begin(s->reload, "request");
}

void reload_stop(struct reload *r)
{
    if (!r || r->stopped)
        return;
    r->stopped = true;
    r->again = NULL;
    misfits_stop(&r->misfits);
    refuse_asked(r);
    list_splice(&r->asked, &r->later);
    refuse_asked(r);
}

void reload_free(struct reload *r)
{
    if (!r)
        return;
    snapshot_unref(r->next);
    feeds_drop(r->feeds);
    misfits_fini(&r->misfits);
    free(r);
}
