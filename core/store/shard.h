/*
 * shard: a part of the store under one lock, at the start of the heap that holds its entries.
 *
 * Shape: 9 KiB and 4 KiB for a first page of table; then what the entries need. The keys are
 * spread over the shards by the top bits of their hash. Times are milliseconds since SHARD_PAST_MS
 * before the store's start, so that what is restored may be older than the store; the latest that a
 * shard has seen is its own, so that a thread whose clock is a little behind never sees an entry
 * rise again.
 * Thread: any; every function takes the lock, for a bounded number of entries at a time. No lock
 * is held while a value longer than STORE_COPY_MAX is copied in.
 * Limits: limit_bytes, over everything that it holds: the part of the heap that may be resident,
 * holes included, the table and the policy's memory. Where holes of one part in SHARD_HOLES of it
 * do not fit what is to be stored, entries are moved together (compact.h) instead of evicted. What
 * the table or the policy grow by is made up for by the puts that follow.
 */
#ifndef RTCACHE_STORE_SHARD_H
#define RTCACHE_STORE_SHARD_H

#include "store/heap.h"
#include "store/globs.h"
#include "store/policy.h"
#include "store/store.h"
#include "store/table.h"
#include "store/wheel.h"

#include <pthread.h>

#define SHARD_LEAST_BYTES 49152
#define SHARD_LARGEST     8 /* an entry takes at most one in this of the limit */
#define SHARD_HOLES       32
#define SHARD_PAST_MS     (INT64_C(10) << 32) /* 497 days, and a whole turn of the wheel's levels */

struct shard {
    struct heap heap; /* has to come first */
    /* A read touches this line, and the next one that is aligned. */
    _Alignas(64) pthread_mutex_t lock;
    int64_t now_ms;
    const struct marks *marks; /* borrowed */
    struct globs globs;
    _Alignas(64) struct table table;
    _Atomic size_t limit_bytes; /* written under the lock */
    struct policy policy;
    uint64_t negatives;
    uint64_t puts, evictions, expirations, removals, refused, marked, renewals;
    struct wheel wheel;
};

/* The largest entry that it takes. */
static inline size_t shard_largest(const struct shard *s)
{
    return atomic_load_explicit(&s->limit_bytes, memory_order_relaxed) / SHARD_LARGEST;
}

/* In a heap that is not open. ERR_NOMEM. */
int shard_init(struct shard *s, size_t limit_bytes, uint64_t seed, int64_t now_ms,
               const struct marks *marks) MUST_USE;
void shard_fini(struct shard *s);

enum lookup shard_get(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms,
                      unsigned want, struct buf *out, struct hit *hit);
/* As store_make_room; one hold of the lock. */
bool shard_make_room(struct shard *s, const struct put *p, struct room *room) MUST_USE;
int shard_put(struct shard *s, const struct put *p, int64_t now_ms, struct err *e) MUST_USE;
/* As store_remove_below; version NULL: whatever it is. */
bool shard_remove(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms,
                  const int64_t *version);
bool shard_touch(struct shard *s, const struct put *deadlines, int64_t now_ms);
bool shard_expire(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms);

/* Expires or hands over at most `most` entries; how many. */
size_t shard_tick(struct shard *s, int64_t now_ms, size_t most, struct aheads *ahead);

/* Whether one more pattern fits into `most` active ones. */
bool shard_has_glob_room(struct shard *s, unsigned most);
void shard_apply_glob(struct shard *s, struct shared_glob *g);
/* Judges about `most` entries by the active patterns; how many were looked at. */
size_t shard_sweep(struct shard *s, int64_t now_ms, size_t most);
void shard_set_limit(struct shard *s, size_t limit_bytes);

/* Adds its own to sum; memory_limit is left alone. */
void shard_read_stats(struct shard *s, struct store_stats *sum);

#endif
