/*
 * wheel: a hierarchical timing wheel (Varghese and Lauck, SOSP 1987) of intrusive links.
 *
 *   level 0: 256 slots of 10 ms | level 1: 64 slots of 2.56 s | ... | level 6: 64 slots of 87 years
 *
 * A tick is a number of seven digits, the lowest to base 256, the others to base 64. A link lies on
 * the level of the highest digit in which its tick differs from the wheel's; when the wheel reaches
 * a slot of a higher level, its links move down. Of what has a ttl below 2.56 s, nearly all expires
 * from where it was put: the first level is the wide one, for short ttls expire most often. A
 * bitmap per level lets the wheel jump over empty slots, so that an hour without entries costs one
 * step, not 360,000.
 * Shape: 5 KiB, nothing per link but the link. Add and remove are O(1); a link is moved at most
 * six times before it expires.
 * Thread: its owner's, or under its owner's lock. Pure: time comes as a parameter, and a time
 * that went back counts as the latest that was seen.
 * Limits: never early, late by less than 10 ms; 5,578 years ahead.
 */
#ifndef RTCACHE_STORE_WHEEL_H
#define RTCACHE_STORE_WHEEL_H

#include "base/near.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_MS 10
#define WHEEL_FIRST   256 /* slots of level 0 */
#define WHEEL_OTHERS  64  /* of each other level */
#define WHEEL_LEVELS  7
#define WHEEL_SLOTS   (WHEEL_FIRST + (WHEEL_LEVELS - 1) * WHEEL_OTHERS)

/* When the owner of this link is due, in ms; the answer stays the same while it is linked. */
typedef int64_t (*wheel_due_fn)(const struct near *link);

struct wheel {
    uint64_t tick; /* everything before it has been handed out */
    wheel_due_fn due;
    uint64_t busy[WHEEL_SLOTS / 64]; /* a bit per slot: 0, it is empty; 1, it may hold links */
    struct near slots[WHEEL_SLOTS];  /* level after level */
};

void wheel_init(struct wheel *w, int64_t now_ms, wheel_due_fn due);

/* The link is in no list. One that is due already goes with the next wheel_expire. */
void wheel_add(struct wheel *w, struct near *link);

/* Also for a link that is in no wheel. */
static inline void wheel_remove(struct near *link)
{
    near_remove(link);
}

/* Takes out what is due, *count of them, in at most `steps` steps (a link moved or a slot left
 * empty is one). `out` has room for so many, or for all links there are. false: there may be more,
 * call again. */
bool wheel_expire(struct wheel *w, int64_t now_ms, size_t steps, struct near **out, size_t *count);

#endif
