/*
 * loader_thread: a loader thread: it takes flights, runs their scripts, and ends them.
 *
 *   I/O thread -- submit --> mailbox --> admission (bounds, breaker, queue) --> load (script)
 *   I/O thread <-- flight slot's message <-- answers <------------------------------'
 *
 * Thread: new, start, join, free: the main thread; submit, change: any; the rest runs on its own
 * loop. Limits: per loader max_loads in the air and max_queue queued, divided evenly among loader
 * threads.
 */
#ifndef RTCACHE_LOAD_LOADER_THREAD_H
#define RTCACHE_LOAD_LOADER_THREAD_H

#include "base/hash.h"
#include "load/change.h"
#include "load/snapshot.h"
#include "load/write.h"
#include "sys/mailbox.h"

struct loader_thread;

struct loader_thread_options {
    unsigned index;
    struct flights *flights;       /* borrowed */
    struct store *store;           /* borrowed */
    const struct changes *changes; /* borrowed */
    struct tier *tier;             /* borrowed; NULL: there is none */
    struct mailbox *const *slots;  /* borrowed; the I/O threads' mailboxes, by slot */
    unsigned slot_count;
    uint64_t seed;
};

int loader_thread_new(struct loader_thread **out, const struct loader_thread_options *o,
                      struct err *e) MUST_USE;
int loader_thread_start(struct loader_thread *t, struct err *e) MUST_USE;

/* Hands a JOIN_STARTED flight over, with the load's reference; with an outbox, when that is
 * flushed.
 */
void loader_thread_submit(struct loader_thread *t, struct flight *f, struct outbox *out);
/* Hands over a flight that JOIN_PARKED says is to be promoted, with one reference more: somebody
 * waits now for what was started for nobody. */
void loader_thread_promote(struct loader_thread *t, struct flight *f, struct outbox *out);
void loader_thread_flush(struct loader_thread *t, struct outbox *out);

/* Hands a write over; w->answered has its outcome. */
void loader_thread_write(struct loader_thread *t, struct write *w);
/* Its asker waits no longer: a write whose turn has not come will not be begun, and is answered
 * with TIMEOUT. give_up comes back to answer_to with recv = heard, behind that answer; w is kept
 * until both have come. Once, and before the answer has come. */
void loader_thread_give_up(struct loader_thread *t, struct write *w);

/* The one that loads this key, and writes it: all loads and writes of a key are on one thread. */
static inline struct loader_thread *loader_thread_for(struct loader_thread *const *all,
                                                      unsigned count, uint64_t hash)
{
    return all[hash_thread(hash, count)];
}

/* A step of a reload. PREPARE compiles the snapshot's scripts beside the current ones; COMMIT makes
 * them current; ABORT drops them. Loads in the air end on the scripts they began with. */
enum edition_step { EDITION_PREPARE, EDITION_COMMIT, EDITION_ABORT };

struct edition_change {
    struct message message; /* there and back */
    struct loader_thread *thread;
    enum edition_step step;
    struct snapshot *snapshot; /* PREPARE: borrowed until the answer */
    int rc;                    /* the outcome */
    struct err err;
    struct mailbox *answer_to; /* receives message again, with recv = answered */
    void (*answered)(struct message *m, void *owner);
};

void loader_thread_change(struct loader_thread *t, struct edition_change *c);

/* Ends every load with SHUTTING_DOWN, delivers, and leaves its loop; then join. What is submitted
 * later ends so too, in loader_thread_free at the latest: the slots' mailboxes outlive it. */
void loader_thread_stop(struct loader_thread *t);
void loader_thread_join(struct loader_thread *t);
void loader_thread_free(struct loader_thread *t); /* NULL is allowed */

#endif
