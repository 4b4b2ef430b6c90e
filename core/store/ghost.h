/*
 * ghost: what is known of the keys that were evicted lately.
 *
 *   hash --> bucket of 32 places, newest first; the 33rd falls out
 *   place: fingerprint 12 bits | score 3 | left the main queue 1
 *
 * Shape: 2 bytes a place, one cache line a look-up; every bucket is a queue of its own, which
 * together behave as one queue of their sum, roughly. How many places of a bucket are newer tells
 * how long ago a key left, roughly. Thread: under its owner's lock.
 * Limits: 1 key in 128 that was never here is taken for one that was. Growing forgets.
 */
#ifndef RTCACHE_STORE_GHOST_H
#define RTCACHE_STORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_WAYS      32
#define GHOST_SCORE_MAX 7

struct ghost {
    uint16_t *places; /* owned; NULL: there is room for none */
    size_t buckets;   /* 0, or a power of two */
};

/* What is known of a key. A key is familiar that had a score above 1 or left the main queue. */
struct ghost_past {
    unsigned score; /* from 1 */
    bool from_main;
    bool lately;           /* among the newest quarter of what the ghost holds, roughly */
    bool last_of_small;    /* left the small queue, and none of its bucket did since */
    bool last_of_familiar; /* is familiar, and none of its bucket that is left since */
};

void ghost_init(struct ghost *g);
void ghost_fini(struct ghost *g);

/* Makes room for about n keys, and gives back what is far more than that; where memory lacks it
 * stays as it is. */
void ghost_fit(struct ghost *g, size_t n);

/* score: 1 to GHOST_SCORE_MAX; what is outside counts as the nearest. */
void ghost_add(struct ghost *g, uint64_t hash, unsigned score, bool from_main);

/* Whether it was here; it is not afterwards. */
bool ghost_take(struct ghost *g, uint64_t hash, struct ghost_past *out);

size_t ghost_bytes(const struct ghost *g);

#endif
