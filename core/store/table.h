/*
 * table: the entries of a shard by key. Linear hashing (Litwin, VLDB 1980) with buckets of one
 * cache line, whose tags are compared all at once (F14: Bronson and Shi, 2019).
 *
 *   hash --> bucket: 12 tags of 8 bits | count, begin, line | 12 places of 30 bits, 2 of tag each
 *                                                     |
 *                                                     '--> a line more: what has no room --> ...
 *
 * A look-up touches a line and the entry that it finds; of what else is in the bucket its tag rules
 * out all but one in 128 to 1,024. It grows and shrinks by a bucket at a time, with the put or
 * removal that caused it, so that there is no long rehash. A tag is the ten bits of the hash above
 * those that chose the bucket, up to three of which it begins with: which half of a bucket goes to
 * a new one is seen from the tags, but for each fourth division of a bucket, which reads its
 * entries' keys to make new ones.
 * Shape: 64 bytes for 7 to 9 entries, and about a sixth of that for lines beyond the buckets. All
 * O(1) on average. Thread: under the shard's lock. Limits: those of the heap (heap.h), in which the
 * entries are. Where memory for growth lacks, there are more lines to a bucket.
 */
#ifndef RTCACHE_STORE_TABLE_H
#define RTCACHE_STORE_TABLE_H

#include "store/heap.h"
#include "store/line_array.h"

struct table {
    const struct heap *heap;   /* borrowed */
    uint64_t mask;             /* two to the power of level, less one */
    struct line_array buckets; /* more than half of mask */
    unsigned level;
    bool held; /* does not shrink: a scan goes through its buckets from the first to the last */
    size_t entries;
    uint64_t seed;
    struct line_array more; /* beyond the buckets */
    size_t more_used;
    uint32_t more_free; /* the number of a line that is free, and leads to the next; 0: none */
};

/* ERR_NOMEM */
int table_init(struct table *t, const struct heap *a, uint64_t seed) MUST_USE;
void table_fini(struct table *t); /* the entries are not its own */

/* The hash of an entry's key is table_hash's, here and below. */
struct entry *table_find(const struct table *t, struct slice key, uint64_t hash);
/* Makes sure of the memory that the next table_add needs. ERR_NOMEM */
int table_reserve(struct table *t) MUST_USE;
void table_add(struct table *t, struct entry *e, uint64_t hash); /* its key is not here */
void table_remove(struct table *t, struct entry *e, uint64_t hash);
/* The same, and no bucket is given back: of many that leave together, which table_shrink follows.
 */
void table_leave(struct table *t, struct entry *e, uint64_t hash);
/* Another one of the same key, or the same one at another place. */
void table_replace(const struct table *t, const struct entry *old, const struct entry *e,
                   uint64_t hash);

/* Ask for the memory that the next call for this hash touches: the bucket, and once that is there
 * the entry. Thread: any, without the lock: what they read may be changing, and is memory of the
 * table in any case; a wrong guess asks for a line that nobody needs. */
void table_prefetch_bucket(const struct table *t, uint64_t hash);
void table_prefetch_entry(const struct table *t, uint64_t hash);

/* Gives back what table_leave, or removals while it was held, left over: at most `most` buckets. */
void table_shrink(struct table *t, unsigned most);

uint64_t table_hash(const struct table *t, const struct entry *e);

/* The entries of bucket i < buckets.count: k of them, from 0; NULL beyond. Where one is removed,
 * the last one has its number. */
struct entry *table_at(const struct table *t, size_t i, size_t k);

/* What it takes beside itself, and how much that rises with the next table_add at most. */
size_t table_bytes(const struct table *t);
size_t table_growth(const struct table *t);

#endif
