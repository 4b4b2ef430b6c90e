/*
 * loader: a loader thread: it takes flights, runs their scripts, and ends them.
 *
 *   I/O thread -- loader_submit --> mailbox --> gate (bounds, breaker, queue) --> load (script)
 *   I/O thread <-- flight slot's message -- flights_end <------------------------------'
 *
 * Thread: new, start, join, free: the main thread; submit, change: any; the rest runs on its own
 * loop. Limits: per loader max_loads in the air and max_queue queued, divided evenly among loader
 * threads.
 */
#ifndef RTCACHE_LOAD_LOADER_H
#define RTCACHE_LOAD_LOADER_H

#include "load/change.h"
#include "load/snapshot.h"
#include "sys/mailbox.h"

struct loader;

struct loader_options {
    unsigned index;
    struct flights *flights; /* borrowed, as the next three */
    struct store *store;
    const struct changes *changes;
    struct mailbox *const *slots; /* the I/O threads' mailboxes, by slot */
    unsigned slot_count;
    uint64_t seed;
};

int loader_new(struct loader **out, const struct loader_options *o, struct err *e) MUST_USE;
int loader_start(struct loader *l, struct err *e) MUST_USE;

/* Hands a JOIN_STARTED flight over, with the load's reference; with an outbox, when that is
 * flushed.
 */
void loader_submit(struct loader *l, struct flight *f, struct outbox *out);
/* Hands over a flight that JOIN_PARKED says is to be promoted, with one reference more: somebody
 * waits now for what was started for nobody. */
void loader_promote(struct loader *l, struct flight *f, struct outbox *out);
void loader_flush(struct loader *l, struct outbox *out);

/* The one that loads this key. */
static inline struct loader *loader_for(struct loader *const *all, unsigned count, uint64_t hash)
{
    return all[(hash >> 32) % count];
}

/* A step of a reload. PREPARE compiles the snapshot's scripts beside the current ones; COMMIT makes
 * them current; ABORT drops them. Loads in the air end on the scripts they began with. */
enum loader_step { LOADER_PREPARE, LOADER_COMMIT, LOADER_ABORT };

struct loader_change {
    struct message message; /* there and back */
    struct loader *loader;
    enum loader_step step;
    struct snapshot *snapshot; /* PREPARE: borrowed until the answer */
    int rc;                    /* the outcome */
    struct err err;
    struct mailbox *answer_to; /* receives message again, with recv = answered */
    void (*answered)(struct message *m, void *owner);
};

void loader_change(struct loader *l, struct loader_change *c);

/* Ends every load with SHUTTING_DOWN, delivers, and leaves its loop; then join. What is submitted
 * later is dropped by loader_free. */
void loader_stop(struct loader *l);
void loader_join(struct loader *l);
void loader_free(struct loader *l); /* NULL is allowed */

#endif
