/*
 * thread_state: what everything on one loader thread has in common.
 *
 *   loader_thread --> schedule --> admission --> load --> load_end --> outcome
 *         |                            ^  |        |          `------> seat --> answers
 *         |--> edition ----------------'  |        `--> source (a script)
 *         |                               `--> capacity
 *         `--> writes --> write_run --> write_entry
 *
 * Calls go in the direction of the arrows only. What is below returns what it found out, or calls
 * a `done` that it was given with its work.
 * Shape: embedded in the loader thread, alone in tests. Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_THREAD_STATE_H
#define RTCACHE_LOAD_THREAD_STATE_H

#include "base/list.h"
#include "base/rng.h"
#include "load/answers.h"
#include "load/budget.h"
#include "load/change.h"
#include "metrics/metrics.h"

#include <ev.h>

struct tiered;

struct thread_state {
    unsigned index; /* among the loader threads */
    struct ev_loop *loop;
    struct store *store;           /* borrowed */
    struct flights *flights;       /* borrowed */
    const struct changes *changes; /* borrowed */
    struct metrics *metrics;       /* of the thread; set when it runs */
    struct rng rng;
    struct budget budget;
    struct answers answers;
    struct tiered *tiered; /* NULL: there is no tier */
    struct list running;   /* loads in the air */
    uint64_t turn;         /* of the loop */
    int64_t came_us;       /* when the first seat of this turn came; 0: none has yet */
    int64_t started_ms;
    bool stopping;
};

#endif
