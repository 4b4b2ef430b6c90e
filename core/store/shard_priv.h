/*
 * shard_priv: what the files of shards share; nobody else includes it.
 *
 * Thread: every function but shard_lock is called with the shard's lock held.
 */
#ifndef RTCACHE_STORE_SHARD_PRIV_H
#define RTCACHE_STORE_SHARD_PRIV_H

#include "store/shard.h"

#define SHARD_BATCH 64 /* entries that leave under one hold of the lock */

/* Takes the lock; the shard's time. */
int64_t shard_lock(struct shard *s, int64_t now_ms);

/* All under the lock. */
void shard_link_deadline(struct shard *s, struct entry *e);
void shard_take_out(struct shard *s, struct entry *e, uint64_t hash);

/* One of several that the wheel has given out. */
struct leaving {
    struct entry *e;
    uint64_t hash;
    uint32_t units; /* entry_units(e) */
};
/* The same for several; neighbours in the heap become one hole at once. */
void shard_take_out_all(struct shard *s, const struct leaving *all, size_t count);

/* Brings back below the limit what the wheel has grown by, or a part of it. */
void shard_keep_limit(struct shard *s);

/* Of an entry that is no longer in the table nor with the policy. */
void shard_leave(struct shard *s, struct entry *e);

/* Makes sure of the memory that one entry more takes beside its own. ERR_NOMEM */
int shard_reserve(struct shard *s) MUST_USE;
/* e, whose deadlines are set, is stored, in place of old where that is not NULL. */
void shard_put_in(struct shard *s, struct entry *old, struct entry *e, uint64_t hash);

/* Gives a reference back. */
void shard_let_go(struct shard *s, struct entry *e);

/* What its tags and the active patterns leave of it; false: nothing. */
bool shard_judge(struct shard *s, struct entry *e, int64_t now);

static inline size_t shard_limit(const struct shard *s)
{
    return atomic_load_explicit(&s->limit_bytes, memory_order_relaxed);
}

#endif
