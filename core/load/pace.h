/*
 * pace: how fast a queue moves, from what left it lately, and so how long a newcomer waits.
 *
 * Only times in which the queue was never empty say how fast it can move; what they said is
 * forgotten when it has been empty for PACE_STALE_MS. Shape: an exponential mean over windows of
 * PACE_WINDOW_MS. Pure: time is a parameter. Thread: its owner's. Limits: unknown until enough has
 * left.
 */
#ifndef RTCACHE_LOAD_PACE_H
#define RTCACHE_LOAD_PACE_H

#include <stdint.h>

#define PACE_WINDOW_MS 250
#define PACE_STALE_MS  1000
#define PACE_LEAST     10 /* that have left before it says anything */

struct pace {
    double per_ms;     /* 0: not known */
    int64_t window_ms; /* where it began; 0: the queue is empty */
    int64_t empty_ms;  /* since when */
    uint32_t left;     /* in the window */
};

/* The queue became empty. */
static inline void pace_empty(struct pace *p, int64_t now_ms)
{
    if (p->window_ms != 0)
        p->empty_ms = now_ms;
    p->window_ms = 0;
    p->left = 0;
}

/* n have left it, and it is not empty. */
static inline void pace_left(struct pace *p, uint32_t n, int64_t now_ms)
{
    if (p->window_ms == 0) {
        if (now_ms - p->empty_ms > PACE_STALE_MS)
            p->per_ms = 0;
        p->window_ms = now_ms;
        return;
    }
    p->left += n;
    int64_t past_ms = now_ms - p->window_ms;
    if (past_ms < PACE_WINDOW_MS || p->left < PACE_LEAST)
        return;
    double rate = (double)p->left / (double)past_ms;
    p->per_ms = p->per_ms == 0 ? rate : p->per_ms + 0.5 * (rate - p->per_ms);
    p->window_ms = now_ms;
    p->left = 0;
}

/* How long until `queued` have left; -1: not known. */
static inline int64_t pace_wait_ms(const struct pace *p, uint64_t queued)
{
    if (p->per_ms <= 0 || p->window_ms == 0)
        return -1;
    double ms = (double)queued / p->per_ms;
    return ms > INT32_MAX ? INT32_MAX : (int64_t)ms;
}

#endif
