/*
 * tier_clean: rows whose time is over are taken out, and the table's size is looked at.
 *
 *   every clean_every: DELETE of TIER_SQL_CLEAN rows --as many again?--> DELETE ... --> size
 *
 * One loader thread of a process does it; of several servers in PostgreSQL the one that gets the
 * advisory lock. Thread: its loader loop's. Limits: one statement in the air, TIER_CLEAN_MS for it.
 */
#ifndef RTCACHE_TIER_TIER_CLEAN_H
#define RTCACHE_TIER_TIER_CLEAN_H

#include "tier/tier_link.h"

#define TIER_CLEAN_MS 30000

struct tier_cleaner {
    struct tier_link *link; /* borrowed */
    int64_t keep_ms;        /* how long a row is of use past its end of fresh */
    struct call call;
    enum { CLEAN_IDLE, CLEAN_DELETING, CLEAN_SIZING } work;
    struct buf params;
    ev_timer tick, timeout;
};

void tier_cleaner_init(struct tier_cleaner *c, struct tier_link *link);
void tier_cleaner_fini(struct tier_cleaner *c); /* stopped */
void tier_cleaner_start(struct tier_cleaner *c);
/* What is in the air is given up; it may go on with the next turn of its timer. */
void tier_cleaner_give_up(struct tier_cleaner *c);
void tier_cleaner_stop(struct tier_cleaner *c);

#endif
