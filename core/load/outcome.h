/*
 * outcome: what the result of a run is for the cache: its times, its version, its tags.
 *
 *   run_result (script) + seat (what was stored) + policy --> struct outcome (flight.h)
 *
 * Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_OUTCOME_H
#define RTCACHE_LOAD_OUTCOME_H

#include "load/seat.h"

/* The attempt of a load that brought a result. */
struct attempt {
    int64_t began_us;
    bool from_primary;
};

/* What came of it: o, whose slices are borrowed from r, seat and tags. An error: err says why it
 * is none. */
int outcome_make(const struct seat *seat, const struct run_result *r, const struct attempt *at,
                 struct outcome *o, struct entry_tags *tags, struct err *err) MUST_USE;
/* A packed array of tags, as slots; its texts are borrowed from packed. */
void outcome_read_tags(const struct marks *m, const struct buf *packed, struct entry_tags *out);
/* In place of tags that nobody has told of. */
void outcome_any_tag(const struct marks *m, struct entry_tags *out);

#endif
