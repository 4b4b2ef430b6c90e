/*
 * shard_priv: what the files of shards share; nobody else includes it.
 *
 * Thread: every function but the first two is called with the shard's lock held.
 */
#ifndef RTCACHE_STORE_SHARD_PRIV_H
#define RTCACHE_STORE_SHARD_PRIV_H

#include "store/shard.h"

#define LEAVERS_BATCH 64 /* entries that leave under one hold of the lock */

/* Entries that have left the shard, to be let go once the lock is released. */
struct leavers {
    struct entry *entries[LEAVERS_BATCH];
    size_t count;
};

static inline void leavers_release(struct leavers *l)
{
    for (size_t i = 0; i < l->count; i++)
        entry_unref(l->entries[i]);
    l->count = 0;
}

static inline int64_t shard_lock_at(struct shard *s, int64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    if (now_ms > s->now_ms)
        s->now_ms = now_ms;
    return s->now_ms;
}

static inline void shard_link_deadline(struct shard *s, struct entry *e)
{
    if (entry_due_ms(e) != STORE_FOREVER_MS)
        wheel_add(&s->wheel, &e->wheel);
}

static inline void shard_count_out(struct shard *s, const struct entry *e)
{
    s->entry_bytes -= entry_bytes(e);
    s->negatives -= (e->flags & ENTRY_NEGATIVE) != 0;
}

/* The shard's reference becomes the caller's. */
static inline void shard_take_out(struct shard *s, struct entry *e, uint64_t hash)
{
    table_remove(&s->table, e, hash);
    policy_remove(&s->policy, e);
    wheel_remove(&e->wheel);
    shard_count_out(s, e);
}

/* What its tags and the active patterns leave of it; false: nothing. */
bool shard_judge(struct shard *s, struct entry *e, int64_t now);

#endif
