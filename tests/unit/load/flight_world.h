/*
 * flight_world: a store and its flights on a virtual clock, for the tests of flights.
 */
#ifndef RTCACHE_TESTS_FLIGHT_WORLD_H
#define RTCACHE_TESTS_FLIGHT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/flight.h"
#include "locks.h"
#include "store/marks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((unused)) static const char value_a[] = "\xa1"
                                                      "a";
__attribute__((unused)) static const char value_b[] = "\xa1"
                                                      "b";

struct world {
    struct marks *marks;
    size_t room; /* bytes of a result that may be kept for those who wait */
    struct store *store;
    struct flights *flights;
    int64_t now_ms;
};

static inline void never(struct message *m, void *owner)
{
    (void)m, (void)owner;
}

static inline bool has_room(const void *budget, size_t bytes)
{
    return bytes <= ((const struct world *)budget)->room;
}

static inline struct world *world_new(size_t failed_max)
{
    struct world *w = calloc(1, sizeof *w);
    w->now_ms = 1000000;
    w->room = SIZE_MAX;
    assert_int_equal(marks_new(&w->marks, 1024, 3, NULL), 0);
    struct store_options so = {
        .memory_bytes = 16 << 20, .shards = 4, .seed = 1, .now_ms = w->now_ms, .marks = w->marks};
    assert_int_equal(store_new(&w->store, &so, NULL), 0);
    struct flights_options fo = {
        .store = w->store,
        .marks = w->marks,
        .shards = 1,
        .slots = 2,
        .failed_max = failed_max,
        .floors_max = 100,
        .seed = 7,
        .deliver = never,
        .admits = has_room,
        .budget = w,
    };
    assert_int_equal(flights_new(&w->flights, &fo, NULL), 0);
    return w;
}

static inline void world_free(struct world *w)
{
    flights_free(w->flights);
    store_free(w->store);
    marks_free(w->marks);
    free(w);
}

static inline int setup(void **state)
{
    *state = world_new(100);
    return 0;
}

static inline int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static inline struct join_request request_for(struct world *w, const char *key,
                                              struct waiter *waiter)
{
    struct slice k = slice_str(key);
    return (struct join_request){
        .key = k,
        .hash = store_hash(w->store, k),
        .now_ms = w->now_ms,
        .generation = 1,
        .max_waiters = 3,
        .slot = 0,
        .waiter = waiter,
    };
}

static inline struct outcome found(const char *packed)
{
    return (struct outcome){
        .end = END_FOUND,
        .value = slice_of(packed, 2),
        .store = true,
        .ttl_ms = 1000,
        .generation = 1,
    };
}

static inline enum join join_as(struct world *w, const char *key, struct waiter *waiter,
                                struct join_result *out)
{
    struct buf room;
    buf_init(&room, 0);
    struct join_request q = request_for(w, key, waiter);
    q.out = &room;
    memset(out, 0, sizeof *out);
    enum join joined = flights_join(w->flights, &q, out);
    buf_fini(&room);
    return joined;
}

enum { BELOW = 9999 }; /* nothing ended: the flight is still its load's */

static inline bool invalidate(struct world *w, const char *key, const int64_t *version)
{
    bool dropped;
    struct slice k = slice_str(key);
    struct invalidation i = {
        .key = k,
        .hash = store_hash(w->store, k),
        .now_ms = w->now_ms,
        .version = version,
        .floor_ttl_ms = 60000,
    };
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    return dropped;
}

/* Ends a flight as a loader thread would, and delivers to whoever waits. The number of waiters. */
static inline unsigned end_with(struct world *w, struct flight *f, const struct outcome *o,
                                bool *stored)
{
    unsigned woken = 0;
    struct verdict v;
    flights_end(w->flights, f, o, w->now_ms, &v);
    *stored = v.stored;
    if (v.below)
        return BELOW;
    for (unsigned i = 0; i < 2; i++) {
        if (list_empty(&f->slots[i].waiters))
            continue;
        while (list_pop_front(&f->slots[i].waiters))
            woken++;
        flight_unref(f);
    }
    flight_unref(f);
    return woken;
}

static inline void fail_load(struct world *w, struct flight *f, const char *text)
{
    struct err err;
    bool stored;
    err_set(&err, ERR_BACKEND_DOWN, "%s", text);
    struct outcome o = {
        .end = END_FAILED, .err = &err, .backoff_base_ms = 1000, .backoff_cap_ms = 8000};
    end_with(w, f, &o, &stored);
    assert_false(stored);
}

static inline enum lookup lookup(struct world *w, const char *key)
{
    struct hit hit;
    struct buf out;
    buf_init(&out, 0);
    struct slice k = slice_str(key);
    enum lookup got = store_get(w->store, k, store_hash(w->store, k), w->now_ms,
                                WANT_STALE | WANT_PEEK, &out, &hit);
    buf_fini(&out);
    return got;
}

static inline struct outcome found_version(int64_t version)
{
    struct outcome o = found(value_a);
    o.has_version = true;
    o.version = version;
    return o;
}

static inline int match(struct world *w, const char *pattern, bool soft)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, slice_str(pattern), room);
    return flights_match(w->flights, &g, soft, NULL);
}

static inline bool begin(struct world *w, struct flight *f, uint64_t generation, bool *primary)
{
    struct begun begun;
    struct beginning b = {.generation = generation, .now_ms = w->now_ms, .queued = true};
    flights_begin(w->flights, f, &b, &begun);
    if (primary)
        *primary = begun.primary;
    return begun.wanted;
}

#endif
