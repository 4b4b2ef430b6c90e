/*
 * tier_slots: which keys were changed since a row of the tier was loaded.
 *
 *   change of a key --stamp--> slot of its hash = the next number     a row: the number at its load
 *   row.seen >= the slot's number: nothing of this process has changed its key since
 *
 * Keys share slots: a row whose neighbour was changed proves nothing any more, which costs a load.
 * Numbers never go back and are never forgotten, so a row is judged right however old it is.
 * Shape: 8 bytes a slot; a stamp is O(1) and takes no lock. Thread: any. Limits: a power of two.
 */
#ifndef RTCACHE_TIER_TIER_SLOTS_H
#define RTCACHE_TIER_TIER_SLOTS_H

#include "base/err.h"

#include <stdatomic.h>

struct tier_slots {
    _Atomic uint64_t last; /* number */
    size_t mask;
    _Atomic uint64_t *stamps; /* owned */
};

int tier_slots_init(struct tier_slots *s, size_t count, struct err *e) MUST_USE;
void tier_slots_fini(struct tier_slots *s);

/* The number that a load notes when it begins. */
uint64_t tier_slots_now(const struct tier_slots *s);
/* A number of its own, above all that were noted before. */
uint64_t tier_slots_next(struct tier_slots *s);
/* The key of this hash is changed: to be called before the change is in force, so that no row that
 * was loaded earlier is taken for proven, and once more after it, so that none is that was loaded
 * in between. */
void tier_slots_stamp(struct tier_slots *s, uint64_t hash);
/* The number of the last change; 0: there was none since the start. */
uint64_t tier_slots_of(const struct tier_slots *s, uint64_t hash);

#endif
