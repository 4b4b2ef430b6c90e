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

#include <pthread.h>
#include <stdlib.h>

static const char value_a[] = "\xa1"
                              "a";

struct world {
    struct store *store;
    struct flights *flights;
    int64_t now_ms;
};

static void never(struct message *m, void *owner)
{
    (void)m, (void)owner;
}

static struct world *world_new(size_t failed_max)
{
    struct world *w = calloc(1, sizeof *w);
    w->now_ms = 1000000;
    struct store_options so = {
        .memory_bytes = 16 << 20, .shards = 4, .seed = 1, .now_ms = w->now_ms};
    assert_int_equal(store_new(&w->store, &so, NULL), 0);
    struct flights_options fo = {
        .store = w->store,
        .shards = 1,
        .slots = 2,
        .failed_max = failed_max,
        .seed = 7,
        .deliver = never,
    };
    assert_int_equal(flights_new(&w->flights, &fo, NULL), 0);
    return w;
}

static void world_free(struct world *w)
{
    flights_free(w->flights);
    store_free(w->store);
    free(w);
}

static int setup(void **state)
{
    *state = world_new(100);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static struct join_request request_for(struct world *w, const char *key, struct waiter *waiter)
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

static struct outcome found(const char *packed)
{
    return (struct outcome){
        .end = END_FOUND,
        .value = slice_of(packed, 2),
        .store = true,
        .ttl_ms = 1000,
        .generation = 1,
    };
}

#endif
