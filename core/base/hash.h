/*
 * hash: the keyed hash of keys, XXH3-64 with a secret seed (xxHash 0.8, BSD; the seed keeps clients
 * from choosing keys that collide).
 *
 * Thread: any. Computed once per request and carried beside the key.
 */
#ifndef RTCACHE_BASE_HASH_H
#define RTCACHE_BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

static inline uint64_t hash_slice(struct slice s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.data, s.size, seed);
}

#endif
