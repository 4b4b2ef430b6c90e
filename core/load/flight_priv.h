/*
 * flight_priv: what the files of flights share; nobody else includes it.
 *
 *   flight_join, flight_change, flight_end --> flight_table --> flight
 *
 * Thread: every function but flight_shard_of, flight_new and flight_make_room is called with the
 * shard's lock held.
 */
#ifndef RTCACHE_LOAD_FLIGHT_PRIV_H
#define RTCACHE_LOAD_FLIGHT_PRIV_H

#include "base/hash.h"
#include "base/rng.h"
#include "load/flight.h"
#include "store/floor.h"
#include "store/globs.h"
#include "store/marks.h"

#include <pthread.h>

/* Keys that share one share their plain invalidations, as far as writes go. */
#define DROP_SLOTS 64

struct flight_shard {
    _Alignas(64) pthread_mutex_t lock;
    struct list *buckets; /* a power of two of them */
    size_t bucket_count;
    size_t count;
    struct list failed; /* oldest first */
    size_t failed_count, failed_dropped, loading_count;
    struct rng rng;
    struct floors floors;
    uint64_t drops;               /* plain invalidations so far */
    uint64_t dropped[DROP_SLOTS]; /* by hash: the number of the last one */
    uint64_t epoch;         /* moves where a floor was lost: loads from before may not store */
    int64_t lossy_until_ms; /* till then a floor is missing: loads read the primary, where there is
                               one */
};

struct flights {
    struct store *store;
    struct marks *marks;
    unsigned shard_count, slots;
    size_t failed_max; /* per shard */
    void (*deliver)(struct message *m, void *owner);
    bool (*admits)(const void *budget, size_t bytes);
    const void *budget;
    _Atomic uint32_t prefetching[METRIC_OWNERS]; /* by owner */
    _Atomic uint32_t lifts;                      /* the number of the last one (floor.h) */
    struct flight_shard shards[];
};

static inline struct flight_shard *flight_shard_of(struct flights *fl, uint64_t hash)
{
    return &fl->shards[hash_flight_shard(hash, fl->shard_count - 1)];
}

/* Floors that were promised may be missing: what was loaded before is not stored, and till then
 * loads read the primary. */
static inline void flight_lose_floors(struct flight_shard *s, int64_t until_ms)
{
    s->epoch++;
    s->lossy_until_ms = until_ms > s->lossy_until_ms ? until_ms : s->lossy_until_ms;
}

/* A flight that is LOADING, for what q asks, with two references: the table's and the load's. NULL:
 * no memory. */
struct flight *flight_new(const struct join_request *q, unsigned slots,
                          void (*deliver)(struct message *m, void *owner));

struct flight *flight_table_find(struct flight_shard *s, struct slice key, uint64_t hash);
/* The version of what is stored, a value of any age but no candidate; false: nothing is, or it has
 * none. */
bool flight_stored_version(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms,
                           int64_t *version);
/* Room for a large value, before a lock is taken; what put has not taken of it is given back by
 * entry_unref. */
void flight_make_room(struct flights *fl, const struct put *p, struct room *room);
/* The load has ended, or will never begin. */
void flight_uncount(struct flights *fl, const struct flight *f);
/* Takes over one reference. */
void flight_table_add(struct flight_shard *s, struct flight *f);
/* Takes f out of the table and drops the table's reference. */
void flight_table_drop(struct flight_shard *s, struct flight *f);

#endif
