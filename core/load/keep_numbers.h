/*
 * keep_numbers: what the last restart brought back, and how the snapshots go.
 *
 * Shape: plain numbers under a lock of their own, which is a leaf. Thread: any.
 */
#ifndef RTCACHE_LOAD_KEEP_NUMBERS_H
#define RTCACHE_LOAD_KEEP_NUMBERS_H

#include "load/keep.h"

#include <pthread.h>

struct keep_counts {
    uint64_t life;
    /* Of the start. */
    struct keep_restored restored;
    uint64_t journal_records;
    int64_t downtime_ms;
    /* Of the snapshots since. */
    uint64_t snapshots, snapshot_failures;
    struct keep_saved saved; /* the last one */
    int64_t saved_wall_ms;   /* when it began; 0: there was none */
};

struct keep_numbers {
    pthread_mutex_t lock;
    struct keep_counts counts;
};

void keep_numbers_init(struct keep_numbers *n, uint64_t life);
void keep_numbers_fini(struct keep_numbers *n);

void keep_numbers_started(struct keep_numbers *n, const struct keep_restored *restored,
                          int64_t downtime_ms, uint64_t journal_records);
/* saved NULL: it failed. */
void keep_numbers_saved(struct keep_numbers *n, const struct keep_saved *saved, int64_t wall_ms);
struct keep_counts keep_numbers_read(struct keep_numbers *n);

#endif
