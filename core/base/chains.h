/*
 * chains: a hash table of links that lie in their owners, which grows by one bucket at a time.
 *
 *   segment 0: buckets 0 .. 63, segment 1: 64 .. 127, segment 2: 128 .. 255, ...
 *
 * With each link that is added past one a bucket, one bucket is split in two (linear hashing:
 * Litwin, VLDB 1980), so that no addition takes longer than another however many links there are.
 * Shape: 8 bytes a bucket, 16 a link; everything is O(1). It does not shrink. Thread: its owner's.
 */
#ifndef RTCACHE_BASE_CHAINS_H
#define RTCACHE_BASE_CHAINS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define CHAINS_SEGMENTS 40
#define CHAINS_FIRST    64 /* buckets of the first segment */

struct chain_link {
    struct chain_link *next;
    uint64_t hash;
};

struct chains {
    struct chain_link **segments[CHAINS_SEGMENTS]; /* owned */
    size_t buckets, count;
};

int chains_init(struct chains *c) MUST_USE; /* ERR_NOMEM */
void chains_fini(struct chains *c);         /* the links are not its own; {0} is allowed */

/* link->hash is set. Without memory to grow the chains get longer. */
void chains_add(struct chains *c, struct chain_link *link);
void chains_remove(struct chains *c, struct chain_link *link);

/* The first link of that hash, and the next one of the same; NULL: there is none. */
struct chain_link *chains_first(const struct chains *c, uint64_t hash);
struct chain_link *chains_next(const struct chain_link *link);

#endif
