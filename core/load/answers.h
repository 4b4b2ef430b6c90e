/*
 * answers: flights that end on a loader thread, and how their waiters hear of it.
 *
 *   answers_end --> flights_end (store, backoff)     answers_wake --> outbox per I/O thread
 *                                                    answers_tell_all, once a turn --> mailboxes
 *
 * Waiters that were woken are told together, so that an I/O thread wakes once for all of them:
 * ANSWERS_HELD of them, or ANSWERS_HELD_US, or the end of the loop's turn.
 * Thread: the loader thread's. Limits: ANSWERS_HELD flights whose waiters are not told yet.
 */
#ifndef RTCACHE_LOAD_ANSWERS_H
#define RTCACHE_LOAD_ANSWERS_H

#include "load/flight.h"

#define ANSWERS_HELD    256
#define ANSWERS_HELD_US 250

struct answers {
    struct flights *flights;      /* borrowed */
    struct mailbox *const *slots; /* borrowed; the I/O threads' mailboxes, by slot */
    unsigned slot_count;
    struct metrics *metrics; /* of the thread; set when it runs */
    uint64_t generation;     /* of the thread's current configuration */
    struct outbox *boxes;    /* by slot: flights that have ended, their waiters not yet told */
    uint32_t held;
    int64_t since_us; /* when the first of them came */
};

int answers_init(struct answers *a, struct flights *flights, struct mailbox *const *slots,
                 unsigned slot_count, struct err *e) MUST_USE;
void answers_fini(struct answers *a);

/* Ends the flight with o, unless o is below its floor; then answers_wake. */
void answers_end(struct answers *a, struct flight *f, struct outcome *o, int64_t now_ms,
                 struct verdict *v);
/* The waiters of a flight that has ended are told with the next answers_tell_all; the caller's
 * reference is dropped. */
void answers_wake(struct answers *a, struct flight *f);
/* Tells them now, where waiting for the end of the turn is too long for them. */
void answers_tell(struct answers *a);
void answers_tell_all(struct answers *a);
/* Ends a flight that was never loaded with err, which gets the key before it, and wakes. */
void answers_refuse(struct answers *a, struct flight *f, const struct err *err);

#endif
