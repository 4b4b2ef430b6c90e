/*
 * load_tier: a load looks in the tier before it asks its source, and what that gave goes there.
 *
 *   load_begin --> load_tier_ask --rows, or timeout--> proven: the seat ends; else the source
 *   end of a seat --> load_tier_keep
 *
 * Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_LOAD_TIER_H
#define RTCACHE_LOAD_LOAD_TIER_H

#include "load/load_priv.h"

/* Looks for the keys of its seats. false: it asks for none, and goes on at once. go_on is called
 * when all is known: seats whose rows were proven are in ld->ended by then. */
bool load_tier_ask(struct load *ld, void (*go_on)(struct load *ld)) MUST_USE;
/* go_on is not called. */
void load_tier_cancel(struct load *ld);
/* A seat has ended with o, which its source gave. */
void load_tier_keep(const struct load *ld, const struct seat *seat, const struct outcome *o,
                    const struct verdict *v);

#endif
