/*
 * tier_health: whether the tier is asked, or left alone for a while because it did not answer.
 *
 *   WELL --TIER_FAILURES in a row--> PAUSED --time is over--> one is let through --> WELL or PAUSED
 *
 * The pause doubles from TIER_PAUSE_MS up to TIER_PAUSE_MOST_MS. Pure. Thread: its loader loop's.
 */
#ifndef RTCACHE_TIER_TIER_HEALTH_H
#define RTCACHE_TIER_TIER_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define TIER_FAILURES      3
#define TIER_PAUSE_MS      1000
#define TIER_PAUSE_MOST_MS 30000

/* {0} begins, well. */
struct tier_health {
    unsigned failures; /* in a row */
    bool down;
    int64_t until_ms, pause_ms; /* of the pause */
};

/* Whether it may be asked now; in a pause that is over one is let through, and the next pause
 * begins at once. */
bool tier_health_admits(struct tier_health *h, int64_t now_ms);
/* It answered. Whether it had been down until now. */
bool tier_health_well(struct tier_health *h);
/* It did not. at_once: it cannot be reached at all, or its table is not there. Whether it was not
 * down until now, and is. */
bool tier_health_failed(struct tier_health *h, bool at_once, int64_t now_ms);

#endif
