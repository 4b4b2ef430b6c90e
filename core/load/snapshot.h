/*
 * snapshot: one configuration in force: options, routes, and where its loaders and backends count.
 *
 * Shape: immutable, shared by reference; each thread holds the one it works with and is handed the
 * next by a message. What moves while it is in force is beside it (live.h), and goes on with the
 * next snapshot that has that pattern or that backend; but for what is known of scripts, which is
 * of their texts. Thread: any. Limits: the configuration's.
 */
#ifndef RTCACHE_LOAD_SNAPSHOT_H
#define RTCACHE_LOAD_SNAPSHOT_H

#include "base/rng.h"
#include "conf/conf.h"
#include "load/live.h"
#include "load/route.h"
#include "store/store.h"
#include "sys/tls.h"

#include <stdatomic.h>

struct snapshot {
    _Atomic int refs;
    uint64_t generation;
    struct conf *conf; /* shared */
    struct routes *routes;
    struct tls_context *tls;        /* NULL: the configuration has no group "tls" */
    struct loader_facts *facts;     /* [loaders]; owned */
    struct live_loader **loaders;   /* [loaders]; shared */
    struct live_backend **backends; /* [backends]; shared */
    struct live_scripts *scripts;   /* shared */
    /* The pattern that has each slot; slot 0 is nobody's. A pattern keeps its slot over reloads,
     * also while it is not there, as long as there are any; and what was counted with it. */
    struct live_loader **slots; /* shared */
    size_t slot_count;
};

/* conf's reference is handed over on success. before: the one in force, with as many loader
 * threads, whose live parts go on; NULL: none. ERR_CONFIG names a pattern, or a file of "tls", and
 * its line. */
int snapshot_new(struct snapshot **out, struct conf *conf, uint64_t generation,
                 const struct snapshot *before, struct err *e) MUST_USE;
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is allowed */

struct loader_counters *snapshot_counters(const struct snapshot *s, size_t thread, size_t loader);

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
