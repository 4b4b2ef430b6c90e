/*
 * keep: the cache over a restart: written to a snapshot file, and read back.
 *
 *   store, flights --keep_save--> HEAD | FLOORS ... | ENTRIES ... | END      (state_writer.h)
 *                  <-keep_restore--        each entry judged by proof.h
 *
 *   start: keep_open (seed, how long ago) -> keep_judge (is it whole?) -> keep_restore
 *
 * Positions of feeds and journal are taken before the first record: what is told of twice only
 * drops more. Floors come first, so that an entry is seen with them.
 * Blocking I/O: thread: any that may wait, never a loop that serves; store and flights may be in
 * use meanwhile. Limits: KEEP_PIECE bytes of records under one hold of a lock.
 * Errors: of the file (state_reader.h, state_writer.h), which name it and the place in it.
 */
#ifndef RTCACHE_LOAD_KEEP_H
#define RTCACHE_LOAD_KEEP_H

#include "load/flight_keep.h"
#include "load/keep_header.h"
#include "load/snapshot.h"
#include "state/state_dir.h"

#define KEEP_FILE  "snapshot"
#define KEEP_PIECE ((size_t)64 << 10)

/* ---- out ---- */

struct keep_source {
    struct store *store; /* all borrowed */
    struct flights *flights;
    const struct snapshot *snapshot;
    /* What only the server knows; loaders are filled in by keep_save. */
    struct keep_header header;
    const _Atomic bool *stop; /* true: keep_save ends with ERR_SHUTDOWN; NULL: never */
};

struct keep_saved {
    uint64_t entries, floors, bytes;
    int64_t ms;
};

/* The file is there whole, under KEEP_FILE, or what was there before still is. */
int keep_save(struct state_dir *d, const struct keep_source *src, struct keep_saved *out,
              struct err *e) MUST_USE;

/* ---- in ---- */

struct keep;

/* Takes the snapshot out of the way and reads its header. *out NULL: there is none. */
int keep_open(struct keep **out, struct state_dir *d, struct err *e) MUST_USE;
const struct keep_header *keep_header_of(const struct keep *k);
/* The snapshot is there again, as if it had not been taken; for a start that is given up. */
int keep_give_back(struct keep *k, struct err *e) MUST_USE;
void keep_close(struct keep *k); /* NULL is allowed */

struct keep_target {
    struct store *store; /* of the header's seed */
    struct flights *flights;
    const struct snapshot *snapshot; /* its scripts are read on every loader thread */
    struct proof_start start;
    /* By index of the configuration's backends: whether its feed goes on from the position of the
     * header without a gap. */
    const bool *resumed;
    /* As many: only what loaders of these feeds have loaded, once more. NULL: everything. */
    const bool *again;
    const _Atomic bool *stop; /* as above */
};

struct keep_restored {
    uint64_t entries;                /* of the file */
    uint64_t as[PROOF_KINDS];        /* those that are stored now, and PROOF_DROPPED */
    uint64_t over;                   /* nothing was left of their times, or a floor is above them */
    uint64_t missing[PROOF_LETTERS]; /* not proven, by the first of P1 to P5 that was missing */
    uint64_t floors;
    int64_t ms;
};

/* What was read before an error is kept; *floors_whole: no floor is missing. May be called again,
 * for another part of it. */
int keep_restore(struct keep *k, const struct keep_target *t, struct keep_restored *out,
                 bool *floors_whole, struct err *e) MUST_USE;

#endif
