/*
 * source: where the values of a load come from, as far as a load knows it.
 *
 *   load --start--> source --done--> load      or     load --cancel, time_out--> source
 *
 * A load asks for the keys of one part at a time, judges what comes, and asks again; it does not
 * know that a script answers (source_script.c). Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_SOURCE_H
#define RTCACHE_LOAD_SOURCE_H

#include "bind/runtime.h"

struct binding;

/* All that is borrowed is so until start returns. */
struct source_request {
    const struct run_key *keys; /* each key once */
    uint32_t count;             /* at least one */
    bool many;                  /* they are asked for with one call that takes many keys */
    bool primary;               /* where there is one: it is asked, and not the replica */
    int attempt;                /* from 1 */
    int64_t deadline_ms;        /* clock_ms; the caller enforces it */
    /* Called once, unless it is cancelled; perhaps before start returns. result is valid during the
     * call. */
    void (*done)(struct run *run, struct run_result *result, void *arg);
    void *arg;
};

struct source {
    /* *run: what is in the air, until done, cancel or time_out; NULL if done was called already.
     * ERR_NOMEM: it did not begin, and done is not called. */
    int (*start)(const struct binding *b, const struct source_request *q, struct run **run,
                 struct err *e);
    /* done is not called. */
    void (*cancel)(struct run *run);
    /* cancel, because its time is over: what it said of the source's health. */
    enum run_health (*time_out)(struct run *run);
};

extern const struct source source_script;

#endif
