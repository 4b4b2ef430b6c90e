/*
 * store_world: a store with a known seed, and its calls with keys as C strings.
 */
#ifndef RTCACHE_TESTS_STORE_STORE_WORLD_H
#define RTCACHE_TESTS_STORE_STORE_WORLD_H

#include "locks.h"
#include "store/store.h"

static inline struct store *new_store(size_t memory, unsigned shards, int64_t now_ms)
{
    struct store_options o = {
        .memory_bytes = memory, .shards = shards, .seed = 5, .now_ms = now_ms};
    struct store *s;
    struct err e;
    assert_int_equal(store_new(&s, &o, &e), 0);
    return s;
}

static inline struct put put_of(struct store *s, const char *key, const char *value)
{
    return (struct put){.key = slice_str(key),
                        .hash = store_hash(s, slice_str(key)),
                        .value = slice_str(value),
                        .ttl_ms = 100};
}

static inline enum lookup get(struct store *s, const char *key, int64_t now, unsigned want,
                              struct buf *out, struct hit *hit)
{
    return store_get(s, slice_str(key), store_hash(s, slice_str(key)), now, want, out, hit);
}

/* Without a reference. */
static inline enum lookup look_at(struct store *s, const char *key, int64_t now)
{
    struct hit hit;
    enum lookup found = get(s, key, now, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return found;
}

/* New deadlines. */
static inline bool touch(struct store *s, const char *key, int64_t now, int64_t ttl, int64_t stale)
{
    struct put p = put_of(s, key, "");
    p.ttl_ms = ttl;
    p.stale_ttl_ms = stale;
    return store_touch(s, &p, now);
}

static inline bool drop(struct store *s, const char *key, int64_t now)
{
    return store_remove(s, slice_str(key), store_hash(s, slice_str(key)), now);
}

#endif
