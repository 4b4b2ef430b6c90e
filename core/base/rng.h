/*
 * rng: seeded pseudo-random numbers (splitmix64; Steele, Lea, Flood, OOPSLA 2014).
 *
 * Shape: 8 bytes of state, 3 multiplications a number. Thread: its owner's. Not for secrets; the
 * seed of the key hash comes from rng_os().
 */
#ifndef RTCACHE_BASE_RNG_H
#define RTCACHE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

/* In [0, 1). */
static inline double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}

/* In [0, bound); 0 for a bound of 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t bound)
{
    return bound ? (uint64_t)(((unsigned __int128)rng_next(r) * bound) >> 64) : 0;
}

/* 8 bytes from the operating system (getrandom); aborts where there are none. */
uint64_t rng_os(void);

#endif
