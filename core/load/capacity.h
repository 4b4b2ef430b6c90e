/*
 * capacity: how many loads a backend bears at once, as far as this thread is concerned, and which
 * loader's turn it is to begin one.
 *
 *   startable --> capacity (one per backend of an edition) --> waiting --> a loader's turn
 *        `------> capacity                                        `------> a loader's turn
 *
 * Whoever begins a load goes to the end of both lists, so that loaders of one backend, and
 * backends, take turns. Pure: time is a parameter. Thread: the loader thread's.
 * Limits: min_loads .. max_loads of the backend, shared out among loader threads; see limit.h.
 */
#ifndef RTCACHE_LOAD_CAPACITY_H
#define RTCACHE_LOAD_CAPACITY_H

#include "base/list.h"
#include "load/limit.h"

struct capacity {
    struct list *startable; /* borrowed: those of a thread of which something may begin */
    struct list link;       /* startable, or alone */
    struct list waiting;    /* turns of loaders that have loads to begin; whose is first */
    struct limit limit;
    uint32_t in_flight; /* loads */
};

void capacity_init(struct capacity *c, struct list *startable, uint32_t least, uint32_t most);
void capacity_fini(struct capacity *c);

/* Loads that may begin. */
uint32_t capacity_room(const struct capacity *c);
/* Something may begin, perhaps: that is looked at before the loop sleeps. turn: of a loader that
 * has not waited, and does now; NULL: none. */
void capacity_mark(struct capacity *c, struct list *turn);
/* A waiting loader has its turn: it is the last from now on, and so is c. */
void capacity_turn(struct capacity *c, struct list *turn);
void capacity_began(struct capacity *c);
void capacity_left(struct capacity *c);
/* A run of one of its loads took so long. dropped: it was cut off at its deadline. */
void capacity_ended(struct capacity *c, int64_t us, bool dropped, int64_t now_us);

#endif
