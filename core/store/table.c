#include "store/table.h"

#include "base/hash.h"

#include <stdlib.h>

#define SEGMENT_BITS    10
#define SEGMENT_BUCKETS (1u << SEGMENT_BITS)
#define SEGMENT_BYTES   (SEGMENT_BUCKETS * sizeof(uint32_t))
#define PLACE_BITS      30
#define PLACE_MASK      ((1u << PLACE_BITS) - 1)
#define FEWEST_BUCKETS  SEGMENT_BUCKETS
#define SPLITS          8                    /* divides SEGMENT_BUCKETS */
#define ALLOCATION      (2 * sizeof(size_t)) /* what an allocation costs beside its bytes */

_Static_assert(HEAP_BYTES / HEAP_UNIT == PLACE_MASK + 1, "a link holds any place of a heap");

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) << PLACE_BITS;
}

static uint32_t link_of(const struct table *t, const struct entry *e, uint64_t hash)
{
    return heap_offset(t->heap, e) | tag_of(hash);
}

/* link is not 0, the end of a chain. */
static struct entry *entry_of(const struct table *t, uint32_t link)
{
    return heap_at(t->heap, link & PLACE_MASK);
}

static struct entry *entry_or_null(const struct table *t, uint32_t link)
{
    return link ? entry_of(t, link) : NULL;
}

static uint32_t *bucket_at(const struct table *t, size_t i)
{
    return &t->segments[i >> SEGMENT_BITS][i & (SEGMENT_BUCKETS - 1)];
}

static uint32_t *bucket_of(const struct table *t, uint64_t hash)
{
    uint64_t i = hash & t->mask;
    return bucket_at(t, i < t->buckets ? i : i & t->mask >> 1);
}

int table_init(struct table *t, const struct heap *a, uint64_t seed)
{
    *t = (struct table){
        .heap = a, .seed = seed, .buckets = FEWEST_BUCKETS, .mask = FEWEST_BUCKETS - 1};
    t->segments = malloc(sizeof(*t->segments));
    uint32_t *first = calloc(SEGMENT_BUCKETS, sizeof(*first));
    if (!t->segments || !first) {
        free(first);
        free(t->segments);
        return ERR_NOMEM;
    }
    t->segments[0] = first;
    t->segments_room = 1;
    return 0;
}

void table_fini(struct table *t)
{
    for (size_t i = 0; i < t->buckets; i += SEGMENT_BUCKETS)
        free(t->segments[i >> SEGMENT_BITS]);
    free(t->segments);
}

uint64_t table_hash(const struct table *t, const struct entry *e)
{
    return hash_slice(entry_key(e), t->seed);
}

struct entry *table_find(const struct table *t, struct slice key, uint64_t hash)
{
    uint64_t tag = tag_of(hash);
    for (uint32_t link = *bucket_of(t, hash); link;) {
        struct entry *e = entry_of(t, link);
        if ((link & ~PLACE_MASK) == tag && slice_eq(entry_key(e), key))
            return e;
        link = e->next;
    }
    return NULL;
}

/* An entry begins anywhere in a cache line: its header may reach into the next, its key does. */
static void prefetch_entry(const struct table *t, uint32_t link)
{
    if (!link)
        return;
    const char *at = (const char *)entry_of(t, link);
    __builtin_prefetch(at, 1);
    __builtin_prefetch(at + sizeof(struct entry), 1);
}

void table_prefetch_bucket(const struct table *t, uint64_t hash)
{
    __builtin_prefetch(bucket_of(t, hash), 1);
}

void table_prefetch_chain(const struct table *t, uint64_t hash)
{
    prefetch_entry(t, *bucket_of(t, hash));
}

static bool add_segment(struct table *t)
{
    size_t n = t->buckets >> SEGMENT_BITS;
    if (n == t->segments_room) {
        uint32_t **more = realloc(t->segments, 2 * n * sizeof(*more));
        if (!more)
            return false;
        t->segments = more;
        t->segments_room = 2 * n;
    }
    t->segments[n] = calloc(SEGMENT_BUCKETS, sizeof(uint32_t));
    return t->segments[n] != NULL;
}

/* The bucket that has held the keys of bucket i, not begun yet, till now. */
static size_t split_from(const struct table *t, size_t i)
{
    return i & (i > t->mask ? t->mask : t->mask >> 1);
}

