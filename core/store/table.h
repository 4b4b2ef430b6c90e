/*
 * table: the entries of a shard by key. Linear hashing (Litwin, VLDB 1980) with chains.
 *
 *   hash --> bucket: tag | place --> entry.next: tag | place --> ...
 *
 * It grows by up to eight buckets and shrinks by two at a time, with the put or removal that caused
 * it, so that there is no long rehash; eight, because what they touch can be asked for together.
 * The buckets lie in segments of 4 KiB, so that none is ever copied. A link is 30 bits of place in
 * the heap and 2 bits of tag, which say of most other keys that they are others. Shape: 4 bytes a
 * bucket, one or two buckets an entry, beside the link in the entry. All O(1) on average. Thread:
 * under the shard's lock. Limits: those of the heap (heap.h), in which the entries are. Where
 * memory for growth lacks, the chains get longer.
 */
#ifndef RTCACHE_STORE_TABLE_H
#define RTCACHE_STORE_TABLE_H

#include "store/heap.h"

struct table {
    const struct heap *heap; /* borrowed */
    uint32_t **segments;     /* owned */
    size_t segments_room;
    size_t buckets;
    size_t entries;
    uint64_t mask; /* one less than the power of two at or above buckets */
    uint64_t seed;
    bool held; /* does not shrink: a scan goes through its buckets from the first to the last */
};

/* ERR_NOMEM */
int table_init(struct table *t, const struct heap *a, uint64_t seed) MUST_USE;
void table_fini(struct table *t); /* the entries are not its own */

/* The hash of an entry's key is table_hash's, here and below. */
struct entry *table_find(const struct table *t, struct slice key, uint64_t hash);
void table_add(struct table *t, struct entry *e, uint64_t hash); /* its key is not here */
void table_remove(struct table *t, struct entry *e, uint64_t hash);
void table_replace(struct table *t, struct entry *old, struct entry *e, uint64_t hash);

/* Ask for the memory that the next call for this hash touches; the bucket first. */
void table_prefetch_bucket(const struct table *t, uint64_t hash);
void table_prefetch_chain(const struct table *t, uint64_t hash);
/* Likewise what the table's shrinking touches with so many calls of table_remove. */
void table_prefetch_joins(const struct table *t, size_t removals);

/* For a move: the link that leads to e now, and its leading to another place from now on. */
uint32_t *table_link_to(const struct table *t, const struct entry *e, uint64_t hash);
void table_lead(const struct table *t, uint32_t *link, const struct entry *to);

/* Gives back what removals left over while it was held, at most `most` buckets. */
void table_shrink(struct table *t, unsigned most);

uint64_t table_hash(const struct table *t, const struct entry *e);

/* The entries of bucket i < buckets, one after the other; NULL at the end. */
struct entry *table_first(const struct table *t, size_t i);
struct entry *table_next(const struct table *t, const struct entry *e);

/* What it takes beside itself, and how much that rises with the next table_add. */
size_t table_bytes(const struct table *t);
size_t table_growth(const struct table *t);

#endif
