/*
 * spread: jitter on times, so that what was stored together does not end together. Pure. Thread:
 * any.
 */
#ifndef RTCACHE_LOAD_SPREAD_H
#define RTCACHE_LOAD_SPREAD_H

#include "base/rng.h"

#include <stdint.h>

/* In (ms * (1 - jitter), ms]: an entry never lives longer than was configured. */
static inline int64_t spread_ms(int64_t ms, double jitter, struct rng *rng)
{
    if (ms <= 0 || jitter <= 0)
        return ms;
    int64_t less = (int64_t)((double)ms * jitter * rng_unit(rng));
    return ms - less > 0 ? ms - less : 1;
}

/* When to load again what is stored now: in [ttl * share, ttl), spread evenly, so that what was
 * stored together is not loaded again together. The last tenth of that window, and twice what the
 * load took, are left for the load. 0: never. */
static inline int64_t spread_ahead_ms(int64_t ttl_ms, double share, uint32_t load_us,
                                      struct rng *rng)
{
    if (ttl_ms <= 0 || share <= 0 || share >= 1)
        return 0;
    int64_t from = (int64_t)((double)ttl_ms * share), window = ttl_ms - from;
    int64_t left = window - window / 10 - (int64_t)load_us / 500;
    return from + (int64_t)rng_below(rng, left > 0 ? (uint64_t)left : 0);
}

/* Exponential with full jitter, capped: the wait before attempt n + 1, n from 1 (M. Brooker, 2015).
 */
static inline int64_t spread_backoff_ms(unsigned n, int64_t base_ms, int64_t cap_ms,
                                        struct rng *rng)
{
    unsigned shift = n > 63 ? 62 : n > 1 ? n - 1 : 0;
    int64_t most = base_ms <= cap_ms >> shift ? base_ms << shift : cap_ms;
    return 1 + (int64_t)rng_below(rng, (uint64_t)(most > 0 ? most : 0));
}

#endif
