/*
 * edition: one configuration on one loader thread: its backends, scripts, capacities, admissions.
 *
 *   edition --- snapshot (shared by all threads)
 *      +------- runtime, and one that ends where a full VM was replaced (edition_vm.c)
 *      +------- backends, a capacity for each, one for loaders without
 *      `------- admissions, one per loader of the configuration
 *
 * Loads and writes in the air end on the edition that they began with: each holds a reference, and
 * so does the thread for the current and the prepared one. With the last reference `end` is called.
 * Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_EDITION_H
#define RTCACHE_LOAD_EDITION_H

#include "bind/runtime.h"
#include "load/snapshot.h"
#include "load/thread_state.h"

struct admission;
struct capacity;

struct edition {
    struct list link; /* the thread's editions */
    struct thread_state *thread;
    int refs; /* one for being current or prepared, one per seat and write in the air */
    void (*end)(struct edition *edition);
    struct snapshot *snapshot;
    struct runtime *runtime;
    struct runtime *ending; /* whose place that took, while it has runs; or NULL */
    bool replacing;
    int64_t replace_from_ms; /* the last try failed: there is none before */
    struct backend **backends;
    struct capacity *capacities;  /* by index of the backends; the last is for loaders without */
    struct admission *admissions; /* by index of the configuration */
};

static inline struct edition *edition_ref(struct edition *edition)
{
    edition->refs++;
    return edition;
}

/* NULL is allowed. */
static inline void edition_unref(struct edition *edition)
{
    if (edition && --edition->refs == 0)
        edition->end(edition);
}

/* What an edition is made for. */
struct edition_wanted {
    struct thread_state *thread;
    struct snapshot *snapshot;
    const struct edition *before; /* the current one, whose unchanged backends go on; or NULL */
    struct list *startable;       /* see capacity.h */
};

/* With one reference, alone in its list; *out is NULL on failure. */
int edition_new(struct edition **out, const struct edition_wanted *w, struct err *e) MUST_USE;
/* It becomes the current one: takes over what is known of what stays the same. before: NULL is
 * allowed. */
void edition_carry(struct edition *edition, struct edition *before);

/* ---- edition_vm.c ---- */

/* Reads the scripts into a new runtime, whose indexes the admissions have then. again: one that has
 * them, whose place it takes; NULL: none. */
int edition_vm_read(struct edition *edition, const struct runtime *again, struct runtime **out,
                    struct err *e) MUST_USE;
/* Lets the one that was replaced go, once its last run has ended. */
void edition_vm_reap(struct edition *edition);
void edition_vm_read_stats(const struct edition *edition, struct runtime_stats *out);

#endif
