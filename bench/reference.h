/*
 * reference: LRU and FIFO by bytes, to compare with. Exact: a list over all keys of a trace.
 *
 * Shape: 12 bytes a key; O(1). Thread: its owner's. Limits: what is larger than the capacity is
 * not stored.
 */
#ifndef RTCACHE_BENCH_REFERENCE_H
#define RTCACHE_BENCH_REFERENCE_H

#include "trace.h"

enum reference { REFERENCE_LRU, REFERENCE_FIFO };

/* The misses of a whole trace; costs: bytes, by key. */
size_t reference_misses(enum reference policy, const struct trace *t, const size_t *costs,
                        size_t capacity_bytes);

#endif
