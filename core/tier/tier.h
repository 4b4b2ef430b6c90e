/*
 * tier: the table beside the memory, for the whole process: what is known of its rows, what waits
 * to be written to it, and what is counted.
 *
 *   change (any thread) --tier_changes, tier_changed--> slots, mark --.
 *   load's end (loader thread) --tier_keep--> value ------------------+--> queue of its thread
 *                                                                             `--> tier_lane.h
 *
 * Shape: one queue for each loader thread, by the key's hash, and 8 bytes for each slot.
 * Thread: any, every function but new and free. Limits: conf_tier's.
 */
#ifndef RTCACHE_TIER_TIER_H
#define RTCACHE_TIER_TIER_H

#include "conf/conf.h"
#include "store/marks.h"
#include "tier/tier_queue.h"

#define TIER_NODE_MAX 64

/* X(name, what it counts), as the group `tier` of stats shows it. */
#define TIER_NUMBERS(X)                                                                            \
    X(reads, "keys that were looked for in the table")                                             \
    X(hits, "of these, answered by a row that was proven")                                         \
    X(candidates, "of these, brought back unproven: for the load, or as stale")                    \
    X(misses, "of these, without a row that was of use")                                           \
    X(failures, "reads, writes and cleanings that failed")                                         \
    X(skipped, "keys not looked for: the tier was paused, or had too many reads in the air")       \
    X(writes, "rows written, marks included")                                                      \
    X(outdone, "of these, those that a newer row was in the way of")                               \
    X(dropped, "values and marks not written: no room, or refused by the database")                \
    X(tombstones, "marks that were queued")                                                        \
    X(cleaned, "rows taken out because their time was over")                                       \
    X(preloaded, "rows that the start brought into memory")

struct tier_numbers {
#define TIER_NUMBER(name, text) _Atomic uint64_t name;
    TIER_NUMBERS(TIER_NUMBER)
#undef TIER_NUMBER
};

struct tier {
    struct conf_tier conf;    /* its texts are the configuration's, which outlives this */
    struct marks *marks;      /* borrowed */
    uint64_t incarnation;     /* of this process; never 0 */
    char node[TIER_NODE_MAX]; /* for people */
    struct tier_slots slots;
    struct tier_queue *queues; /* one for each loader thread; owned */
    unsigned threads;
    struct tier_numbers numbers;
    _Atomic bool down;     /* the log has been told so, and not yet that it is up again */
    _Atomic int64_t bytes; /* of the table, as it was seen last; -1: not yet */
    _Atomic int64_t room;  /* rows that were taken out, and may be added past the table's size */
};

/* The numbers above as they were at one moment, with what waits in all queues. */
struct tier_counts {
#define TIER_COUNT(name, text) uint64_t name;
    TIER_NUMBERS(TIER_COUNT)
#undef TIER_COUNT
    uint64_t queue, queue_bytes; /* what waits to be written */
    uint64_t bytes;              /* of the table, as it was seen last; 0: not yet */
};

/* conf, marks: borrowed for its life. */
int tier_new(struct tier **out, const struct conf_tier *conf, struct marks *marks, unsigned threads,
             struct err *e) MUST_USE;
void tier_free(struct tier *t); /* no thread uses it any more; NULL is allowed */

static inline void tier_count(_Atomic uint64_t *number, uint64_t n)
{
    atomic_fetch_add_explicit(number, n, memory_order_relaxed);
}

/* A key is about to be changed: called before the change is in force. t NULL: nothing, here and
 * below. */
void tier_changes(struct tier *t, uint64_t hash);

/* What was done to a key. */
struct tier_change {
    struct slice key;
    uint64_t hash;
    const int64_t *version; /* what is older than that is gone; NULL: all is */
    int64_t now_ms, wall_ms;
    int64_t ttl_ms; /* how long the mark stands */
};
/* The change is in force, and not acknowledged yet: a mark is queued for its row. */
void tier_changed(struct tier *t, const struct tier_change *c);

/* What a load brought and the memory has taken is queued. false: it will not be written, and rows
 * of its key that are older prove nothing any more. *count: how many wait now. */
bool tier_keep(struct tier *t, const struct tier_value *v, size_t *count);

void tier_read_counts(struct tier *t, struct tier_counts *out);

/* A thread finds it down, or well again. Whether that is news to the process. */
bool tier_goes_down(struct tier *t);
bool tier_comes_up(struct tier *t);

/* Rows were taken out of the table; it takes so many bytes. */
void tier_cleaned(struct tier *t, int64_t rows);
void tier_sized(struct tier *t, int64_t bytes);
/* Whether a row may be added: past the table's size so many may as were taken out. */
bool tier_has_room(struct tier *t);

struct tier_queue *tier_queue_of(struct tier *t, uint64_t hash);

#endif
