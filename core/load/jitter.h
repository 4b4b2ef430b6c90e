/*
 * jitter: times are spread, so that what was stored together does not end together.
 * Pure. Thread: any.
 */
#ifndef RTCACHE_LOAD_JITTER_H
#define RTCACHE_LOAD_JITTER_H

#include "base/rng.h"

#include <stdint.h>

/* In (ms * (1 - jitter), ms]: an entry never lives longer than was configured. */
static inline int64_t jitter_ms(int64_t ms, double jitter, struct rng *rng)
{
    if (ms <= 0 || jitter <= 0)
        return ms;
    int64_t less = (int64_t)((double)ms * jitter * rng_unit(rng));
    return ms - less > 0 ? ms - less : 1;
}

/* Nothing is loaded ahead before this share of its ttl, unless refresh_ahead is lower. */
#define JITTER_FIRST .5

/* When to load again what is stored now. Its window is [ttl * share, ttl), less its last tenth and
 * twice what the load took, which are left for the load. 0: never.
 *
 * last: the share of the ttl after which this load was begun ahead of an end; 0: it was not. What
 * was not may have been loaded with many others, so its time is drawn from half of the ttl on. A
 * later one is drawn from the window and meets `last` half-way. So the share that was drawn first
 * counts 1 + 1/2 + 1/4 + ... = 2 times: what was loaded together within half a ttl ends up evenly
 * over a whole one, and in its window. */
static inline int64_t jitter_ahead_ms(int64_t ttl_ms, double share, double last, uint32_t load_us,
                                      struct rng *rng)
{
    if (ttl_ms <= 0 || share <= 0 || share >= 1)
        return 0;
    int64_t window = (int64_t)((double)ttl_ms * share);
    int64_t end = ttl_ms - (ttl_ms - window) / 10 - (int64_t)load_us / 500;
    int64_t from =
        last > 0 || share < JITTER_FIRST ? window : (int64_t)((double)ttl_ms * JITTER_FIRST);
    int64_t at = from + (int64_t)rng_below(rng, end > from ? (uint64_t)(end - from) : 0);
    if (last <= 0)
        return at;
    at += (int64_t)(((double)ttl_ms * last - (double)at) / 2);
    return at < end || end < from ? at : end;
}

/* Exponential with full jitter, capped: the wait before attempt n + 1, n from 1 (M. Brooker, 2015).
 */
static inline int64_t jitter_backoff_ms(unsigned n, int64_t base_ms, int64_t cap_ms,
                                        struct rng *rng)
{
    unsigned shift = n > 63 ? 62 : n > 1 ? n - 1 : 0;
    int64_t most = base_ms <= cap_ms >> shift ? base_ms << shift : cap_ms;
    return 1 + (int64_t)rng_below(rng, (uint64_t)(most > 0 ? most : 0));
}

#endif
