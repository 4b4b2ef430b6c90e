/*
 * schedule: what goes on next on a loader thread: a load that may begin, or a run that waits.
 *
 *   arrivals and ends --> admission_mark --> startable --> once a turn, before the loop sleeps:
 *                                                          schedule_run --> admission_begin
 *                                                                  `------> runtime_go_on
 *
 * Whatever may let a load begin marks its capacity; loads begin, and runs that wait for the thread
 * go on, before the loop sleeps, so that what arrived in one turn is known when their order, and
 * who shares a batch, is decided. Thread: the loader thread's.
 * Limits: SCHEDULE_STARTS and SCHEDULE_TURN_US a turn of the loop.
 */
#ifndef RTCACHE_LOAD_SCHEDULE_H
#define RTCACHE_LOAD_SCHEDULE_H

#include "load/thread_state.h"

/* Loads and time; then the loop looks at its sockets and timers again. */
#define SCHEDULE_STARTS  1000
#define SCHEDULE_TURN_US 5000

struct schedule {
    struct thread_state *thread;
    struct list editions;  /* of the thread: the current one, and those that loads end on */
    struct list startable; /* capacities for which loads may begin */
    ev_prepare starting;
    ev_idle unfinished; /* active where a turn did not begin all that could */
    int64_t hold_until_us;
    ev_timer holding; /* until then what is slow waits */
};

void schedule_init(struct schedule *s, struct thread_state *t);
/* On the thread: from now on the loop calls schedule_run before it sleeps. */
void schedule_start(struct schedule *s);
void schedule_stop(struct schedule *s);
/* Begins what may begin, of all startable capacities, and lets go on what waits for its turn: so
 * many and for so long, by whose script had least. */
void schedule_run(struct schedule *s);

#endif
