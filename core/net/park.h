/*
 * park: requests that wait for a flight, with their deadlines.
 *
 * Shape: one allocation a request (its key behind it), linked to its connection and, as a waiter,
 * to its flight. It ends in one of three ways: the flight's delivery, its timer, or its client's
 * leaving. Thread: the connection's. Limits: max_parked per connection, max_waiters per flight.
 */
#ifndef RTCACHE_NET_PARK_H
#define RTCACHE_NET_PARK_H

#include "net/answer.h"

struct request {
    struct waiter waiter;
    struct list link; /* conn->parked; io->departures once the client has left */
    struct target target;
    ev_timer timer;
    int64_t parked_us, deadline_ms, wait_ms; /* wait_ms: what the deadline was made of */
    uint64_t hash;
    enum park_timer {
        PARK_SOFT,
        PARK_HARD,
        PARK_AGAIN
    } timer_is;      /* stale_wait's, the deadline's, or until
                        the source is asked again */
    unsigned agains; /* results below its min_version */
    bool joined;     /* its flight was there before it came */
    uint32_t key_size;
    char key[];
};

/* A request that is not parked yet; NULL: no memory. */
struct request *request_new(const struct target *t, struct slice key, uint64_t hash);
void request_free(struct request *r);

/* r is on its flight: arms its timer. soft_ms < 0: there is no stale value to fall back on. */
void park(struct request *r, int64_t soft_ms, int64_t hard_ms);

/* A flight's slot has been delivered to this thread. Where very many wait there, they are answered
 * in slices. */
void park_recv_delivery(struct message *m, void *owner);
void park_init(struct io *io);
/* The thread ends: what is delivered is answered at once, now and from now on. */
void park_finish(struct io *io);

/* Takes away the requests of a connection that closes; in slices, and they know it no more. */
void park_client_left(struct conn *c);

/* Answers with what is stored past its time, marked as `why` tells, or, where nothing is, with why.
 */
void park_answer_failure(const struct target *t, struct slice key, uint64_t hash,
                         const struct err *why);

#endif
