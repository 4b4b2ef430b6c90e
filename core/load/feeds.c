#include "load/feeds.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "load/feed.h"
#include "load/feed_places.h"
#include "sys/worker.h"

#include <stdlib.h>

/* Before a listen that could not be made, for want of memory, is tried again: longer each time. */
#define RETRY_BASE_MS 10
#define RETRY_CAP_MS  1000

struct one {
    struct list link;
    struct feeds *feeds;
    struct feed feed;
    struct listen *listen;    /* NULL: it could not be made yet */
    int64_t again_ms;         /* then: when it is tried again */
    int64_t wait_ms;          /* how long after that; 0: it was not tried again */
    struct snapshot *made;    /* that its connection was made of; one reference */
    struct snapshot *current; /* whose patterns and numbers it uses; one reference */
    const char *name;         /* of the backend, in made */
    size_t index;             /* of the backend, in current */
    const char **patterns;    /* owned */
    bool awaited;             /* nobody was told yet whether it resumed */
    struct buf from;          /* where it goes on from, if it is awaited; ends with its NUL */
    ev_timer due;
};

struct feeds {
    struct worker worker;
    const struct changes *changes;
    feeds_listen *listen;
    struct list all;
    struct message stop;
    struct feed_places starts; /* of feeds_resume, until they are up */
    struct feed_places places; /* where they are now */
    feeds_caught_up *caught_up;
    void *caught_up_arg;
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

/* Where it would go on from, for any thread. */
static void publish_place(struct one *o)
{
    struct feeds *fs = o->feeds;
    struct buf text;
    buf_init(&text, FEED_PLACE_MAX);
    bool ok = feed_settled(&o->feed) && o->listen && listen_position(o->listen, &text) &&
              feed_places_set(&fs->places, o->name, buf_slice(&text)) == 0;
    if (!ok)
        feed_places_clear(&fs->places, o->name);
    buf_fini(&text);
}

static void tell_caught_up(struct one *o, bool resumed)
{
    struct feeds *fs = o->feeds;
    if (!o->awaited)
        return;
    o->awaited = false;
    buf_fini(&o->from);
    feed_places_clear(&fs->starts, o->name);
    if (fs->caught_up)
        fs->caught_up(fs->caught_up_arg, o->name, resumed);
}

static void arm(struct one *o)
{
    struct ev_loop *loop = o->feeds->worker.loop;
    int64_t now_ms = clock_ms(), due_ms = feed_due_ms(&o->feed, now_ms);
    if (!o->listen && o->again_ms < due_ms)
        due_ms = o->again_ms;
    ev_timer_stop(loop, &o->due);
    if (due_ms == INT64_MAX)
        return;
    ev_now_update(loop);
    ev_timer_set(&o->due, due_ms > now_ms ? (double)(due_ms - now_ms) / 1e3 : 0., 0.);
    ev_timer_start(loop, &o->due);
}

static void try_listen(struct one *o);

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
    if (!o->listen)
        try_listen(o);
    arm(o);
}

static void on_up(void *arg, const struct listen_up *up)
{
    struct one *o = arg;
    char was[IDENTITY_TEXT], is[IDENTITY_TEXT];
    bool first = identity_empty(&o->feed.identity);
    identity_show(&o->feed.identity, was);
    identity_show(up->identity, is);
    if (!feed_up(&o->feed, up, clock_ms()) && !first)
        log_warn("feed.other_cluster", "backend=%s before=%s now=%s", o->name, was, is);
    publish(o);
    publish_place(o);
    tell_caught_up(o, up->resumed);
    arm(o);
}

static void on_moved(void *arg)
{
    struct one *o = arg;
    publish_place(o);
}

