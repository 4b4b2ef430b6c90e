/*
 * hash: the keyed hash of keys, XXH3-64 with a secret seed (xxHash 0.8, BSD; the seed keeps clients
 * from choosing keys that collide).
 *
 * A key's is computed once per request and carried beside it; below stands the map of its bits.
 * Thread: any.
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

/*
 * Which bits of a key's hash choose what. Each field is drawn as wide as it can ever be.
 *
 * 63    56 55    48 47    40 39    32 31    24 23    16 15     8 7      0
 * SSSSSSSS SSSS.... ........ ......TT TTTTTTTT BBBBBBBB BBBBBBBB BBBBBBBB  store
 * SSSSSSSS SSSS.... ....PPPP PPPPPPPP ........ ..GGGGGG GGGGGGGG GGGGGGGG  store's ghosts
 * ........ ....FFFF FFFFFFFF LLLLLLLL LLLLLLLL LLLLLLLL ........ ........  flights
 * ........ ....FFFF FFFFFFFF ........ ..DDDDDD ........ ........ ........  flights' drops
 * ........ ....FFFF FFFFFFFF ........ VVVVVVVV VVVVVVVV VVVVVVVV ........  flights' floors
 * NNNNNNNN NNNNNNNN NNNNNNNN NNNNNNNN ........ ....WWWW WWWWWWWW ........  loader threads
 * NNNNNNNN NNNNNNNN NNNNNNNN NNNNNNNN ........ ........ ....QQQQ QQQQQQQQ  the tier's queues
 * ........ ........ ........ ........ ....CCCC CCCCCCCC CCCCCCCC CCCCCCCC  the tier's slots
 *
 * S shard, B bucket, T tag: it begins near the bucket's end, wherever that is. G bucket of ghosts,
 * P print. F shard of flights, L list of flights, D slot of plain invalidations, V list of floors.
 * N the loader thread of the key, W list of its writes, Q list of its rows that wait. C slot of
 * changes, which stands alone. With fewer shards S takes less from the
 * right, every other field less from the left.
 *
 * Where one field chooses among things that each hold a table of their own, that table's fields are
 * beside it: all keys in there have the same bits in the first field, and a table that took them
 * would leave most of its buckets empty. So S stands apart from T, B, P and G, F from L, D and V, N
 * from W; and what is compared in a bucket, T and P, apart from what chose the bucket.
 * Hashes of other things than keys (statements, tags, topics) are none of this map's.
 */
#define HASH_SHARD_MOST 4096 /* shards of the store, and of the flights */
#define HASH_TAG_BITS   10

/* 1 << (63 - shift) shards. */
static inline size_t hash_shard(uint64_t hash, unsigned shift)
{
    return hash >> 1 >> shift;
}

/* mask: of a power of two of buckets, here and below. */
static inline size_t hash_bucket(uint64_t hash, size_t mask)
{
    return hash & mask;
}

/* Of a bucket whose tags begin at that bit. */
static inline uint32_t hash_tag(uint64_t hash, unsigned begin)
{
    return (uint32_t)(hash >> begin) & ((1u << HASH_TAG_BITS) - 1);
}

static inline size_t hash_ghosts(uint64_t hash, size_t mask)
{
    return hash & mask;
}

static inline unsigned hash_print(uint64_t hash)
{
    return (unsigned)(hash >> 32) & 0xfff;
}

static inline size_t hash_flight_shard(uint64_t hash, size_t mask)
{
    return (hash >> 40) & mask;
}

static inline size_t hash_flight_list(uint64_t hash, size_t mask)
{
    return (hash >> 16) & mask;
}

/* slots: at most 64. */
static inline size_t hash_drop(uint64_t hash, size_t slots)
{
    return (hash >> 24) % slots;
}

static inline size_t hash_floors(uint64_t hash, size_t mask)
{
    return (hash >> 8) & mask;
}

/* Which loader thread has all loads and writes of the key. */
static inline unsigned hash_thread(uint64_t hash, unsigned threads)
{
    return (unsigned)((hash >> 32) % threads);
}

/* mask: of at most 2^28 slots. */
static inline size_t hash_tier(uint64_t hash, size_t mask)
{
    return hash & mask;
}

/* lists: at most 4096. */
static inline size_t hash_tier_queue(uint64_t hash, size_t lists)
{
    return hash % lists;
}

/* lists: at most 4096. */
static inline size_t hash_writes(uint64_t hash, size_t lists)
{
    return (hash >> 8) % lists;
}

#endif
