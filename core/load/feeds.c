#include "load/feeds.h"

#include "backend/backend.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "load/feed.h"
#include "sys/worker.h"

#include <stdlib.h>

struct one {
    struct list link;
    struct feeds *feeds;
    struct feed feed;
    struct listen *listen;
    struct snapshot *made;    /* that its connection was made of; one reference */
    struct snapshot *current; /* whose patterns and numbers it uses; one reference */
    const char *name;         /* of the backend, in made */
    size_t index;             /* of the backend, in current */
    const char **patterns;    /* owned */
    ev_timer due;
};

struct feeds {
    struct worker worker;
    const struct changes *changes;
    struct list all;
    struct message stop;
};

static void publish(struct one *o)
{
    struct live_feed *to = &o->current->backends[o->index]->feed;
    atomic_store_explicit(&to->connected, o->feed.connected, memory_order_relaxed);
    atomic_store_explicit(&to->events, o->feed.events, memory_order_relaxed);
    atomic_store_explicit(&to->bad, o->feed.bad, memory_order_relaxed);
    atomic_store_explicit(&to->gaps, o->feed.gaps, memory_order_relaxed);
    atomic_store_explicit(&to->lag_ms, o->feed.lag_ms, memory_order_relaxed);
}

static void arm(struct one *o)
{
    struct ev_loop *loop = o->feeds->worker.loop;
    int64_t now_ms = clock_ms(), due_ms = feed_due_ms(&o->feed, now_ms);
    ev_timer_stop(loop, &o->due);
    if (due_ms == INT64_MAX)
        return;
    ev_now_update(loop);
    ev_timer_set(&o->due, due_ms > now_ms ? (double)(due_ms - now_ms) / 1e3 : 0., 0.);
    ev_timer_start(loop, &o->due);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct one *o = timer->data;
    char beat[FEED_BEAT_TEXT];
    switch (feed_tick(&o->feed, clock_ms(), beat)) {
    case FEED_BEAT: /* one that is not sent counts as missed */
        (void)listen_notify(o->listen, beat, o->feed.missed_open);
        break;
    case FEED_DEAD: listen_drop(o->listen, "its heartbeats do not come back"); break;
    case FEED_NOTHING: break;
    }
    publish(o);
    arm(o);
}

static void on_up(void *arg, const struct identity *identity, const char *missed)
{
    struct one *o = arg;
    char was[IDENTITY_TEXT], is[IDENTITY_TEXT];
    bool first = identity_empty(&o->feed.identity);
    identity_show(&o->feed.identity, was);
    identity_show(identity, is);
    if (!feed_up(&o->feed, identity, missed, clock_ms()) && !first)
        log_warn("feed.other_cluster", "backend=%s before=%s now=%s", o->name, was, is);
    publish(o);
    arm(o);
}

static void on_beaten(void *arg, const struct listen_beat *b)
{
    struct one *o = arg;
    if (!feed_beaten(&o->feed, b->missed, b->held, b->wal_end, clock_ms()))
        log_warn("feed.missed", "backend=%s held=%s", o->name, b->held ? "true" : "false");
    publish(o);
    arm(o);
}

static void on_notified(void *arg, struct slice payload)
{
    struct one *o = arg;
    struct err e;
    if (!feed_payload(&o->feed, payload, clock_ms(), &e))
        log_warn("feed.bad", "backend=%s payload=%s error=%s", o->name, log_key(payload),
                 log_q(e.text));
    publish(o);
    if (o->feed.mark_due)
        arm(o);
}

static void on_down(void *arg, const char *why)
{
    struct one *o = arg;
    (void)why;
    feed_down(&o->feed, clock_ms());
    publish(o);
    arm(o);
}

static void one_free(struct one *o)
{
    ev_timer_stop(o->feeds->worker.loop, &o->due);
    list_remove(&o->link);
    listen_free(o->listen);
    snapshot_unref(o->made);
    snapshot_unref(o->current);
    free(o->patterns);
    free(o);
}

/* The patterns of the loaders that backend `index` feeds; NULL: no memory. */
static const char **patterns_of(const struct conf *conf, size_t index, size_t *count)
{
    const char **patterns = calloc(conf->loader_count + 1, sizeof *patterns);
    *count = 0;
    for (size_t i = 0; patterns && i < conf->loader_count; i++)
        if (snapshot_feed_of(conf, &conf->loaders[i]) == (int)index)
            patterns[(*count)++] = conf->loaders[i].pattern;
    return patterns;
}

/* Whether a loader that backend `index` feeds reads another one, whose primary that is. */
static bool has_replica(const struct conf *conf, size_t index)
{
    for (size_t i = 0; i < conf->loader_count; i++)
        if (snapshot_feed_of(conf, &conf->loaders[i]) == (int)index &&
            strcmp(conf->loaders[i].backend, conf->backends[index].name) != 0)
            return true;
    return false;
}

