/*
 * limit: how many loads a source bears at once, learnt from how long they take.
 *
 *   time of a load --> window's mean --> gradient = usual / mean, within 1/2 .. 1
 *                                            `--> limit * gradient + head
 *
 * After the gradient limits of Netflix's concurrency-limits (2018), which come from TCP Vegas
 * (Brakmo, Peterson, 1995): where loads take longer than usual, fewer go out; where they do not,
 * and the limit is what holds them back, it rises by its square root in each window. Until the
 * source first slows down there is no limit but `most`. Loads that time out count as a slowdown.
 * Pure: time is a parameter. Shape: a few words; O(1) a load. Thread: its owner's.
 * Limits: never below `least`, never above `most`.
 */
#ifndef RTCACHE_LOAD_LIMIT_H
#define RTCACHE_LOAD_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct limit {
    uint32_t least, most; /* equal: it does not adapt */
    double now;
    double usual_us; /* the mean of a long time; 0: not known yet */
    int64_t window_ends_us;
    double sum_us;
    uint32_t count, dropped; /* of the window */
    uint32_t widest;         /* the most in the air in the window */
    uint64_t seen;           /* loads altogether */
    uint64_t lowered;        /* windows that lowered it */
};

void limit_init(struct limit *l, uint32_t least, uint32_t most);

/* A load ended that took us; in_flight: how many were in the air, it included. dropped: it timed
 * out. */
void limit_ended(struct limit *l, uint64_t us, bool dropped, uint32_t in_flight, int64_t now_us);

static inline uint32_t limit_now(const struct limit *l)
{
    return (uint32_t)l->now;
}

#endif
