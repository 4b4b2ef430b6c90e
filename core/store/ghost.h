/*
 * ghost: fingerprints of the keys that were evicted lately.
 *
 *   hash --> bucket of 16 fingerprints of 16 bits, newest first; the 17th falls out
 *
 * Shape: 2 bytes a place, one cache line a look-up; every bucket is a queue of its own, which
 * together behave as one queue of their sum, roughly. Thread: under its owner's lock.
 * Limits: 1 key in 4,096 that was never here is taken for one that was. Growing forgets.
 */
#ifndef RTCACHE_STORE_GHOST_H
#define RTCACHE_STORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_WAYS 16

struct ghost {
    uint16_t *places; /* owned; NULL: there is room for none */
    size_t buckets;   /* 0, or a power of two */
};

void ghost_init(struct ghost *g);
void ghost_fini(struct ghost *g);

/* Makes room for about n keys, and gives back what is far more than that; where memory lacks it
 * stays as it is. */
void ghost_fit(struct ghost *g, size_t n);

void ghost_add(struct ghost *g, uint64_t hash);

/* Whether it was here; it is not afterwards. */
bool ghost_take(struct ghost *g, uint64_t hash);

size_t ghost_bytes(const struct ghost *g);

#endif
