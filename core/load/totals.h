/*
 * totals: what threads have counted of a loader and of a feed, read at one moment for `loaders` and
 * `stats`.
 *
 * Thread: any. The words are read one after the other while their threads go on counting.
 */
#ifndef RTCACHE_LOAD_TOTALS_H
#define RTCACHE_LOAD_TOTALS_H

#include "load/breaker.h"
#include "load/snapshot.h"

#define LOADER_ONE(name) +1
enum { TOTALS = 0 LOADER_TOTALS(LOADER_ONE) };
#undef LOADER_ONE

/* The sums over the loader threads. */
struct loader_totals {
    uint64_t of[TOTALS]; /* in the order of LOADER_TOTALS */
    uint64_t by_reason[REASON_COUNT], failures[ERR_COUNT], in_flight, queued;
    enum breaker_state breaker; /* the one that is furthest from closed */
};

struct feed_totals {
    bool connected, cut;
    uint64_t events, bad, gaps;
    int64_t lag_ms; /* -1: unknown */
};

struct loader_totals totals_of_loader(const struct snapshot *s, size_t loader);
struct feed_totals totals_of_feed(const struct live_feed *f);

#endif
