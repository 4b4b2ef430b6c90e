/*
 * ask_world: an asker on a virtual clock, with the real store and flights, for the tests of serve.
 */
#ifndef RTCACHE_TESTS_ASK_WORLD_H
#define RTCACHE_TESTS_ASK_WORLD_H

#include "../load/flight_world.h"
#include "load/route.h"
#include "serve/parked.h"

#include <string.h>

struct asking {
    struct world *w;
    struct asker by;
    struct rng rng;
    struct policy policy;
    struct loader_counters counters;
    struct ask_loader loader;
    struct buf out;
    struct ask_verdict v;
};

static inline int asking_setup(void **state)
{
    struct asking *a = calloc(1, sizeof *a);
    a->w = world_new(100);
    a->rng.state = 1;
    a->by = (struct asker){
        .store = a->w->store,
        .flights = a->w->flights,
        .marks = a->w->marks,
        .metrics = metrics_mine(),
        .rng = &a->rng,
    };
    a->policy = (struct policy){.max_waiters = 3, .wait_timeout_ms = 5000, .stale_wait_ms = 0};
    a->loader =
        (struct ask_loader){.policy = &a->policy, .generation = 1, .counters = &a->counters};
    buf_init(&a->out, 0);
    *state = a;
    return 0;
}

static inline int asking_teardown(void **state)
{
    struct asking *a = *state;
    buf_fini(&a->out);
    world_free(a->w);
    free(a);
    return 0;
}

static inline struct ask ask_for(const struct asking *a, const char *key)
{
    struct slice k = slice_str(key);
    return (struct ask){
        .key = k, .hash = store_hash(a->w->store, k), .timeout_ms = -1, .stale_wait_ms = -1};
}

/* What is asked for wants a version of least at least. */
static inline struct ask ask_min(const struct asking *a, const char *key, int64_t least)
{
    struct ask q = ask_for(a, key);
    q.has_min = true;
    q.min_version = least;
    return q;
}

static inline struct ask_room room(struct asking *a)
{
    buf_clear(&a->out);
    return (struct ask_room){.out = &a->out};
}

/* As a load of the key would leave it: fresh for 1 s, then stale for 10, then kept for 100. */
static inline void stored(struct asking *a, const char *key, struct outcome o)
{
    struct join_result r;
    bool kept;
    o.stale_ttl_ms = 10000;
    o.keep_ms = 100000;
    assert_int_equal(join_as(a->w, key, NULL, &r), JOIN_STARTED);
    end_with(a->w, r.flight, &o, &kept);
    assert_true(kept);
}

#define PAST_TTL   2000
#define PAST_STALE 20000

static inline struct outcome absent(void)
{
    return (struct outcome){.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
}

static inline void failed(struct asking *a, const char *key)
{
    struct join_result r;
    assert_int_equal(join_as(a->w, key, NULL, &r), JOIN_STARTED);
    fail_load(a->w, r.flight, "the source is down");
}

/* A verdict of which nothing is known yet: whoever gives one fills what its kind names. */
static inline struct ask_verdict *no_verdict(struct asking *a)
{
    memset(&a->v, 0xee, sizeof a->v);
    return &a->v;
}

/* The first look, and what follows it. */
static inline enum verdict_kind ask(struct asking *a, const struct ask *q)
{
    struct ask_verdict *v = no_verdict(a);
    struct ask_room to = room(a);
    enum lookup found = ask_get(&a->by, q, a->w->now_ms, false, to.out, &v->hit);
    v->flight = NULL;
    v->status = STATUS_HIT;
    v->kind = found == LOOKUP_FRESH ? VERDICT_VALUE : VERDICT_ABSENT;
    if (found != LOOKUP_FRESH && found != LOOKUP_NEGATIVE)
        ask_decide(&a->by, q, &a->loader, a->w->now_ms, found, v);
    return v->kind;
}

static inline enum verdict_kind join(struct asking *a, struct parked *t, const struct ask *q,
                                     bool stale)
{
    parked_init(t, q);
    ask_join(&a->by, t, &a->loader, a->w->now_ms, stale, room(a), no_verdict(a));
    return a->v.kind;
}

/* The verdict's flight ends so; nobody is told. */
static inline void flight_ends(struct asking *a, struct flight *f, struct outcome o)
{
    bool kept;
    (void)end_with(a->w, f, &o, &kept);
}

/* The verdict's flight ends and is abandoned by its load. */
static inline void drop_flight(struct asking *a)
{
    if (a->v.flight)
        flight_ends(a, a->v.flight, (struct outcome){.end = END_REFUSED});
    a->v.flight = NULL;
}

static inline void value_is(const struct asking *a, const char *packed)
{
    assert_true(slice_eq(buf_slice(&a->out), slice_of(packed, 2)));
}

#endif
