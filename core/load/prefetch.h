/*
 * prefetch: what the store hands over ahead of its end is loaded again in the background.
 *
 *   store_tick --aheads, most read first--> prefetch_run --JOIN_STARTED--> its loader thread
 *
 * What was read too little since its last load, or finds prefetch_max_concurrent and
 * prefetch_max_queue full, is left to its end, and so is everything of a loader whose feed is cut.
 * Thread: the main one. Limits: PREFETCH_TICK_MAX entries a tick; per loader, in the air and
 * queued, prefetch_max_concurrent + prefetch_max_queue.
 */
#ifndef RTCACHE_LOAD_PREFETCH_H
#define RTCACHE_LOAD_PREFETCH_H

#include "load/flight.h"
#include "load/loader_thread.h"
#include "load/snapshot.h"

#define PREFETCH_TICK_MAX 1024

enum prefetch {
    PREFETCH_LOAD,
    PREFETCH_OFF,  /* the loader does not want it (any more) */
    PREFETCH_COLD, /* not worth a query */
    PREFETCH_FULL,
};

/* The decision alone. in_air: loads of that loader that were begun so and have not ended. */
enum prefetch prefetch_decide(const struct policy *p, unsigned reads, uint32_t in_air);

struct prefetcher {
    struct flights *flights;              /* borrowed */
    struct loader_thread *const *loaders; /* borrowed */
    unsigned loader_count;
};

/* due is used up: its references are dropped. How many loads were begun. */
size_t prefetch_run(const struct prefetcher *p, const struct snapshot *s, struct aheads *due,
                    int64_t now_ms);

#endif
