/*
 * compact: brings the holes of a heap together.
 *
 *   | entry | hole | A | hole | B |   -->   | entry | A | hole, hole | B |
 *
 * A cursor goes through the blocks from the first to the top and begins again; entries that nobody
 * else has a reference to are moved down over the holes, and so a hole grows on its way up. Where
 * one part in n is holes, a hole of some size comes from moving about n times that size.
 * Shape: no memory; work in steps that the caller bounds. Thread: under the shard's lock.
 * Limits: an entry with a reference stays, and leaves a hole before it.
 */
#ifndef RTCACHE_STORE_COMPACT_H
#define RTCACHE_STORE_COMPACT_H

#include "store/table.h"

/* Goes on until a hole has `wanted` units, or has reached the top, or about `budget` units were
 * looked at; how many were. */
uint32_t compact(struct heap *a, const struct table *t, struct wheel *w, uint32_t wanted,
                 uint32_t budget);

#endif
