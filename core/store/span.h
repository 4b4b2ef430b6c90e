/*
 * span: a length of time in 4 bytes.
 *
 * Shape: up to 2^31 - 1 ms (24.8 days) exact to the millisecond; longer ones in units of 1024 ms,
 * rounded up, to 69 years; what is longer still is for ever. Thread: any, pure.
 */
#ifndef RTCACHE_STORE_SPAN_H
#define RTCACHE_STORE_SPAN_H

#include <stdint.h>

#define SPAN_FOREVER UINT32_MAX
#define SPAN_COARSE  0x80000000u /* the bit that says: units of 1 << SPAN_SHIFT ms */
#define SPAN_SHIFT   10

/* A negative length is 0. */
static inline uint32_t span_pack(int64_t ms)
{
    if (ms <= 0)
        return 0;
    if (ms < (int64_t)SPAN_COARSE)
        return (uint32_t)ms;
    int64_t units = (ms >> SPAN_SHIFT) + ((ms & ((1 << SPAN_SHIFT) - 1)) != 0);
    return units < (int64_t)(SPAN_COARSE - 1) ? SPAN_COARSE | (uint32_t)units : SPAN_FOREVER;
}

/* INT64_MAX for SPAN_FOREVER. */
static inline int64_t span_ms(uint32_t span)
{
    if (!(span & SPAN_COARSE))
        return span;
    if (span == SPAN_FOREVER)
        return INT64_MAX;
    return (int64_t)(span & ~SPAN_COARSE) << SPAN_SHIFT;
}

#endif
