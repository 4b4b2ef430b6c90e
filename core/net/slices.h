/*
 * slices: work of an I/O thread that takes long, and is done a slice at a time between its turns.
 *
 *   turn: sockets, timers, messages | a slice of A, a slice of B ... | what was answered goes out
 *
 * Whoever has more to do than one slice waits here, and goes on in the order in which they came,
 * one slice each. While anybody waits the loop does not sleep.
 * Shape: a list; nothing is allocated. Thread: the I/O thread's.
 * Limits: SLICE_US for one slice, SLICES_US for all of one turn; both are looked at after each
 * small step, so that they are passed by one of these at most.
 */
#ifndef RTCACHE_NET_SLICES_H
#define RTCACHE_NET_SLICES_H

#include "base/list.h"

#include <ev.h>
#include <stdint.h>

#define SLICE_US  200
#define SLICES_US 400
#define FIRSTS_US 1000 /* for all first slices of one turn that are had where they came */

struct slice_work {
    struct list link;                  /* alone while it does not wait */
    bool (*run)(struct slice_work *w); /* one slice; true: there is more. It may free w */
};

struct slices {
    struct list waiting;
    struct ev_loop *loop;
    ev_idle awake;
    int64_t end_us;  /* of the slice that runs */
    int64_t turn_us; /* when those that have their first slice where they came have had enough of
                        this turn; 0: there were none */
};

void slices_init(struct slices *s, struct ev_loop *loop);
/* Those that wait are not run any more. */
void slices_stop(struct slices *s);

/* w has been prepared with list_init. It has its slice at the end of this turn. */
void slices_add(struct slices *s, struct slice_work *w);
void slices_remove(struct slices *s, struct slice_work *w);

/* Whether what comes now may have its first slice at once: many at the same time would be long. */
bool slices_may_begin(struct slices *s);
/* A slice begins now: for what has its first one at once, where it came. */
void slices_begin(struct slices *s);
/* Whether it is over. It asks the clock. */
bool slices_over(const struct slices *s);

/* At the end of a turn. */
void slices_run(struct slices *s);

#endif