/* false: no memory, nothing has changed. */
static bool one_use(struct one *o, struct snapshot *s, size_t index, struct feed_rule *rule)
{
    const struct conf_backend *b = &s->conf->backends[index];
    size_t count;
    const char **patterns = patterns_of(s->conf, index, &count);
    if (!patterns)
        return false;
    snapshot_ref(s);
    snapshot_unref(o->current);
    free(o->patterns);
    o->current = s;
    o->index = index;
    o->patterns = patterns;
    *rule = (struct feed_rule){
        .heartbeat_ms = b->feed_heartbeat_ms,
        .grace_ms = b->feed_grace_ms,
        .floor_ttl_ms = s->conf->floor_ttl_ms,
        .max_key = (size_t)s->conf->max_key,
        .patterns = patterns,
        .pattern_count = count,
        .lagging = has_replica(s->conf, index),
        .cut = &s->backends[index]->feed.cut,
    };
    return true;
}

/* The one that the last configuration had for this backend, whatever its options were; or NULL. */
static struct one *find_before(struct feeds *fs, const struct one *made)
{
    list_for_each (link, &fs->all) {
        struct one *o = container_of(link, struct one, link);
        if (o != made && strcmp(o->name, made->name) == 0)
            return o;
    }
    return NULL;
}

static struct one *one_new(struct feeds *fs, struct snapshot *s, size_t index, struct err *e)
{
    struct one *o = calloc(1, sizeof *o);
    struct feed_rule rule;
    if (!o || !one_use(o, s, index, &rule)) {
        free(o);
        err_set(e, ERR_NOMEM, "no memory for a feed");
        return NULL;
    }
    o->feeds = fs;
    o->made = snapshot_ref(s);
    o->name = s->conf->backends[index].name;
    ev_timer_init(&o->due, on_due, 0., 0.);
    o->due.data = o;
    list_push_back(&fs->all, &o->link);
    feed_init(&o->feed, fs->changes, &rule, rng_os(), clock_ms());
    const struct one *before = find_before(fs, o);
    if (before)
        feed_succeed(&o->feed, &before->feed, clock_ms());
    struct listen_events events = {on_up, on_notified, on_beaten, on_down, o};
    if (backend_listen(&o->listen, fs->worker.loop, &s->conf->backends[index], &events, e) != 0) {
        one_free(o);
        return NULL;
    }
    publish(o);
    arm(o);
    return o;
}

static struct one *find_same(struct feeds *fs, const struct conf_backend *b)
{
    list_for_each (link, &fs->all) {
        struct one *o = container_of(link, struct one, link);
        int was = conf_backend_index(o->made->conf, o->name);
        if (conf_backend_same(&o->made->conf->backends[was], b))
            return o;
    }
    return NULL;
}

struct change {
    struct message message;
    struct snapshot *snapshot;
};

static void feeds_recv_change(struct message *m, void *owner)
{
    struct feeds *fs = owner;
    struct change *c = container_of(m, struct change, message);
    struct snapshot *s = c->snapshot;
    struct feed_rule rule;
    struct err e;
    for (size_t i = 0; i < s->conf->backend_count; i++) {
        const struct conf_backend *b = &s->conf->backends[i];
        if (!b->feed)
            continue;
        struct one *o = find_same(fs, b);
        if (o && one_use(o, s, i, &rule)) {
            feed_change(&o->feed, &rule);
            publish(o);
            arm(o);
        } else if (o || !one_new(fs, s, i, &e)) {
            if (o)
                err_set(&e, ERR_NOMEM, "no memory for the patterns of a feed");
            log_error("feed.failed", "backend=%s error=%s", b->name, log_q(e.text));
            atomic_store(&s->backends[i]->feed.cut, true); /* nobody listens */
        }
    }
    list_for_each_safe (link, next, &fs->all) {
        struct one *o = container_of(link, struct one, link);
        if (o->current != s)
            one_free(o);
    }
    snapshot_unref(s);
    free(c);
}

void feeds_change(struct feeds *fs, struct snapshot *s)
{
    struct change *c = malloc(sizeof *c);
    if (!c) {
        log_error("feed.change", "error=\"no memory\"");
        return;
    }
    c->message.recv = feeds_recv_change;
    c->snapshot = snapshot_ref(s);
    mailbox_send(&fs->worker.mailbox, &c->message);
}

int feeds_new(struct feeds **out, const struct changes *changes, struct err *e)
{
    *out = NULL;
    struct feeds *fs = calloc(1, sizeof *fs);
    if (!fs)
        return err_set(e, ERR_NOMEM, "no memory for the feeds");
    fs->changes = changes;
    list_init(&fs->all);
    int rc = worker_init(&fs->worker, "feeds", 0, fs, e);
    if (rc != 0) {
        free(fs);
        return rc;
    }
    *out = fs;
    return 0;
}

int feeds_start(struct feeds *fs, struct err *e)
{
    return worker_start(&fs->worker, e);
}

static void feeds_recv_stop(struct message *m, void *owner)
{
    (void)m;
    struct feeds *fs = owner;
    while (!list_empty(&fs->all))
        one_free(container_of(fs->all.next, struct one, link));
    worker_stop(&fs->worker);
}

void feeds_stop(struct feeds *fs)
{
    fs->stop.recv = feeds_recv_stop;
    mailbox_send(&fs->worker.mailbox, &fs->stop);
}

void feeds_join(struct feeds *fs)
{
    worker_join(&fs->worker);
}

void feeds_free(struct feeds *fs)
{
    if (!fs)
        return;
    /* What came after the stop makes feeds that are gone at once. */
    mailbox_drain(&fs->worker.mailbox);
    while (!list_empty(&fs->all))
        one_free(container_of(fs->all.next, struct one, link));
    worker_fini(&fs->worker);
    free(fs);
}
