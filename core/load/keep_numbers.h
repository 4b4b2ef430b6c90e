/*
 * keep_numbers: what the last restart brought back, and how the snapshots go.
 *
 * Thread: written by the main one, or the one that works for it; read by any. Each word alone is
 * right; together they may be of two moments.
 */
#ifndef RTCACHE_LOAD_KEEP_NUMBERS_H
#define RTCACHE_LOAD_KEEP_NUMBERS_H

#include "load/proof.h"

#include <stdatomic.h>

struct keep_numbers {
    _Atomic bool there; /* the server has a folder of state */
    _Atomic uint64_t life;
    /* Of the start. */
    _Atomic uint64_t entries, over, floors, journal_records;
    _Atomic uint64_t as[PROOF_KINDS], missing[PROOF_LETTERS];
    _Atomic int64_t downtime_ms, restore_ms;
    /* Of the snapshots since. */
    _Atomic uint64_t snapshots, snapshot_failures;
    _Atomic uint64_t snapshot_entries, snapshot_bytes; /* of the last one */
    _Atomic int64_t snapshot_ms, snapshot_wall_ms;     /* how long it took, when it began */
};

#endif
