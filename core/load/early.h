/*
 * early: probabilistic early expiration, the XFetch rule (Vattani, Chierichetti, Lowenstein, VLDB
 * 2015): of many readers near the end of a ttl, one is likely to refresh in time, and hardly more.
 * Thread: any, pure.
 */
#ifndef RTCACHE_LOAD_EARLY_H
#define RTCACHE_LOAD_EARLY_H

#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define EARLY_BETA_MAX 10 /* the option's bound */
#define EARLY_LOG_MAX  37 /* above -ln of the smallest number that is drawn, 2^-53 */

/* Whether a read so near to the end may refresh at all, whatever is drawn and configured: what is
 * asked first, because it costs nothing. ttl_ms: what is left. */
static inline bool early_in_reach(uint32_t load_us, int64_t ttl_ms)
{
    return ttl_ms <= (int64_t)load_us * (EARLY_BETA_MAX * EARLY_LOG_MAX) / 1000;
}

/* Whether this read refreshes: load time * beta * -ln(u) >= what is left, u uniform in (0, 1]. */
static inline bool early_refreshes(uint32_t load_us, double beta, int64_t ttl_ms, struct rng *rng)
{
    double ahead_us = (double)load_us * beta * -log(1. - rng_unit(rng));
    return beta > 0 && ahead_us >= (double)ttl_ms * 1e3;
}

#endif
