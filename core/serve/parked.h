/*
 * parked: a read that waits for its key's flight, from ask_join to its end.
 *
 *   ask_join --> SOFT --stale_wait is over--> a stale value, or
 *                HARD --wait_timeout is over--> TIMEOUT, or what is kept for failures
 *   the flight has ended --> its outcome; or, where that will not do for this read,
 *                REJOIN: the next flight, at once (a tag was invalidated behind the load), or
 *                AGAIN: a little later (the source has nothing as new as min_version yet)
 *
 * Shape: embedded in what is allocated for the wait; no timer of its own: a verdict says for how
 * long to set one, and parked_time is called when that is over. Thread: the asker's. Limits:
 * max_waiters of a flight; the deadline.
 */
#ifndef RTCACHE_SERVE_PARKED_H
#define RTCACHE_SERVE_PARKED_H

#include "serve/ask.h"

struct parked {
    struct waiter waiter;
    struct ask ask; /* its key is the owner's */
    int64_t deadline_ms;
    int64_t wait_ms; /* what the deadline was made of */
    enum parked_timer { PARKED_SOFT, PARKED_HARD, PARKED_AGAIN } timer;
    unsigned agains; /* results below min_version */
    bool joined;     /* its flight was there before it came */
};

/* q's key is kept as it is. */
void parked_init(struct parked *t, const struct ask *q);

/* Its time is over: VALUE, FAILED, TIMER, REJOIN, DUE. */
void parked_time(const struct asker *by, struct parked *t, int64_t now_ms, struct ask_room room,
                 struct ask_verdict *v);

/* To the key's next flight: TIMER; VALUE, ABSENT, FAILED. */
void parked_rejoin(const struct asker *by, struct parked *t, const struct ask_loader *l,
                   int64_t now_ms, struct ask_room room, struct ask_verdict *v);

/* Its flight has ended, and it is on none: OUTCOME, REJOIN, TIMER, ERROR, FAILED. here: its client
 * is; for one that has left nobody asks again. */
void parked_deliver(const struct asker *by, struct parked *t, const struct flight *f,
                    int64_t now_ms, bool here, struct ask_verdict *v);

/* Its client has left. false: its delivery is under way, and ends it. */
bool parked_leave(const struct asker *by, struct parked *t);

#endif
