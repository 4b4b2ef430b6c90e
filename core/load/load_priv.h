/*
 * load_priv: one load, for load.c, which runs it, and load_end.c, which ends it; nobody else
 * includes it.
 *
 * A load begins with the seats of one part. Where a batch fails and its script suspects one key
 * (rtcache.poison), that key goes into a part of its own, or half of the keys do; parts run one
 * after the other, within the one place in the air and the one deadline that the load has. Thread:
 * the loader thread's. Limits: batch_max seats, load_timeout, retries, the retry budget.
 */
#ifndef RTCACHE_LOAD_LOAD_PRIV_H
#define RTCACHE_LOAD_LOAD_PRIV_H

#include "load/loader_priv.h"

struct load {
    struct list link; /* loader->running */
    struct gate *gate;
    struct list seats;        /* that have not ended; the current part's first */
    struct list ended;        /* whose waiters are to be woken */
    uint32_t count;           /* seats altogether */
    uint32_t prefetched;      /* of them, of CLASS_PREFETCH */
    uint32_t part, last_part; /* the current one's number; the highest there is */
    struct run *run;
    int64_t started_us, attempt_us, deadline_ms;
    int attempt;
    int tries;              /* of the current part that failed */
    unsigned belows;        /* rounds with an answer below its floor */
    bool from_primary;      /* since the first of them, or from the start */
    bool probe;             /* of its gate's breaker */
    bool found;             /* at least one seat got a value */
    bool failed;            /* at least one seat got an error */
    bool emptied;           /* it ran again because the scripts' memory had been full */
    bool blamed;            /* an error said that the source is unwell */
    enum run_health health; /* as its last run saw it */
    int64_t wait_ms; /* before the next attempt of what is left of the part; -1: no time for it */
    enum { RETRY_UNDECIDED, RETRY_YES, RETRY_NO } retry;
    ev_timer deadline, again;
};

static inline struct loader *load_loader(const struct load *ld)
{
    return ld->gate->set->loader;
}

static inline const struct policy *load_policy(const struct load *ld)
{
    return &ld->gate->conf->policy;
}

/* The seats of the current part. */
uint32_t load_part_size(const struct load *ld);
/* What a run for them ended with: they end, or run again. Then ld may be gone. */
void load_take_run(struct load *ld, struct run_result *r);
/* The scripts' memory was full, and has been emptied: whether the current part runs again for that,
 * which it does once in a load. */
bool load_runs_again(struct load *ld);
/* None of the current part, or of all, can be had. Ends what that leaves. */
void load_fail(struct load *ld, const struct err *why, bool all);

#endif
