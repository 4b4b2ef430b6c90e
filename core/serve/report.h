/*
 * report: every number of the server, told once, to whoever shows them.
 *
 *   report_walk(&of, &sink) --> enter "store", count "entries" 7, ..., leave, enter "flights", ...
 *
 * Shape: a walk over the tables of counters, times, loaders, backends and feeds; a sink packs,
 * prints or adds up. Names are those of the tables, and each number stands in one place. Thread:
 * any that may read the snapshot; numbers of other threads are as they were a moment ago. Errors:
 * none, a sink keeps its own.
 */
#ifndef RTCACHE_SERVE_REPORT_H
#define RTCACHE_SERVE_REPORT_H

#include "load/flight.h"
#include "load/keep_numbers.h"
#include "load/snapshot.h"
#include "serve/ledger.h"
#include "store/store.h"

/* What is told of. All is borrowed. */
struct report {
    const struct snapshot *snapshot;
    struct store *store;
    struct flights *flights;
    const struct ledger *ledger;
    struct keep_numbers *kept; /* NULL: there is no folder of state */
    struct journal *journal;   /* NULL: there is none */
    struct tier *tier;         /* NULL: there is none */
    unsigned io_threads, loader_threads;
    int64_t started_ms, now_ms;
};

/* name: of a group's member, NULL in a list; texts are the user's bytes. */
struct report_sink {
    void (*enter)(struct report_sink *to, const char *name);
    void (*leave)(struct report_sink *to);
    void (*count)(struct report_sink *to, const char *name, uint64_t value);
    void (*number)(struct report_sink *to, const char *name, int64_t value);
    void (*ratio)(struct report_sink *to, const char *name, double value);
    void (*flag)(struct report_sink *to, const char *name, bool value);
    void (*text)(struct report_sink *to, const char *name, const char *value); /* NULL: none */
};

/* The groups of `stats`: version, server, store, flights, client_memory, backends, feeds, scripts,
 * counters, times, restart where there is a folder of state, journal where there is one, and tier
 * where there is one. */
void report_walk(const struct report *r, struct report_sink *to);
/* One loader: its policy, which walks the table of options, and its numbers. */
void report_loader(const struct report *r, size_t loader, struct report_sink *to);

#endif
