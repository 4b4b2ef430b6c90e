/*
 * live: what is counted and known while configurations come and go.
 *
 *   snapshot --+--> live_loader    of a pattern: totals and gauges per loader thread, its hits'
 * slot the next --+--> live_backend   of a name: the state of its feed, what threads last said of
 * it
 *              `--> live_scripts   what threads last said of their scripts
 *
 * Shape: shared by reference by the snapshots that name it, and by nobody else. So what is counted
 * while the next snapshot is made, or later by a load that began with the one before, is not lost.
 * Thread: any; who writes which word stands beside it. Limits: a live_loader has about half a
 * kilobyte for each loader thread; those of patterns that are away stay, METRIC_OWNERS at most.
 */
#ifndef RTCACHE_LOAD_LIVE_H
#define RTCACHE_LOAD_LIVE_H

#include "backend/backend.h"
#include "bind/runtime.h"
#include "load/reason.h"

#include <stdatomic.h>

/* X(name), as `loaders` shows it: totals that go on over reloads. Keys but for batches,
 * microseconds for *_us. misses and coalesced are the I/O threads'. */
#define LOADER_TOTALS(X)                                                                           \
    X(loads)                                                                                       \
    X(found)                                                                                       \
    X(absent)                                                                                      \
    X(failed)                                                                                      \
    X(refused)                                                                                     \
    X(retried)                                                                                     \
    X(misses)                                                                                      \
    X(coalesced)                                                                                   \
    X(batches)                                                                                     \
    X(batch_keys)                                                                                  \
    X(queue_us)                                                                                    \
    X(load_us)                                                                                     \
    X(refresh_wasted)                                                                              \
    X(too_large)                                                                                   \
    X(prefetch_skipped)

/* Of a loader on a thread; written by that one, and where said by the I/O threads, read by any.
 * in_flight and queued are of all editions of the thread, breaker of the current one. */
struct loader_counters {
#define LOADER_FIELD(name) _Atomic uint64_t name;
    LOADER_TOTALS(LOADER_FIELD)
#undef LOADER_FIELD
    _Atomic uint64_t by_reason[REASON_COUNT]; /* loads */
    _Atomic uint64_t failures[ERR_COUNT];     /* by -code */
    _Atomic uint32_t in_flight, queued;
    _Atomic int breaker; /* enum breaker_state */
};

static inline void loader_count(_Atomic uint64_t *total, uint64_t n)
{
    atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

/* Its own lines of memory: threads count side by side. */
struct live_lane {
    _Alignas(64) struct loader_counters counters;
};

struct live_loader {
    _Atomic int refs;
    uint16_t slot; /* by which its hits are counted; 0: there was none left */
    uint32_t threads;
    char *pattern; /* owned */
    struct live_lane lanes[];
};

/* What has shown itself of a loader's script, on any thread. Each snapshot has its own, for a
 * script may be another one after a reload; edition_carry takes over what is known of an equal one.
 */
struct loader_facts {
    _Atomic bool gives_tags;                    /* a load gave some */
    _Atomic bool told_untagged, told_too_large; /* the log has it */
    _Atomic uint64_t script_print;              /* runtime_fingerprint; 0: it is SQL */
};

/* Of a script that all threads read alike. */
static inline void loader_facts_set_print(struct loader_facts *f, uint64_t print)
{
    atomic_store_explicit(&f->script_print, print, memory_order_relaxed);
}

static inline uint64_t loader_facts_print(const struct loader_facts *f)
{
    return atomic_load_explicit(&f->script_print, memory_order_relaxed);
}

/* Of a backend's feed: written by the feeds' thread. */
struct live_feed {
    _Atomic bool cut; /* what is loaded from what it feeds does not count as fresh */
    _Atomic bool connected;
    _Atomic uint64_t events, bad, gaps;
    _Atomic int64_t lag_ms; /* -1: unknown */
};

static inline bool live_feed_is_cut(const struct live_feed *f)
{
    return atomic_load_explicit(&f->cut, memory_order_acquire);
}

struct backend_numbers;
struct script_numbers;

struct live_backend {
    _Atomic int refs;
    uint32_t threads;
    struct live_feed feed;
    struct backend_numbers *told; /* [threads]; owned; each written by its loader thread */
};

struct live_scripts {
    _Atomic int refs;
    uint32_t threads;
    struct script_numbers *told; /* [threads]; owned; each written by its loader thread */
};

/* NULL: no memory. With one reference; unref takes NULL. */
struct live_loader *live_loader_new(const char *pattern, uint16_t slot, uint32_t threads);
struct live_loader *live_loader_ref(struct live_loader *l);
void live_loader_unref(struct live_loader *l);

struct live_backend *live_backend_new(uint32_t threads);
struct live_backend *live_backend_ref(struct live_backend *b);
void live_backend_unref(struct live_backend *b);
/* What the thread last saw; the sums over the threads. */
void live_backend_tell(struct live_backend *b, size_t thread, const struct backend_stats *now);
void live_backend_ask(const struct live_backend *b, struct backend_stats *sum);

struct live_scripts *live_scripts_new(uint32_t threads);
struct live_scripts *live_scripts_ref(struct live_scripts *s);
void live_scripts_unref(struct live_scripts *s);
void live_scripts_tell(struct live_scripts *s, size_t thread, const struct runtime_stats *now);
void live_scripts_ask(const struct live_scripts *s, struct runtime_stats *sum);

#endif
