/*
 * feed_world: a feed on a store and flights of a virtual clock, for the tests of feeds.
 */
#ifndef RTCACHE_TESTS_FEED_WORLD_H
#define RTCACHE_TESTS_FEED_WORLD_H

#include "flight_world.h"

#include "load/feed.h"

#include <stdio.h>

struct fed {
    struct world *w;
    struct changes changes;
    struct feed feed;
    _Atomic bool cut;
    const char *patterns[20];
};

static inline void start(struct fed *f, struct world *w, size_t patterns)
{
    memset(f, 0, sizeof *f);
    f->w = w;
    f->changes = (struct changes){.store = w->store, .flights = w->flights, .marks = w->marks};
    for (size_t i = 0; i < 20; i++)
        f->patterns[i] = i == 0 ? "user:*" : "other:*";
    struct feed_rule rule = {
        .heartbeat_ms = 100,
        .grace_ms = 1000,
        .floor_ttl_ms = 60000,
        .max_key = 100,
        .patterns = f->patterns,
        .pattern_count = patterns,
        .cut = &f->cut,
    };
    feed_init(&f->feed, &f->changes, &rule, 0xabc, w->now_ms);
}

static inline void put_stored(struct world *w, const char *key, int64_t version)
{
    struct slice k = slice_str(key);
    struct put p = {
        .key = k,
        .hash = store_hash(w->store, k),
        .value = slice_of(value_a, 2),
        .has_version = true,
        .version = version,
        .ttl_ms = 100000,
        .stale_ttl_ms = 100000,
    };
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, NULL), 0);
}

/* identity: "system/timeline", or "" where neither may be asked for. */
static inline bool up(struct fed *f, const char *identity)
{
    struct identity id = {.started = "1"};
    if (identity[0]) {
        snprintf(id.system, sizeof id.system, "%.1s", identity);
        snprintf(id.timeline, sizeof id.timeline, "%s", identity + 2);
    }
    const struct listen_up now = {.identity = &id, .missed = FEED_MISSED_NONE};
    return feed_up(&f->feed, &now, f->w->now_ms);
}

static inline bool hear(struct fed *f, const char *payload)
{
    struct err e;
    return feed_payload(&f->feed, slice_str(payload), f->w->now_ms, &e);
}

/* The next heartbeat, which comes back or does not. */
static inline enum feed_wish beat(struct fed *f, bool comes_back)
{
    char text[FEED_BEAT_TEXT];
    f->w->now_ms += 100;
    enum feed_wish wish = feed_tick(&f->feed, f->w->now_ms, text);
    if (wish == FEED_BEAT && comes_back)
        assert_true(hear(f, text));
    return wish;
}

static inline bool reads_primary(struct world *w)
{
    struct join_result r;
    bool primary, stored;
    struct outcome o = found(value_a);
    struct join_request q = request_for(w, "user:1", NULL);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    end_with(w, r.flight, &o, &stored);
    return primary;
}

#endif
