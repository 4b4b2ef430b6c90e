/*
 * tier_proof: what a row of the table is worth.
 *
 *      a row of this process (its incarnation)                       any other row
 *   T1 its loader is the one that it has now (print)                 as well
 *   T2 no write of its key waits, or is in the air                   as well
 *   T3 its key was not changed since its load began                  not changed by this process
 *   T4 no tag of its own, and no pattern that matches its key,       the same since the start
 *      was invalidated since its load began
 *   T5 its loader was kept in the tier ever since                    -
 *   all hold, and it is fresh -> PROVEN, past that -> KEPT           as `warm` says
 *
 * What is PROVEN is answered as a load's result would be. A row that was written before this
 * process began, or by another one, is never proven: nobody told us what was changed meanwhile.
 * Floors are not looked at here: flights judge whatever is stored or delivered.
 * Pure. Thread: any.
 */
#ifndef RTCACHE_TIER_TIER_PROOF_H
#define RTCACHE_TIER_TIER_PROOF_H

#include "store/marks.h"

#include <stdbool.h>
#include <stdint.h>

enum tier_verdict {
    TIER_NOTHING,
    TIER_CANDIDATE, /* never an answer; the load gets it as ctx.value */
    TIER_STALE,     /* served as stale, as `warm = "stale"` asks for */
    TIER_KEPT,      /* as the memory would have it by now: stale, or kept for stale_if_error */
    TIER_PROVEN,    /* an answer */
};

struct tier_facts {
    bool own;           /* of this incarnation */
    bool same_loader;   /* T1 */
    bool waits;         /* T2 */
    uint64_t seen;      /* of the row */
    uint64_t changed;   /* tier_slots_of its key */
    uint64_t kept_from; /* tier_slots_now when its loader came to the tier (T5) */
    enum mark mark;     /* T4: since the row's load; of a row that is not own since the start */
    bool fresh;         /* its end of fresh is ahead */
    bool dated;         /* how old it is is known: it was not loaded in the future */
    const char *warm;   /* its loader's */
};

enum tier_verdict tier_proof_of(const struct tier_facts *f);

#endif
