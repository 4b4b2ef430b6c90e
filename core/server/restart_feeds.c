/* The feeds over a restart: where they were, whether they went on from there, where they are. */
#include "server/restart_priv.h"

#include "base/log.h"
#include "load/fingerprint.h"

static int backend_of(const struct restart *r, const char *name)
{
    return conf_backend_index(r->server->snapshot->conf, name);
}

/* ---- where they were ---- */

static void open_one(struct restart *r, const struct keep_feed *f)
{
    struct server *s = r->server;
    const struct conf *conf = s->snapshot->conf;
    uint64_t source;
    struct err e;
    for (size_t i = 0; i < conf->backend_count; i++) {
        const struct conf_backend *b = &conf->backends[i];
        if (!b->feed || f->position.size == 0 || !slice_eq_str(f->backend, b->name))
            continue;
        if (fingerprint_of_source(conf, i, &source, &e) != 0 || source != f->source ||
            feeds_resume(s->feeds, b->name, f->position, &e) != 0)
            continue;
        r->read.resumed[i] = r->feeds[i].waits = true;
        r->feeds_waiting++;
    }
}

static void caught_up(void *arg, const char *name, bool resumed);

void restart_feeds_open(struct restart *r)
{
    const struct keep_header *h = r->keep ? keep_header_of(r->keep) : NULL;
    feeds_tell(r->server->feeds, caught_up, r);
    for (size_t i = 0; h && i < h->feed_count; i++)
        open_one(r, &h->feeds[i]);
}

/* ---- whether they went on ---- */

static void settle(struct restart *r)
{
    void (*done)(struct restart * r) = r->feeds_done;
    ev_timer_stop(r->server->loop, &r->feeds_limit);
    r->feeds_done = NULL;
    if (done)
        done(r);
}

static void lose(struct restart *r, size_t i, const char *why)
{
    log_warn("restart.feed", "backend=%s reason=%s", r->server->snapshot->conf->backends[i].name,
             log_q(why));
    r->read.resumed[i] = false;
    r->read.again[i] = true;
}

static void recv_caught_up(struct message *m, void *owner)
{
    (void)owner;
    struct restart_feed *f = container_of(m, struct restart_feed, message);
    struct restart *r = f->restart;
    if (!f->waits) /* warm_wait was over before */
        return;
    f->waits = false;
    if (!f->resumed)
        lose(r, (size_t)(f - r->feeds), "it does not go on where it was");
    if (--r->feeds_waiting == 0)
        settle(r);
}

/* On the feeds' thread; once for each. */
static void caught_up(void *arg, const char *name, bool resumed)
{
    struct restart *r = arg;
    int i = backend_of(r, name);
    if (i < 0)
        return;
    struct restart_feed *f = &r->feeds[i];
    f->restart = r;
    f->resumed = resumed;
    f->message.recv = recv_caught_up;
    mailbox_send(&r->server->control, &f->message);
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct restart *r = timer->data;
    for (size_t i = 0; i < CONF_BACKENDS_MAX; i++) {
        if (!r->feeds[i].waits)
            continue;
        r->feeds[i].waits = false;
        lose(r, i, "its database was not reached within warm_wait");
    }
    r->feeds_waiting = 0;
    settle(r);
}

void restart_feeds_begin(struct restart *r, void (*done)(struct restart *r))
{
    struct server *s = r->server;
    struct err e;
    r->feeds_done = done;
    if (feeds_start(s->feeds, &e) != 0) {
        log_error("restart.feeds", "error=%s", log_q(e.text));
        s->exit_code = 1;
        ev_break(s->loop, EVBREAK_ALL);
        return;
    }
    if (r->feeds_waiting == 0) {
        settle(r);
        return;
    }
    ev_timer_init(&r->feeds_limit, on_limit, (double)s->conf->warm_wait_ms / 1e3, 0.);
    r->feeds_limit.data = r;
    ev_timer_start(s->loop, &r->feeds_limit);
}

bool restart_feeds_lost(const struct restart *r)
{
    const struct conf *conf = r->server->snapshot->conf;
    for (size_t i = 0; i < conf->backend_count; i++)
        if (conf->backends[i].feed && !r->read.resumed[i])
            return true;
    return false;
}

/* ---- where they are ---- */

int restart_feeds_place(struct restart *r, struct err *e)
{
    struct server *s = r->server;
    struct restart_write *w = &r->write;
    const struct conf *conf = s->snapshot->conf;
    size_t begins[CONF_BACKENDS_MAX + 1];
    int rc = 0;
    buf_clear(&w->positions);
    w->feed_count = 0;
    for (size_t i = 0; i < conf->backend_count && rc == 0; i++) {
        begins[w->feed_count] = w->positions.size;
        if (!conf->backends[i].feed ||
            !feeds_position(s->feeds, conf->backends[i].name, &w->positions))
            continue;
        struct keep_feed *f = &w->feeds[w->feed_count++];
        f->backend = slice_str(conf->backends[i].name);
        rc = fingerprint_of_source(conf, i, &f->source, e);
    }
    begins[w->feed_count] = w->positions.size;
    for (size_t k = 0; k < w->feed_count; k++)
        w->feeds[k].position = slice_of(w->positions.data + begins[k], begins[k + 1] - begins[k]);
    return rc;
}
