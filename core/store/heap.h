/*
 * heap: the memory of a shard: the shard itself, then entries and holes without a gap.
 *
 *   | shard | entry | entry | hole | entry | hole | entry |  not used yet  ... 4 GiB
 *                                                         top
 *
 * A hole that touches another one becomes one with it: what follows a hole says so
 * (ENTRY_AFTER_HOLE), and a hole tells its size at both ends. Holes are found by size through
 * segregated lists with a bitmap (TLSF: Masmano, Ripoll, Crespo, Real, ECRTS 2004); a hole of the
 * size asked for goes first, then one whose rest another entry can use. Holes that fit nothing are
 * brought together by moving entries (compact.h).
 * Heaps lie one after the other, each in a range of 4 GiB, and each begins at another page of its
 * range: what all of them have at the same place (the shard's fields, above all) would else share a
 * few sets of the caches and of the TLB, which hold 8 or 12 such pages.
 * Shape: an entry takes its size, rounded up to 4 bytes, and nothing else; all is O(1). Memory is
 * had from the system in steps and given back from the top. It is never in huge pages, which would
 * be resident where one entry lies in them.
 * Thread: under the shard's lock; heap_return: any. Limits: HEAP_BYTES, the shard included.
 */
#ifndef RTCACHE_STORE_HEAP_H
#define RTCACHE_STORE_HEAP_H

#include "store/entry.h"

#define HEAP_RANGE   (UINT64_C(1) << 32)
#define HEAP_COLORS  16               /* heaps that begin at different places */
#define HEAP_COLOR   (16 * HEAP_PAGE) /* whole pages of any system */
#define HEAP_BYTES   (HEAP_RANGE - HEAP_COLORS * HEAP_COLOR)
#define HEAP_UNIT    4
#define HEAP_CLASSES 256
#define HEAP_PAGE    4096 /* what `resident` counts in; the system's may be larger */

struct heap {
    _Atomic uint32_t returned; /* entries whose last reference went outside the lock; 0: none */
    uint32_t first, top;       /* in units from the heap's start, as all here */
    uint32_t usable;           /* where the memory that was had from the system ends */
    uint32_t touched;          /* below: may be resident */
    uint32_t hole_units;       /* in all holes together */
    uint32_t cursor;           /* the block at which compaction goes on */
    bool denied;               /* the system gave no more the last time */
    uint64_t busy[HEAP_CLASSES / 64]; /* a bit per class: it has holes */
    struct near_list holes[HEAP_CLASSES];
};

/* Address space for `count` heaps; NULL: the system has not so much. */
void *heaps_reserve(size_t count);
void heaps_release(void *ranges, size_t count);

/* Makes the first head_bytes usable, at whose start the struct heap is. ERR_NOMEM. */
int heap_open(void *at, size_t head_bytes) MUST_USE;
void heap_close(struct heap *a);

/* Room for so many units below `most`, of which ENTRY_AFTER_HOLE is right and nothing else is;
 * NULL: there is none in one piece, or the system denies it. */
struct entry *heap_alloc(struct heap *a, uint32_t units, uint32_t most);
/* A hole of this size is found for so many units, which a smaller one may not be. */
uint32_t heap_surely(uint32_t units);
void heap_free(struct heap *a, struct entry *e, uint32_t units);

/* Several that are freed one after the other: those that follow each other become one hole in one
 * step. Until heap_run_end none of them may be looked at, and nothing else done to the heap. */
struct heap_run {
    uint32_t at, units; /* units 0: nothing is in it */
    bool after_hole;
};
void heap_run_add(struct heap *a, struct heap_run *run, const struct entry *e, uint32_t units);
void heap_run_end(struct heap *a, struct heap_run *run);

/* An entry that has left the shard, and no reference is left. */
void heap_return(struct entry *e);
/* Frees what was returned. */
void heap_collect(struct heap *a);

/* Gives the system all that lies above the top. */
void heap_trim(struct heap *a);

/* Of the block at `at`: an entry's, or a hole's. */
uint32_t heap_block_units(const struct heap *a, uint32_t at);

/* The entry behind the hole at `hole` goes to the hole's start, its bytes and nothing else; where
 * the hole, one with the next where it touches one, then begins. That is the top where it reached
 * it. */
uint32_t heap_shift(struct heap *a, uint32_t hole);

static inline struct entry *heap_at(const struct heap *a, uint32_t at)
{
    return (struct entry *)((char *)a + (size_t)at * HEAP_UNIT);
}

static inline uint32_t heap_offset(const struct heap *a, const struct entry *e)
{
    return (uint32_t)(((const char *)e - (const char *)a) / HEAP_UNIT);
}

/* Where the heap of a range begins. */
static inline struct heap *heap_in(char *range)
{
    return (struct heap *)(range + (uintptr_t)range / HEAP_RANGE % HEAP_COLORS * HEAP_COLOR);
}

static inline struct heap *heap_of(const struct entry *e)
{
    return heap_in((char *)((uintptr_t)e & ~(uintptr_t)(HEAP_RANGE - 1)));
}

#endif
