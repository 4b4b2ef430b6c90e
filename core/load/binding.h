/*
 * binding: one loader of a configuration on one loader thread: its script, backends and policy.
 *
 * Shape: embedded in the admission of its loads, and fixed once its script is read; what it points
 * to (counters, facts, the edition's current runtime) moves. Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_BINDING_H
#define RTCACHE_LOAD_BINDING_H

#include "load/edition.h"
#include "load/source.h"

struct binding {
    struct edition *edition;
    struct thread_state *thread; /* the edition's */
    int index;                   /* of the loader, in the configuration */
    const struct conf_loader *conf;
    struct glob_star stars[GLOB_STARS_MAX]; /* of its pattern */
    struct loader_counters *counters;
    struct capacity *capacity;    /* of its backend */
    const struct source *source;  /* of its loads */
    uint32_t batch_max;           /* keys of one load; 1: its script does not take many */
    bool many_only;               /* the script has no function for one key */
    bool can_write;               /* it has one that writes */
    int script, backend, primary; /* -1: none */
    const struct live_feed *feed; /* that tells of changes; NULL: none */
    struct {                      /* of a loader that is kept in the tier (tiered.h) */
        uint64_t print;           /* whose rows are its own */
        uint64_t kept_from;       /* of these, those that were loaded since */
    } tier;
};

/* The loader at that index of the edition's configuration; the edition has its capacities. */
void binding_init(struct binding *b, struct edition *edition, size_t index);
/* Its script is read: its index, and what it can do. */
void binding_know_script(struct binding *b, const struct runtime *rt, int script);

static inline struct thread_state *binding_thread(const struct binding *b)
{
    return b->thread;
}

static inline const struct policy *binding_policy(const struct binding *b)
{
    return &b->conf->policy;
}

static inline struct loader_facts *binding_facts(const struct binding *b)
{
    return &b->edition->snapshot->facts[b->index];
}

/* The feed that tells of changes is cut: what is loaded does not count as fresh. */
static inline bool binding_is_cut(const struct binding *b)
{
    return b->feed && live_feed_is_cut(b->feed);
}

/* This thread's share of a bound that is for all of them. */
static inline uint32_t binding_share(int64_t total, int64_t threads)
{
    int64_t share = (total + threads - 1) / threads;
    return share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

#endif
