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
#include "serve/parked.h"

struct request {
    struct parked parked;
    struct ticket ticket; /* its link is io->departures' once the client has left */
    struct target target;
    ev_timer timer;
    int64_t parked_us;
    char key[];
};

/* A request that is not parked yet; NULL: no memory. */
struct request *request_new(const struct target *t, const struct ask *q);
void request_free(struct request *r);

/* r waits on its flight, for so long before its time is looked at. */
void park(struct request *r, int64_t wait_ms);

/* A flight's slot has been delivered to this thread. Where very many wait there, they are answered
 * in slices. */
void park_recv_delivery(struct message *m, void *owner);
void park_init(struct io *io);
/* The thread ends: what is delivered is answered at once, now and from now on. */
void park_finish(struct io *io);

/* After VERDICT_FAILED: answers with what is kept for that, or with v's error. */
void park_answer_failure(const struct target *t, const struct ask *q, struct ask_verdict *v);

#endif
