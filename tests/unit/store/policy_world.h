/*
 * policy_world: a cache of nothing but the policy. After cmocka.h.
 */
#ifndef RTCACHE_TESTS_UNIT_STORE_POLICY_WORLD_H
#define RTCACHE_TESTS_UNIT_STORE_POLICY_WORLD_H

#include "base/hash.h"
#include "store/heap_world.h"
#include "store/policy.h"

#include <stdio.h>
#include <stdlib.h>

/* Keys are numbers, sizes are values of zeros. */
struct cache {
    struct heap heap; /* has to come first */
    struct policy policy;
    struct entry **entries; /* by key */
    unsigned keys;
    size_t bytes, limit;
    uint64_t hits, misses;
    uint32_t load_us; /* of what is put */
};

static inline uint64_t hash_of(unsigned key)
{
    return hash_bytes(&key, sizeof(key), 1);
}

static inline struct cache *cache_new(unsigned keys, size_t limit)
{
    struct cache *c = heap_world(sizeof *c);
    c->keys = keys;
    c->limit = limit;
    c->entries = calloc(keys, sizeof(struct entry *));
    assert_non_null(c->entries);
    policy_init(&c->policy);
    return c;
}

static inline void cache_free(struct cache *c)
{
    for (unsigned i = 0; i < c->keys; i++) {
        if (!c->entries[i])
            continue;
        policy_remove(&c->policy, c->entries[i]);
        heap_unref(&c->heap, c->entries[i]);
    }
    assert_int_equal(c->policy.count, 0);
    assert_int_equal(c->policy.small_bytes, 0);
    assert_int_equal(c->policy.main_bytes, 0);
    assert_null(policy_victim(&c->policy, NULL));
    policy_fini(&c->policy);
    free(c->entries);
    heap_world_end(&c->heap);
}

static inline unsigned key_of(const struct entry *e)
{
    unsigned key;
    memcpy(&key, entry_key(e).data, sizeof(key));
    return key;
}

static inline void evict_one(struct cache *c)
{
    struct entry *e = policy_victim(&c->policy, NULL);
    assert_non_null(e);
    unsigned key = key_of(e);
    policy_evict(&c->policy, e, hash_of(key));
    c->bytes -= entry_bytes(e);
    c->entries[key] = NULL;
    heap_unref(&c->heap, e);
}

static inline struct entry *make(struct cache *c, unsigned key, size_t size)
{
    static const char zeros[65536];
    struct entry *e = heap_entry(&c->heap, &(struct put){
                                               .key = slice_of(&key, sizeof(key)),
                                               .value = slice_of(zeros, size),
                                               .load_us = c->load_us,
                                           });
    return e;
}

static inline void put(struct cache *c, unsigned key, size_t size)
{
    struct entry *e = make(c, key, size), *old = c->entries[key];
    if (old) {
        policy_replace(&c->policy, old, e);
        c->bytes -= entry_bytes(old);
        heap_unref(&c->heap, old);
    } else {
        policy_add(&c->policy, e, hash_of(key));
    }
    c->bytes += entry_bytes(e);
    c->entries[key] = e;
    while (c->bytes > c->limit)
        evict_one(c);
}

static inline void get(struct cache *c, unsigned key, size_t size)
{
    if (c->entries[key]) {
        c->hits++;
        policy_read(c->entries[key]);
    } else {
        c->misses++;
        put(c, key, size);
    }
}

static inline size_t count_of(const struct cache *c, unsigned from, unsigned to)
{
    size_t n = 0;
    for (unsigned i = from; i < to; i++)
        n += c->entries[i] != NULL;
    return n;
}

#endif
