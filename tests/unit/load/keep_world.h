/*
 * keep_world: flights with other shards on the store of a flight_world, and what they keep.
 */
#ifndef RTCACHE_TESTS_LOAD_KEEP_WORLD_H
#define RTCACHE_TESTS_LOAD_KEEP_WORLD_H

#include "flight_world.h"
#include "load/flight_keep.h"
#include "store/floor.h"

#define TTL 60000

/* Another server of the same store's seed, which begins at another time of its clock. */
static inline struct flights *flights_of(struct world *w, unsigned shards, size_t floors_max)
{
    struct flights *fl;
    struct flights_options o = {
        .store = w->store,
        .marks = w->marks,
        .shards = shards,
        .slots = 2,
        .failed_max = 100,
        .floors_max = floors_max,
        .lossy_until_ms = INT64_MIN,
        .deliver = never,
    };
    assert_int_equal(flights_new(&fl, &o, NULL), 0);
    return fl;
}

static inline void use(struct world *w, struct flights *fl)
{
    flights_free(w->flights);
    w->flights = fl;
}

static inline uint64_t hash_of(struct world *w, const char *key)
{
    return store_hash(w->store, slice_str(key));
}

static inline const char *key_of(unsigned i)
{
    static char key[32];
    snprintf(key, sizeof key, "key:%u", i);
    return key;
}

static inline void raise_floor(struct world *w, const char *key, int64_t version)
{
    (void)invalidate(w, key, &version);
}

static inline size_t keep_all(struct world *w, size_t most, struct buf *out)
{
    struct keep_cursor cursor = {0};
    size_t sum = 0;
    while (!cursor.done) {
        size_t count;
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, most, out, &count), 0);
        sum += count;
    }
    return sum;
}

static inline void doubt(struct world *w, const char *key, int64_t until_ms)
{
    struct invalidation i = {
        .key = slice_str(key), .hash = hash_of(w, key), .now_ms = w->now_ms, .floor_ttl_ms = TTL};
    assert_int_equal(flights_doubt(w->flights, &i, until_ms), 0);
}

static inline void lift_match(struct world *w, const char *pattern, bool all)
{
    struct glob g;
    char room[GLOB_MAX];
    glob_compile(&g, slice_str(pattern), room);
    assert_int_equal(flights_lift_match(w->flights, &g, all, w->now_ms, NULL), 0);
    while (store_sweep(w->store, w->now_ms, 1000) > 0) {
    }
}

#endif
