/*
 * tier_lane: the tier on one loader thread: what its loads look for, and what its writer does.
 *
 *   lane --> reader (tier_read), writer (tier_write)          --> link (tier_link) --> database
 *     `----> on the first thread also: cleaner, preload ----------'
 *
 * Thread: its loader loop's, every function. Limits: those of its parts.
 */
#ifndef RTCACHE_TIER_TIER_LANE_H
#define RTCACHE_TIER_TIER_LANE_H

#include "tier/tier_clean.h"
#include "tier/tier_preload.h"
#include "tier/tier_read.h"
#include "tier/tier_write.h"

#define TIER_FINISH_MS 2000 /* for what waits at the end */

struct tier_lane_options {
    struct tier *tier; /* borrowed */
    unsigned index;    /* of the loader thread */
    struct ev_loop *loop;
    /* See tier_write.h and tier_preload.h. */
    bool (*wants)(void *arg, struct slice key);
    bool (*taken)(void *arg, const struct tier_row *row);
    void *arg;
};

struct tier_lane {
    unsigned index;
    struct tier_link link;
    struct tier_reader reader;
    struct tier_writer writer;
    struct tier_cleaner cleaner;
    struct tier_preload preload;
    ev_timer finishing;
    void (*finished)(void *arg);
    void *finished_arg;
};

void tier_lane_init(struct tier_lane *l, const struct tier_lane_options *o);
void tier_lane_fini(struct tier_lane *l); /* after tier_lane_finish has called back */

/* The backend of the configuration in force, and how long a row is of use past its end of fresh.
 * What is in the air at another backend is given up. */
int tier_lane_attach(struct tier_lane *l, struct backend *b, enum tier_dialect d, int64_t keep_ms,
                     struct err *e) MUST_USE;

/* No load asks any more. What waits is written, within TIER_FINISH_MS; then its backend is let go,
 * and done is called: perhaps before this returns. */
void tier_lane_finish(struct tier_lane *l, void (*done)(void *arg), void *arg);

#endif
