/*
 * load_priv: one load, for load.c, which runs it, and load_end.c, which judges what comes of a run;
 * nobody else includes it.
 *
 * A load begins with the seats of one part. Where a batch fails and its script suspects one key
 * (rtcache.poison), that key goes into a part of its own, or half of the keys do; parts run one
 * after the other, within the one place in the air and the one deadline that the load has.
 */
#ifndef RTCACHE_LOAD_LOAD_PRIV_H
#define RTCACHE_LOAD_LOAD_PRIV_H

#include "load/load.h"
#include "load/outcome.h"

struct load {
    struct list link; /* the thread's running */
    struct binding *binding;
    void (*done)(const struct load_ended *e, void *arg);
    void *arg;
    struct list seats;        /* that have not ended; the current part's first */
    struct list ended;        /* whose waiters are to be woken */
    uint32_t count;           /* seats altogether */
    uint32_t prefetched;      /* of them, of CLASS_PREFETCH */
    uint32_t part, last_part; /* the current one's number; the highest there is */
    uint32_t asking;          /* seats that wait for the tier; then go_on */
    void (*go_on)(struct load *ld);
    struct run *run;
    int64_t started_us, deadline_ms;
    struct attempt attempt; /* from_primary: since the first answer below, or from the start */
    int attempts;
    int tries;              /* of the current part that failed */
    unsigned belows;        /* rounds with an answer below its floor */
    bool probe;             /* of its loader's breaker */
    bool found;             /* at least one seat got a value */
    bool failed;            /* at least one seat got an error */
    bool emptied;           /* it ran again because the scripts' memory had been full */
    bool blamed;            /* an error said that the source is unwell */
    enum run_health health; /* as its last run saw it */
    int64_t wait_ms; /* before the next attempt of what is left of the part; -1: no time for it */
    enum { RETRY_UNDECIDED, RETRY_YES, RETRY_NO } retry;
    ev_timer deadline, again;
};

static inline struct thread_state *load_thread(const struct load *ld)
{
    return binding_thread(ld->binding);
}

static inline const struct policy *load_policy(const struct load *ld)
{
    return binding_policy(ld->binding);
}

static inline struct seat *load_first_seat(const struct load *ld)
{
    return container_of(ld->seats.next, struct seat, link);
}

/* ---- load_end.c: none of these lets the load go ---- */

/* What is to become of the seats of the current part. */
enum load_next {
    LOAD_GOES_ON,    /* with those that are left, of this part or of the next; none: it is over */
    LOAD_RUNS_AGAIN, /* the part does, as it was: the scripts' memory was full, and was emptied */
};

/* The seats of the current part. */
uint32_t load_end_part_size(const struct load *ld);
/* What a run for them ended with: they end, or are left for another one. */
enum load_next load_end_take_run(struct load *ld, struct run_result *r) MUST_USE;
/* A run had no room in the scripts' memory, which was emptied: LOAD_RUNS_AGAIN, once in a load. */
enum load_next load_end_empty(struct load *ld) MUST_USE;
/* None of the current part, or of all, can be had: they end. */
void load_end_fail(struct load *ld, const struct err *why, bool all);
/* What the load says of its source's health. */
enum breaker_sign load_end_sign(const struct load *ld);
/* The waiters of ended seats hear of it, and the seats are freed. */
void load_end_wake(struct thread_state *t, struct list *ended);

#endif
