/*
 * span: a length of time in 2 bytes.
 *
 *   exponent 5 bits | mantissa 11 bits, a leading 1 before it left out
 *
 * Shape: up to 4,095 exact; longer ones rounded down by less than one in 2,048; from 2^42 (139
 * years in ms) on, for ever. Spans order as their lengths do. Thread: any, pure.
 */
#ifndef RTCACHE_STORE_SPAN_H
#define RTCACHE_STORE_SPAN_H

#include <stdint.h>

#define SPAN_FOREVER  UINT16_MAX
#define SPAN_MANTISSA 11

/* A negative length is 0. */
static inline uint16_t span_pack(int64_t length)
{
    if (length <= 0)
        return 0;
    int shift = 63 - __builtin_clzll((uint64_t)length) - SPAN_MANTISSA;
    if (shift <= 0)
        return (uint16_t)length;
    int64_t packed = ((int64_t)shift << SPAN_MANTISSA) + (length >> shift);
    return packed < SPAN_FOREVER ? (uint16_t)packed : SPAN_FOREVER;
}

/* INT64_MAX for SPAN_FOREVER. */
static inline int64_t span_ms(uint16_t span)
{
    if (span < 2 << SPAN_MANTISSA)
        return span;
    if (span == SPAN_FOREVER)
        return INT64_MAX;
    int64_t digits = (1 << SPAN_MANTISSA) | (span & ((1 << SPAN_MANTISSA) - 1));
    return digits << ((span >> SPAN_MANTISSA) - 1);
}

#endif