static void on_beaten(void *arg, const struct listen_beat *b)
{
    struct one *o = arg;
    if (!feed_beaten(&o->feed, b->missed, b->held, b->wal_end, clock_ms()))
        log_warn("feed.missed", "backend=%s held=%s", o->name, b->held ? "true" : "false");
    if (b->lag_ms >= 0)
        o->feed.lag_ms = b->lag_ms;
    publish(o);
    publish_place(o);
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

static void try_listen(struct one *o)
{
    const struct listen_events events = {
        .up = on_up,
        .notified = on_notified,
        .beaten = on_beaten,
        .moved = on_moved,
        .down = on_down,
        .arg = o,
        .from = o->awaited && o->from.size > 0 ? o->from.data : NULL,
    };
    const struct conf *conf = o->made->conf;
    const struct conf_backend *b = &conf->backends[conf_backend_index(conf, o->name)];
    int64_t now_ms = clock_ms();
    struct err e;
    if (now_ms < o->again_ms)
        return;
    if (o->feeds->listen(&o->listen, o->feeds->worker.loop, b, &events, &e) == 0) {
        if (!events.from || !listen_has_positions(o->listen))
            tell_caught_up(o, false);
        return;
    }
    o->wait_ms = o->wait_ms == 0 ? RETRY_BASE_MS : o->wait_ms * 2;
    if (o->wait_ms > RETRY_CAP_MS)
        o->wait_ms = RETRY_CAP_MS;
    o->again_ms = now_ms + o->wait_ms;
    log_error("feed.failed", "backend=%s retry_ms=%lld error=%s", b->name, (long long)o->wait_ms,
              log_q(e.text));
}

static void one_free(struct one *o)
{
    ev_timer_stop(o->feeds->worker.loop, &o->due);
    list_remove(&o->link);
    listen_free(o->listen);
    buf_fini(&o->from);
    snapshot_unref(o->made);
    snapshot_unref(o->current);
    free(o->patterns);
    free(o);
}

/* ---- the feeds of a configuration ---- */

/* What one of its feeds needs, made before anything has changed. */
struct plan {
    struct one *spare; /* for a feed that is not there yet */
    size_t index;      /* of the backend */
    const char **patterns;
    size_t pattern_count;
};

struct feeds_change {
    struct message message;
    struct snapshot *snapshot; /* one reference */
    int64_t from_ms;
    size_t count;
    struct plan plans[];
};

/* The patterns of the loaders that backend `index` feeds. */
static void find_patterns(struct plan *p, const struct conf *conf)
{
    for (size_t i = 0; i < conf->loader_count; i++)
        if (snapshot_feed_of(conf, &conf->loaders[i]) == (int)p->index)
            p->patterns[p->pattern_count++] = conf->loaders[i].pattern;
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

static struct feed_rule rule_of(const struct plan *p, struct snapshot *s)
{
    const struct conf_backend *b = &s->conf->backends[p->index];
    return (struct feed_rule){
        .heartbeat_ms = b->feed_heartbeat_ms,
        .grace_ms = b->feed_grace_ms,
        .floor_ttl_ms = s->conf->floor_ttl_ms,
        .max_key = (size_t)s->conf->max_key,
        .patterns = p->patterns,
        .pattern_count = p->pattern_count,
        .lagging = has_replica(s->conf, p->index),
        .cut = &s->backends[p->index]->feed.cut,
    };
}

/* Its patterns and its snapshot are o's; those that o had are let go. */
static void one_use(struct one *o, struct plan *p, struct snapshot *s)
{
    snapshot_unref(o->current);
    free(o->patterns);
    o->current = snapshot_ref(s);
    o->index = p->index;
    o->patterns = p->patterns;
    p->patterns = NULL;
}

/* What another life left for a feed that is new in this one. */
static void begin_awaited(struct one *o)
{
    o->awaited = true;
    bool ok =
        feed_places_get(&o->feeds->starts, o->name, &o->from) && buf_append(&o->from, "", 1) == 0;
    if (!ok)
        buf_clear(&o->from);
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

static void one_begin(struct feeds *fs, struct plan *p, const struct feeds_change *c)
{
    struct one *o = p->spare;
    const struct feed_rule rule = rule_of(p, c->snapshot);
    p->spare = NULL;
    o->feeds = fs;
    o->made = snapshot_ref(c->snapshot);
    o->name = c->snapshot->conf->backends[p->index].name;
    one_use(o, p, c->snapshot);
    ev_timer_init(&o->due, on_due, 0., 0.);
    o->due.data = o;
    list_push_back(&fs->all, &o->link);
    feed_init(&o->feed, fs->changes, &rule, rng_os(), c->from_ms);
    const struct one *before = find_before(fs, o);
    buf_init(&o->from, 0);
    if (before)
        feed_succeed(&o->feed, &before->feed, clock_ms());
    else
        begin_awaited(o);
    try_listen(o);
    publish(o);
    arm(o);
}

static void one_change(struct one *o, struct plan *p, struct snapshot *s)
{
    const struct feed_rule rule = rule_of(p, s);
    feed_change(&o->feed, &rule, clock_ms()); /* which looks at the patterns that it had */
    one_use(o, p, s);
    publish(o);
    arm(o);
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

static void feeds_recv_change(struct message *m, void *owner)
{
    struct feeds *fs = owner;
    struct feeds_change *c = container_of(m, struct feeds_change, message);
    for (size_t i = 0; i < c->count; i++) {
        struct plan *p = &c->plans[i];
        struct one *o = find_same(fs, &c->snapshot->conf->backends[p->index]);
        if (o)
            one_change(o, p, c->snapshot);
        else
            one_begin(fs, p, c);
    }
    list_for_each_safe (link, next, &fs->all) {
        struct one *o = container_of(link, struct one, link);
        if (o->current == c->snapshot)
            continue;
        feed_places_clear(&fs->places, o->name);
        one_free(o);
    }
    feeds_drop(c);
}

int feeds_prepare(struct feeds_change **out, struct snapshot *s, struct err *e)
{
    const struct conf *conf = s->conf;
    *out = NULL;
    struct feeds_change *c = calloc(1, sizeof *c + conf->backend_count * sizeof *c->plans);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for the feeds");
    c->snapshot = snapshot_ref(s);
    for (size_t i = 0; i < conf->backend_count; i++) {
        if (!conf->backends[i].feed)
            continue;
        struct plan *p = &c->plans[c->count++];
        p->index = i;
        p->spare = calloc(1, sizeof *p->spare);
        p->patterns = calloc(conf->loader_count + 1, sizeof *p->patterns);
        if (!p->spare || !p->patterns) {
            feeds_drop(c);
            return err_set(e, ERR_NOMEM, "no memory for the feed of %s", conf->backends[i].name);
        }
        find_patterns(p, conf);
    }
    *out = c;
    return 0;
}

void feeds_commit(struct feeds *fs, struct feeds_change *c, int64_t from_ms)
{
    c->from_ms = from_ms;
    c->message.recv = feeds_recv_change;
    mailbox_send(&fs->worker.mailbox, &c->message);
}

void feeds_drop(struct feeds_change *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        free(c->plans[i].spare);
        free(c->plans[i].patterns);
    }
    snapshot_unref(c->snapshot);
    free(c);
}

/* ---- life ---- */

int feeds_new(struct feeds **out, const struct changes *changes, feeds_listen *listen,
              struct err *e)
{
    *out = NULL;
    struct feeds *fs = calloc(1, sizeof *fs);
    if (!fs)
        return err_set(e, ERR_NOMEM, "no memory for the feeds");
    fs->changes = changes;
    fs->listen = listen;
    list_init(&fs->all);
    feed_places_init(&fs->starts);
    feed_places_init(&fs->places);
    int rc = worker_init(&fs->worker, "feeds", 0, fs, e);
    if (rc != 0) {
        feed_places_fini(&fs->starts);
        feed_places_fini(&fs->places);
        free(fs);
        return rc;
    }
    *out = fs;
    return 0;
}

void feeds_tell(struct feeds *fs, feeds_caught_up *caught_up, void *arg)
{
    fs->caught_up = caught_up;
    fs->caught_up_arg = arg;
}

int feeds_resume(struct feeds *fs, const char *name, struct slice text, struct err *e)
{
    int rc = feed_places_set(&fs->starts, name, text);
    return rc == 0 ? 0 : err_set(e, rc, "no room for the position of the feed of %s", name);
}

bool feeds_position(struct feeds *fs, const char *name, struct buf *out)
{
    return feed_places_get(&fs->places, name, out);
}

int feeds_start(struct feeds *fs, struct err *e)
{
    return worker_start(&fs->worker, e);
}

void feeds_turn(struct feeds *fs)
{
    worker_owns(&fs->worker);
    ev_run(fs->worker.loop, EVRUN_ONCE);
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
    if (fs->stop.recv) /* it was sent, and waits where they never started */
        return;
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
    feed_places_fini(&fs->starts);
    feed_places_fini(&fs->places);
    free(fs);
}
