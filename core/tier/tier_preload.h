/*
 * tier_preload: a start brings the newest rows of the table into memory, while it serves already.
 *
 *   page of TIER_PRELOAD_ROWS, those that end last first --row by row--> taken --> the next page
 *
 * It ends with the table, or with conf_tier's preload. A page that fails is tried again a second
 * later, TIER_PRELOAD_TRIES times in all.
 * Thread: its loader loop's. Limits: one page in the air, TIER_PRELOAD_MS for it.
 */
#ifndef RTCACHE_TIER_TIER_PRELOAD_H
#define RTCACHE_TIER_TIER_PRELOAD_H

#include "tier/tier_link.h"
#include "tier/tier_row.h"

#define TIER_PRELOAD_ROWS  500
#define TIER_PRELOAD_MS    10000
#define TIER_PRELOAD_TRIES 60

struct tier_preload {
    struct tier_link *link; /* borrowed */
    /* Whether it is in memory now. The row is valid during the call. */
    bool (*taken)(void *arg, const struct tier_row *row);
    void *arg;
    struct call call;
    bool busy, done;
    unsigned failures;
    int64_t left;
    struct buf at, key; /* of the last row */
    struct buf params;
    ev_timer timeout, again;
};

void tier_preload_init(struct tier_preload *p, struct tier_link *link,
                       bool (*taken)(void *arg, const struct tier_row *row), void *arg);
void tier_preload_fini(struct tier_preload *p); /* stopped */
/* It begins, unless it did before. */
void tier_preload_start(struct tier_preload *p);
/* Its backend goes; it goes on with tier_preload_start. */
void tier_preload_pause(struct tier_preload *p);
void tier_preload_stop(struct tier_preload *p);

#endif
