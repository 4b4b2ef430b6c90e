/*
 * feeds_world: the feeds of a configuration, on the test's own thread, whose listens do what the
 * test says.
 *
 *   feeds_prepare, feeds_commit --feeds_turn--> fakes[] --events.up, down--> live_feed, marks
 *
 * The configuration has the backend "main", which is fed, and a loader of it for each of
 * w->patterns.
 */
#ifndef RTCACHE_TESTS_FEEDS_WORLD_H
#define RTCACHE_TESTS_FEEDS_WORLD_H

#include "flight_world.h"

#include "base/clock.h"
#include "load/feeds.h"

#include <stdio.h>

#define FEEDS_PATTERNS 3
#define FEEDS_LISTENS  8

struct fake_listen {
    struct listen head;
    struct listen_events events;
    bool freed;
};

/* A configuration. */
struct feeds_plan {
    struct conf conf;
    struct conf_backend backends[1];
    struct conf_loader loaders[FEEDS_PATTERNS];
};

struct feeds_world {
    struct world *w;
    struct changes changes;
    struct feeds *feeds;
    struct fake_listen listens[FEEDS_LISTENS];
    int count;            /* of them */
    int asked;            /* how often one was asked for */
    int refuse;           /* so many of those to come fail */
    const char *position; /* NULL: those that are made have none */
    char from[16];        /* what the last one was to go on from; "" nothing */
};

static struct feeds_world *the_feeds_world;

static inline void fake_listen_free(struct listen *l)
{
    container_of(l, struct fake_listen, head)->freed = true;
}

static inline bool fake_listen_notify(struct listen *l, const char *payload, bool ask_held)
{
    (void)l, (void)payload, (void)ask_held;
    return false;
}

static inline void fake_listen_drop(struct listen *l, const char *why)
{
    (void)l, (void)why;
}

static inline bool fake_listen_position(const struct listen *l, struct buf *out)
{
    (void)l;
    const char *text = the_feeds_world->position;
    return buf_append(out, text, strlen(text)) == 0;
}

static inline int fake_listen_new(struct listen **out, struct ev_loop *loop,
                                  const struct conf_backend *conf,
                                  const struct listen_events *events, struct err *e)
{
    static const struct listen_ops ops = {
        .free = fake_listen_free, .notify = fake_listen_notify, .drop = fake_listen_drop};
    static const struct listen_ops polls = {.free = fake_listen_free,
                                            .notify = fake_listen_notify,
                                            .drop = fake_listen_drop,
                                            .position = fake_listen_position};
    struct feeds_world *w = the_feeds_world;
    (void)loop, (void)conf;
    w->asked++;
    if (w->refuse > 0) {
        w->refuse--;
        return err_set(e, ERR_NOMEM, "no memory for a listen");
    }
    assert_in_range(w->count, 0, FEEDS_LISTENS - 1);
    struct fake_listen *l = &w->listens[w->count++];
    *l = (struct fake_listen){.head = {.ops = w->position ? &polls : &ops}, .events = *events};
    snprintf(w->from, sizeof w->from, "%s", events->from ? events->from : "");
    *out = &l->head;
    return 0;
}

static inline void feeds_world_init(struct feeds_world *w)
{
    struct err e;
    *w = (struct feeds_world){.w = world_new(100)};
    w->changes =
        (struct changes){.store = w->w->store, .flights = w->w->flights, .marks = w->w->marks};
    the_feeds_world = w;
    assert_int_equal(feeds_new(&w->feeds, &w->changes, fake_listen_new, &e), 0);
}

/* No listen may be left. */
static inline void feeds_world_fini(struct feeds_world *w)
{
    feeds_free(w->feeds);
    for (int i = 0; i < w->count; i++)
        assert_true(w->listens[i].freed);
    world_free(w->w);
}

/* So many patterns of "a:*", "b:*" and "c:*". */
static inline void feeds_plan_init(struct feeds_plan *p, size_t patterns, int64_t grace_ms)
{
    static const char *const all[FEEDS_PATTERNS] = {"a:*", "b:*", "c:*"};
    memset(p, 0, sizeof *p);
    atomic_init(&p->conf.refs, 1000); /* so many that no test ends it */
    p->conf.loader_threads = 1;
    p->conf.floor_ttl_ms = 60000;
    p->conf.max_key = 100;
    p->conf.backends = p->backends;
    p->conf.backend_count = 1;
    p->backends[0] = (struct conf_backend){
        .name = "main", .feed = "changes", .feed_grace_ms = grace_ms, .feed_heartbeat_ms = 60000};
    p->conf.loaders = p->loaders;
    p->conf.loader_count = patterns;
    for (size_t i = 0; i < patterns; i++)
        p->loaders[i] = (struct conf_loader){.pattern = all[i], .backend = "main"};
}

static inline struct snapshot *feeds_snapshot(struct feeds_plan *p, const struct snapshot *before)
{
    struct snapshot *s;
    struct err e;
    assert_int_equal(snapshot_new(&s, &p->conf, before ? before->generation + 1 : 1, before, &e),
                     0);
    return s;
}

/* s is in force from now on. */
static inline void feeds_take(struct feeds_world *w, struct snapshot *s)
{
    struct feeds_change *c;
    struct err e;
    assert_int_equal(feeds_prepare(&c, s, &e), 0);
    feeds_commit(w->feeds, c, clock_ms());
    feeds_turn(w->feeds);
}

/* resumed: it has told of all that came since it was up last. */
static inline void feeds_up_again(struct feeds_world *w, int listen, bool resumed)
{
    const struct identity id = {.system = "1", .timeline = "1", .started = "1"};
    const struct listen_events *events = &w->listens[listen].events;
    const struct listen_up up = {.identity = &id, .missed = "0/0", .resumed = resumed};
    events->up(events->arg, &up);
}

static inline void feeds_up(struct feeds_world *w, int listen)
{
    feeds_up_again(w, listen, false);
}

static inline void feeds_down(struct feeds_world *w, int listen)
{
    const struct listen_events *events = &w->listens[listen].events;
    events->down(events->arg, "the test");
}

/* A load of it has ended, whose value is fresh, and is kept beyond that. */
static inline void feeds_store(struct feeds_world *w, const char *key)
{
    struct slice k = slice_str(key);
    struct put p = {
        .key = k,
        .hash = store_hash(w->w->store, k),
        .value = slice_of(value_a, 2),
        .ttl_ms = 100000,
        .stale_ttl_ms = 100000,
    };
    assert_int_equal(flights_set(w->w->flights, &p, w->w->now_ms, NULL), 0);
}

#endif
