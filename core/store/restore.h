/*
 * restore: a record's entry takes its place in a shard again.
 *
 *   record --what is left of its times--> entry, filled without the lock --> table, wheel, policy
 *
 * Thread: any. Limits: as store_put's, an eighth of the shard's share for one.
 */
#ifndef RTCACHE_STORE_RESTORE_H
#define RTCACHE_STORE_RESTORE_H

#include "store/record.h"
#include "store/shard.h"

/* As store_restore; now_ms counts as the shard's times do, hash is the key's. */
int restore_in(struct shard *s, const struct record *r, const struct restore *how, uint64_t hash,
               int64_t now_ms, bool *stored, struct err *e) MUST_USE;

#endif
