/*
 * wheel: a hierarchical timing wheel (Varghese and Lauck, SOSP 1987), whose slots are arrays of
 * places, so that what is due can be asked for from memory all at once, and no timer waits for the
 * one before it.
 *
 *   level 0: 256 slots of 10 ms | level 1: 64 slots of 2.56 s | ... | level 6: 64 slots of 87 years
 *   slot --> chunk of up to 30 places --> chunk of 30 --> ...
 *
 * A tick is a number of seven digits, the lowest to base 256, the others to base 64. A timer lies
 * on the level of the highest digit in which its tick differs from the wheel's; when the wheel
 * reaches a slot of a higher level, its timers move down. Of what has a ttl below 2.56 s, nearly
 * all expires from where it was put: the first level is the wide one, for short ttls expire most
 * often. A bitmap per level lets the wheel jump over empty slots, so that an hour without entries
 * costs one step, not 360,000.
 * Shape: 3 KiB; a timer knows its spot, and a place takes 4 bytes and a fifteenth; only the first
 * chunk of a slot is not full. Add and remove are O(1); a timer is moved at most six times before
 * it expires, and once for another one that leaves. Thread: its owner's, or under its owner's lock.
 * Pure: time comes as a parameter, and a time that went back counts as the latest that was seen.
 * Limits: never early, late by less than 10 ms; 5,578 years ahead; timers are aligned to 4 bytes
 * and within 16 GiB above the base.
 */
#ifndef RTCACHE_STORE_WHEEL_H
#define RTCACHE_STORE_WHEEL_H

#include "base/list.h"
#include "store/line_array.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_MS 10
#define WHEEL_FIRST   256 /* slots of level 0 */
#define WHEEL_OTHERS  64  /* of each other level */
#define WHEEL_LEVELS  7
#define WHEEL_SLOTS   (WHEEL_FIRST + (WHEEL_LEVELS - 1) * WHEEL_OTHERS)

/* Of zeros: it is in no wheel. */
struct timer {
    uint32_t spot;
};

/* When the owner of this timer is due, in ms; the answer stays the same while it is in a wheel. */
typedef int64_t (*wheel_due_fn)(const struct timer *timer);

struct wheel {
    uint64_t tick; /* everything before it has been handed out */
    wheel_due_fn due;
    char *base; /* borrowed: what the places count from */
    struct line_array lines;
    uint32_t free_chunks;
    uint32_t slots[WHEEL_SLOTS + 1]; /* level after level: the first chunk; and that of the free */
    uint64_t busy[WHEEL_SLOTS / 64]; /* a bit per slot: 0, it is empty; 1, it may hold timers */
};

/* ERR_NOMEM */
int wheel_init(struct wheel *w, void *base, int64_t now_ms, wheel_due_fn due) MUST_USE;
void wheel_fini(struct wheel *w);

/* Makes sure of memory for so many timers at once, whatever is done with them. ERR_NOMEM */
int wheel_reserve(struct wheel *w, size_t timers) MUST_USE;

/* The timer is in no wheel. One that is due already goes with the next wheel_expire. */
void wheel_add(struct wheel *w, struct timer *timer);

/* Also for a timer that is in no wheel. */
void wheel_remove(struct wheel *w, struct timer *timer);

/* The timer's owner is at another place, and this is the timer there. */
void wheel_follow(struct wheel *w, const struct timer *timer);

/* Takes out what is due, *count of them, in at most `steps` steps (a timer moved or a slot left
 * empty is one). `out` has room for so many, or for all timers there are. false: there may be more,
 * call again. */
bool wheel_expire(struct wheel *w, int64_t now_ms, size_t steps, struct timer **out, size_t *count);

/* Gives memory back to the system where much of it is free: at most `most` chunks are moved. */
void wheel_settle(struct wheel *w, unsigned most);

/* What it takes beside itself, and how much that rises with the next wheel_add at most, the very
 * first one aside: for what may never have a timer nothing is kept back. */
size_t wheel_bytes(const struct wheel *w);
size_t wheel_growth(const struct wheel *w);

#endif
