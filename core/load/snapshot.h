/*
 * snapshot: one configuration in force: options, routes, and what is counted per loader.
 *
 * Shape: immutable but for the counters, shared by reference; each thread holds the one it works
 * with and is handed the next by a message. Thread: any. Limits: the configuration's.
 */
#ifndef RTCACHE_LOAD_SNAPSHOT_H
#define RTCACHE_LOAD_SNAPSHOT_H

#include "bind/runtime.h"
#include "conf/conf.h"
#include "load/reason.h"
#include "load/route.h"
#include "base/rng.h"
#include "store/store.h"
#include "sys/tls.h"

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

/* Of a loader on a thread; written by that one, and where said by the I/O threads, read by any. */
struct loader_counters {
#define LOADER_FIELD(name) _Atomic uint64_t name;
    LOADER_TOTALS(LOADER_FIELD)
#undef LOADER_FIELD
    _Atomic uint64_t by_reason[REASON_COUNT]; /* loads */
    _Atomic uint64_t failures[ERR_COUNT];     /* by -code */
    _Atomic uint32_t in_flight, queued;
    _Atomic int breaker; /* enum breaker_state */
};

/* What a loader thread last said of its backends and its scripts, twice a second (loader_thread.c).
 */
struct backend_numbers;
struct script_numbers;

/* Of a backend's feed: written by the feeds' thread, read by any. It lives beside the snapshots,
 * which share it by the backend's name: what changes while the next one is made is not copied. */
struct feed_numbers {
    _Atomic int refs;
    _Atomic bool cut; /* what is loaded from what it feeds does not count as fresh */
    _Atomic bool connected;
    _Atomic uint64_t events, bad, gaps;
    _Atomic int64_t lag_ms; /* -1: unknown */
};

static inline bool feed_numbers_cut(const struct feed_numbers *f)
{
    return atomic_load_explicit(&f->cut, memory_order_acquire);
}

/* What has shown itself of a loader's script, on any thread; of every reload's scripts anew, but
 * for a script whose text is the same (edition_carry). */
struct loader_facts {
    _Atomic bool gives_tags;                    /* a load gave some */
    _Atomic bool told_untagged, told_too_large; /* the log has it */
};

struct snapshot {
    _Atomic int refs;
    uint64_t generation;
    struct conf *conf; /* shared */
    struct routes *routes;
    struct tls_context *tls;          /* NULL: the configuration has no group "tls" */
    struct loader_counters *counters; /* [loader_threads][loaders] */
    struct loader_facts *facts;       /* [loaders] */
    struct backend_numbers *backends; /* [loader_threads][backends] */
    struct script_numbers *scripts;   /* [loader_threads] */
    struct feed_numbers **feeds;      /* [backends]; shared */
    /* The pattern that has each slot; slot 0 is nobody's. A pattern keeps its slot over reloads,
     * also while it is not there, as long as there are any. */
    char **owners;
    size_t owner_count;
    uint16_t *owner_of; /* [loaders]: its slot; 0: there was none left */
};

/* conf's reference is handed over on success. before: the totals of equal patterns go on; NULL:
 * none. ERR_CONFIG names a pattern, or a file of "tls", and its line. */
int snapshot_new(struct snapshot **out, struct conf *conf, uint64_t generation,
                 const struct snapshot *before, struct err *e) MUST_USE;
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is allowed */

static inline void loader_count(_Atomic uint64_t *total, uint64_t n)
{
    atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

struct loader_counters *snapshot_counters(const struct snapshot *s, size_t thread, size_t loader);

void snapshot_tell_backend(struct snapshot *s, size_t thread, size_t backend,
                           const struct backend_stats *now);
void snapshot_tell_scripts(struct snapshot *s, size_t thread, const struct runtime_stats *now);
/* The sums over the loader threads. */
void snapshot_ask_backend(const struct snapshot *s, size_t backend, struct backend_stats *sum);
void snapshot_ask_scripts(const struct snapshot *s, struct runtime_stats *sum);

/* The backend whose feed tells of what this loader loads: its own or its primary's; -1: none. */
int snapshot_feed_of(const struct conf *conf, const struct conf_loader *l);

/* The loader's slot, by which its hits are counted; 0 for loader -1. */
uint16_t snapshot_owner(const struct snapshot *s, int loader);

/* What an entry of that loader is to know of its refresh, from its ttl (jittered), what its load
 * took, and the share of a ttl after which that was begun ahead of an end (0: it was not). */
struct refresh snapshot_refresh(const struct snapshot *s, int loader, int64_t ttl_ms,
                                uint32_t load_us, double last, struct rng *rng);

/* Whether it is the first time, on any thread. */
bool snapshot_once(_Atomic bool *told);

/* Whether loads of this loader give tags, as far as is known. -1: no loader. */
bool snapshot_gives_tags(const struct snapshot *s, int loader);

/* Whether nothing that this loader loads may count as fresh: its feed is cut. -1: no loader. */
bool snapshot_is_cut(const struct snapshot *s, int loader);

/* The key's policy: its loader's, or the defaults. *loader: its index, or below 0: see route.h. */
const struct policy *snapshot_policy(const struct snapshot *s, struct slice key, int *loader);

/* ERR_BAD_KEY, for a write of a misfit. */
int snapshot_refuse(const struct snapshot *s, struct slice key, int misfit, struct err *e) MUST_USE;

#endif