/* One bucket more: it takes its part of another one. */
static bool split_one(struct table *t)
{
    if ((t->buckets & (SEGMENT_BUCKETS - 1)) == 0 && !add_segment(t))
        return false;
    size_t last = t->buckets++, source = split_from(t, last);
    if (last > t->mask)
        t->mask = t->mask * 2 + 1;
    uint32_t *into = bucket_at(t, last), *from = bucket_at(t, source);
    while (*from) {
        struct entry *e = entry_of(t, *from);
        if ((table_hash(t, e) & t->mask) != last) {
            from = &e->next;
            continue;
        }
        uint32_t link = *from;
        *from = e->next;
        e->next = *into;
        *into = link;
    }
    return true;
}

/* A step of growth. It ends at a multiple of its size, so a segment is begun only at its beginning.
 */
static void split_some(struct table *t)
{
    unsigned splits = SPLITS - t->buckets % SPLITS;
    for (size_t i = t->buckets; i < t->buckets + splits; i++)
        prefetch_entry(t, *bucket_at(t, split_from(t, i)));
    while (splits-- > 0 && split_one(t)) {
    }
}

/* One bucket less: its chain goes to the end of the one it came from. */
static void join_one(struct table *t)
{
    size_t last = --t->buckets;
    uint32_t *from = bucket_at(t, last), *into = bucket_at(t, last & t->mask >> 1);
    if (*from) {
        while (*into)
            into = &entry_of(t, *into)->next;
        *into = *from;
        *from = 0;
    }
    if (t->buckets == (t->mask >> 1) + 1)
        t->mask >>= 1;
    if ((last & (SEGMENT_BUCKETS - 1)) == 0)
        free(t->segments[last >> SEGMENT_BITS]);
}

void table_prefetch_joins(const struct table *t, size_t removals)
{
    size_t joins = 2 * removals, least = (t->mask >> 1) + 1; /* below it others are joined */
    if (t->held || t->entries >= t->buckets / 2 + removals)
        return;
    for (size_t i = t->buckets; i > least && joins > 0; joins--) {
        uint32_t from = *bucket_at(t, --i), into = *bucket_at(t, i & t->mask >> 1);
        if (from && into)
            prefetch_entry(t, into);
    }
}

void table_add(struct table *t, struct entry *e, uint64_t hash)
{
    uint32_t *bucket = bucket_of(t, hash);
    e->next = *bucket;
    *bucket = link_of(t, e, hash);
    if (++t->entries > t->buckets)
        split_some(t);
}

uint32_t *table_link_to(const struct table *t, const struct entry *e, uint64_t hash)
{
    uint32_t *at = bucket_of(t, hash);
    while (entry_of(t, *at) != e)
        at = &entry_of(t, *at)->next;
    return at;
}

void table_lead(const struct table *t, uint32_t *link, const struct entry *to)
{
    *link = (*link & ~PLACE_MASK) | heap_offset(t->heap, to);
}

void table_remove(struct table *t, struct entry *e, uint64_t hash)
{
    uint32_t *at = table_link_to(t, e, hash);
    *at = e->next;
    t->entries--;
    if (!t->held)
        table_shrink(t, 2); /* to stay at two buckets an entry */
}

void table_shrink(struct table *t, unsigned most)
{
    for (; most > 0 && t->entries < t->buckets / 2 && t->buckets > FEWEST_BUCKETS; most--)
        join_one(t);
}

void table_replace(struct table *t, struct entry *old, struct entry *e, uint64_t hash)
{
    uint32_t *at = table_link_to(t, old, hash);
    e->next = old->next;
    *at = link_of(t, e, hash);
}

struct entry *table_first(const struct table *t, size_t i)
{
    return entry_or_null(t, *bucket_at(t, i));
}

struct entry *table_next(const struct table *t, const struct entry *e)
{
    return entry_or_null(t, e->next);
}

size_t table_bytes(const struct table *t)
{
    size_t segments = (t->buckets + SEGMENT_BUCKETS - 1) >> SEGMENT_BITS;
    return segments * (SEGMENT_BYTES + ALLOCATION) + t->segments_room * sizeof(*t->segments) +
           ALLOCATION;
}

size_t table_growth(const struct table *t)
{
    if (t->entries < t->buckets || (t->buckets & (SEGMENT_BUCKETS - 1)) != 0)
        return 0;
    bool full = t->buckets >> SEGMENT_BITS == t->segments_room;
    return SEGMENT_BYTES + ALLOCATION + (full ? t->segments_room * sizeof(*t->segments) : 0);
}
