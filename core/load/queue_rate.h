/*
 * queue_rate: how fast a queue moves, from what left it lately, and so how long a newcomer waits.
 *
 * Only times in which the queue was never empty say how fast it can move; what they said is
 * forgotten when it has been empty for QUEUE_RATE_STALE_MS. Shape: an exponential mean over windows
 * of QUEUE_RATE_WINDOW_MS. Pure: time is a parameter. Thread: its owner's. Limits: unknown until
 * enough has left.
 */
#ifndef RTCACHE_LOAD_QUEUE_RATE_H
#define RTCACHE_LOAD_QUEUE_RATE_H

#include <stdint.h>

#define QUEUE_RATE_WINDOW_MS 250
#define QUEUE_RATE_STALE_MS  1000
#define QUEUE_RATE_LEAST     10 /* that have left before it says anything */

struct queue_rate {
    double per_ms;     /* 0: not known */
    int64_t window_ms; /* where it began; 0: the queue is empty */
    int64_t empty_ms;  /* since when */
    uint32_t left;     /* in the window */
};

/* The queue became empty. */
static inline void queue_rate_empty(struct queue_rate *p, int64_t now_ms)
{
    if (p->window_ms != 0)
        p->empty_ms = now_ms;
    p->window_ms = 0;
    p->left = 0;
}

/* n have left it, and it is not empty. */
static inline void queue_rate_left(struct queue_rate *p, uint32_t n, int64_t now_ms)
{
    if (p->window_ms == 0) {
        if (now_ms - p->empty_ms > QUEUE_RATE_STALE_MS)
            p->per_ms = 0;
        p->window_ms = now_ms;
        return;
    }
    p->left += n;
    int64_t past_ms = now_ms - p->window_ms;
    if (past_ms < QUEUE_RATE_WINDOW_MS || p->left < QUEUE_RATE_LEAST)
        return;
    double rate = (double)p->left / (double)past_ms;
    p->per_ms = p->per_ms == 0 ? rate : p->per_ms + 0.5 * (rate - p->per_ms);
    p->window_ms = now_ms;
    p->left = 0;
}

/* How long until `queued` have left; -1: not known. */
static inline int64_t queue_rate_wait_ms(const struct queue_rate *p, uint64_t queued)
{
    if (p->per_ms <= 0 || p->window_ms == 0)
        return -1;
    double ms = (double)queued / p->per_ms;
    return ms > INT32_MAX ? INT32_MAX : (int64_t)ms;
}

#endif
