/*
 * dump: the entries of a shard as records, a piece at a time.
 *
 *   walk --> bucket --judged as for a reader--> record --> out
 *                                   `--long: a reference--> packed without the lock --> out
 *
 * Shape: a piece is one hold of the lock: at most DUMP_SEEN entries are looked at, and about
 * most_bytes are copied, into room that was had before. Thread: any. Limits: of one piece,
 * DUMP_HELD values longer than STORE_COPY_MAX.
 */
#ifndef RTCACHE_STORE_DUMP_H
#define RTCACHE_STORE_DUMP_H

#include "store/record.h"
#include "store/shard.h"
#include "store/walk.h"

#define DUMP_SEEN 256
#define DUMP_HELD 16

/* On from w, as store_dump; where *begun is false it begins, which sets it. now_ms counts as the
 * shard's times do. */
int dump_piece(struct shard *s, struct walk *w, bool *begun, int64_t now_ms, size_t most_bytes,
               struct buf *out, size_t *count) MUST_USE;

#endif
