/*
 * walk: all entries of a table in an order that stays while it grows, shrinks and moves them.
 *
 *   hash: ........ rest ........ | low        groups by low: 0, 1, 2, ...
 *         read from its lowest bit up         in a group by the rest with its bits reversed
 *
 * The bits that choose a bucket are the lowest of the hash, so what is in a bucket is one run of
 * that order, however many bits the table takes: a part of a group, or, where the table has shrunk
 * since, several whole groups. What is put into a table in this order fills its buckets evenly.
 * Shape: a place is 24 bytes, and nothing is kept in the table. Thread: under the shard's lock,
 * which may be given back between any two places.
 */
#ifndef RTCACHE_STORE_WALK_H
#define RTCACHE_STORE_WALK_H

#include "store/table.h"

struct walk {
    unsigned bits; /* of the hash, in low */
    uint64_t low;  /* the group */
    uint64_t high; /* the place in it */
};

struct walk_bucket {
    size_t number;
    uint64_t end; /* the place in the group behind it; 0: the group ends with it */
};

/* The begin, with groups of about a bucket or two. */
struct walk walk_begin(const struct table *t);
static inline bool walk_is_over(const struct walk *w)
{
    return w->low >> w->bits != 0;
}

/* The bucket that has what comes next. */
struct walk_bucket walk_at(const struct table *t, const struct walk *w);
/* Whether a hash is in the group, at or behind the place; *high: where. */
bool walk_has(const struct walk *w, uint64_t hash, uint64_t *high);

/* On to the place `high` of the group; 0: to the next group. */
static inline void walk_on(struct walk *w, uint64_t high)
{
    w->low += high == 0;
    w->high = high;
}

#endif
