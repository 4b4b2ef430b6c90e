/*
 * proof: what an entry from before a restart is worth.
 *
 *   facts of the start (P1, P4, time away) --+
 *   facts of its loader (P2, P3, warm)     --+--> proof_of --> PROVEN, STALE, CANDIDATE or DROPPED
 *
 * It is PROVEN, that is, served as if nothing had happened, if all of these hold; each is what one
 * letter of docs/restarts.md says:
 *   P1  no acknowledged change is missing: the file is of a clean stop, or the journal is whole
 *   P2  it has no feed, or its feed went on without a gap
 *   P3  its loader is the one that loaded it: script, SQL, source; else it is DROPPED, for another
 *       one may give another shape
 *   P4  the wall clock did not go back
 *   P5  it has a feed, or the server was not away for longer than warm_downtime
 * What is not proven is as its loader's `warm` says. An absence is worth nothing then.
 *
 * Pure. Thread: any.
 */
#ifndef RTCACHE_LOAD_PROOF_H
#define RTCACHE_LOAD_PROOF_H

#include "conf/conf.h"

#include <stdbool.h>
#include <stdint.h>

enum proof {
    PROOF_PROVEN,
    PROOF_STALE,     /* served as stale, as `warm = "stale"` asks for */
    PROOF_CANDIDATE, /* never an answer; the load gets it as ctx.value */
    PROOF_DROPPED,
    PROOF_KINDS,
};

/* Of the start. */
struct proof_start {
    bool whole;          /* P1 */
    bool clock_is_sound; /* P4: so passed_ms is known */
    int64_t passed_ms;   /* since the records were made; 0 where it is not known */
    int64_t downtime_ms; /* since the last moment at which the server is known to have run */
    int64_t warm_downtime_ms;
};

/* Of the loader that loaded it, and of the one that its key has now. */
struct proof_loader {
    bool same;    /* P3 */
    bool fed;     /* a feed tells of its source's changes */
    bool resumed; /* P2: and went on without a gap */
    const struct policy *policy;
};

enum proof proof_of(const struct proof_start *start, const struct proof_loader *l, bool negative);

#define PROOF_LETTERS 6 /* 0: all hold; 1 to 5 */

/* The first of P1 to P5 that does not hold; 0: all do. */
unsigned proof_missing(const struct proof_start *start, const struct proof_loader *l);

/* What lies between two moments, each told by the wall clock and, where both are of one life of the
 * machine (same_boot), by a clock that counts from its start. The wall clock can be set, the other
 * cannot; where they differ the longer time counts. */
struct proof_moment {
    int64_t wall_ms, boot_ms;
};
/* false: the wall clock went back (P4); *passed_ms is then what the other clock says, or 0. */
bool proof_passed(const struct proof_moment *from, const struct proof_moment *to, bool same_boot,
                  int64_t *passed_ms);

#endif
