/*
 * flight_keep: what the flights know of invalidations, as records that outlive the process, and
 * back.
 *
 *   flight_keep_out --pieces--> floor, floor, ... | lift, ... | end --> flight_keep_in
 *
 * A floor is known by the hash of its key, so the store that takes it has to have the seed of the
 * one that gave it; the number of shards may be another. Lifts come behind the floors, so that one
 * that is made meanwhile is among them. Times are spans from now_ms, which is one moment for all
 * pieces: what has passed since then is told with them, and no floor ends before its time.
 * Shape: about 20 bytes a floor. Thread: any. Limits: a hold of a shard's lock is for one piece.
 */
#ifndef RTCACHE_LOAD_FLIGHT_KEEP_H
#define RTCACHE_LOAD_FLIGHT_KEEP_H

#include "load/flight.h"
#include "store/record.h"
#include "tier/tier_slots.h"

/* {0} begins. */
struct keep_cursor {
    unsigned shard;
    bool begun; /* in this shard */
    bool done;  /* there is no more */
    uint8_t bits;
    uint64_t at;
};

/* Appends the records of about `most` floors, and of what else their shard knows; *count of them.
 * Every floor that is there from the first call to the last comes at least once. ERR_NOMEM,
 * ERR_TOO_LARGE: of out; out and cursor are then as they were. */
int flight_keep_out(struct flights *fl, struct keep_cursor *cursor, int64_t now_ms, size_t most,
                    struct buf *out, size_t *count) MUST_USE;

/* Takes all records of one or more whole pieces, which came passed_ms ago; *count of them. To be
 * called before anything is invalidated or lifted: lifts are numbered on from those that come. A
 * floor only rises: what is known already stays where it is higher. Where there are more floors
 * than the flights may have, it is as if they had been dropped. ERR_BAD_VALUE: what is wrong, and
 * in which record; those before it were taken. ERR_NOMEM: some floors are missing; loads read the
 * primary for as long as these would have lasted. ERR_OVERLOADED: of more than FLOOR_LIFTS patterns
 * that were lifted some are not known, and their keys' floors stand. */
int flight_keep_in(struct flights *fl, struct slice pieces, int64_t passed_ms, int64_t now_ms,
                   size_t *count, struct err *e) MUST_USE;

/* As store_restore, unless a floor of its key says that it is old, or a write of its key is in
 * doubt. To be called when the floors are back. */
int flight_keep_entry(struct flights *fl, const struct record *r, const struct restore *how,
                      int64_t now_ms, bool *stored, struct err *e) MUST_USE;

/* A row that was read from the table of the tier, and when its key was judged unchanged. */
struct brought {
    const struct record *record;
    struct restore how;
    /* Its key was changed by nobody since (tier_slots_of was so much), no tag of its own and no
     * pattern was told of since. */
    const struct tier_slots *slots;
    uint64_t changed, since;
    const struct flight *flight; /* which looked for it, and has begun; NULL: none did */
};
/* Stores the row while others may change its key: nothing is stored where such a change has begun
 * since, and one that begins later finds what is stored. ERR_NOMEM. */
int flight_keep_brought(struct flights *fl, const struct brought *b, int64_t now_ms, bool *stored,
                        struct err *e) MUST_USE;

#endif
