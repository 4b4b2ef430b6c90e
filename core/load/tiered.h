/*
 * tiered: the tier of a loader thread: its lane, and what its loaders make of rows.
 *
 *   load_tier --ask--> lane (tier/tier_lane.h) --row--> tiered_judge --> an answer, or a candidate
 *                      lane <--value-- load_tier
 *
 * Thread: the loader thread's. Limits: those of the lane.
 */
#ifndef RTCACHE_LOAD_TIERED_H
#define RTCACHE_LOAD_TIERED_H

#include "load/edition.h"
#include "tier/tier_lane.h"
#include "tier/tier_proof.h"

struct binding;

struct tiered {
    struct thread_state *thread;
    struct tier *tier;       /* borrowed */
    struct edition *current; /* the thread's; NULL: none */
    struct tier_lane lane;
};

/* *out NULL where tier is. */
int tiered_new(struct tiered **out, struct thread_state *t, struct tier *tier,
               struct err *e) MUST_USE;
void tiered_free(struct tiered *t); /* after tiered_finish has called back, or never begun */

/* The edition is current from now on, in place of before (NULL: none). t NULL: nothing. */
void tiered_attach(struct tiered *t, struct edition *edition, const struct edition *before);
/* No load asks any more; as tier_lane_finish. t NULL: done is called at once. */
void tiered_finish(struct tiered *t, void (*done)(void *arg), void *arg);

/* What a row is worth, of a key of that loader. */
struct tiered_row {
    const struct tier_row *row;
    struct slice key;
    uint64_t hash;
    const struct binding *binding;
};
enum tier_verdict tiered_judge(struct tiered *t, const struct tiered_row *r);
/* Of a verdict from CANDIDATE to KEPT: into memory, as what it is worth. f: whose load looked for
 * it; NULL: none did. Whether it is there. */
bool tiered_bring(struct tiered *t, const struct tiered_row *r, enum tier_verdict verdict,
                  const struct flight *f);

#endif
