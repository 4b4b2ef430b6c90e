/*
 * pace: requests at a fixed rate, whether answers come or not.
 *
 *   the n-th is due at start + n / rate --> the next client in turn with a free slot
 *
 * What is due while no slot is free waits here, and its time counts; so a server that stands still
 * for a moment shows in all that were due meanwhile. Thread: one. Limits: depth x clients requests
 * in the air.
 */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include "client.h"

#define PACE_LONGEST_NS 100000000

struct pace {
    struct client *clients; /* borrowed; they share one workload */
    unsigned count, next;
    uint64_t start_ns;
};

/* Has what is due written, but not sent. Nanoseconds until the next is due, or PACE_LONGEST_NS
 * where that is later or an answer must come first. */
uint64_t pace_ask(struct pace *p, uint64_t now_ns);

#endif
