/*
 * ask: what a read of a key is answered with, and what it waits for.
 *
 *   ask_get --FRESH, NEGATIVE--> the answer
 *      `-----STALE, MISS-------> ask_decide --> the answer, or VERDICT_WAIT
 *                                   ask_join <----'
 *                                      `--> the answer, or a read that is parked (parked.h)
 *
 * No wire, no connection, no clock: a value goes where store_get puts it, and the time, the dice
 * and the key's loader are parameters. So the simulator (tests/sim) decides by the same functions
 * as the server.
 *
 * Thread: the asker's. Errors: they are verdicts, with the key's text in front.
 */
#ifndef RTCACHE_SERVE_ASK_H
#define RTCACHE_SERVE_ASK_H

#include "load/early.h"
#include "load/flight.h"
#include "load/snapshot.h"
#include "metrics/metrics.h"
#include "store/marks.h"
#include "store/store.h"

/* An I/O thread, as a read sees it. All is borrowed. */
struct asker {
    struct store *store;
    struct flights *flights;
    const struct marks *marks;
    struct metrics *metrics; /* the thread's own */
    struct rng *rng;
    unsigned slot; /* of every flight, for its waiters */
};

/* A read of one key. */
struct ask {
    struct slice key; /* borrowed */
    uint64_t hash;
    int64_t timeout_ms, stale_wait_ms; /* -1: the loader's */
    int64_t min_version;
    bool has_min; /* what is older than min_version, or has no version, will not do */
    bool strict;  /* refresh: a load, whatever is stored, and its failure is the answer */
    bool bulk;    /* one of many: its load leaves others their share */
    bool partial; /* it waits for no load */
};

/* The key's loader in the asker's configuration. */
struct ask_loader {
    const struct policy *policy; /* its, or the defaults */
    int index;                   /* below 0: there is none; load/route.h */
    uint64_t generation;
    struct loader_counters *counters; /* NULL: there is none */
};

enum status { STATUS_HIT, STATUS_STALE, STATUS_MISS, STATUS_NEGATIVE, STATUS_STALE_ERROR };

enum verdict_kind {
    VERDICT_VALUE,   /* status and hit; of STALE_ERROR err tells why there is no newer one */
    VERDICT_ABSENT,  /* hit, which of a key that fits no row is all 0 */
    VERDICT_PENDING, /* the load has begun, and nobody waits for it */
    VERDICT_ERROR,   /* err */
    VERDICT_FAILED,  /* err, unless ask_kept finds something */
    VERDICT_WAIT,    /* ask_join; stale: there is a value that is past its time */
    VERDICT_TIMER,   /* it is parked: parked_time in wait_ms, if nothing comes before */
    VERDICT_REJOIN,  /* parked_rejoin */
    VERDICT_OUTCOME, /* what the flight brought: FOUND or ABSENT */
    VERDICT_DUE,     /* nothing: its delivery is under way */
};

/* Only what the kind names is filled, and flight. Where the kind is VALUE or ABSENT, out (or
 * hit.entry, whose reference is the caller's) has the value; else out may have grown, and the
 * caller takes it back. */
struct ask_verdict {
    enum verdict_kind kind;
    enum status status;
    struct hit hit;
    bool stale;
    int64_t wait_ms;
    struct flight *flight; /* for the loader thread, with its reference; NULL: none */
    bool promote;          /* it is there already, and somebody waits now */
    struct err err;
};

/* Where values are copied to. held: they are not, and the hit holds them. */
struct ask_room {
    struct buf *out;
    bool held;
};

struct parked;

static inline bool ask_is_below(const struct ask *q, bool has_version, int64_t version)
{
    return q->has_min && !(has_version && version >= q->min_version);
}

/* The first look. FRESH, NEGATIVE: that is the answer, and it is counted. STALE: the value is
 * there. bare: nothing is told but the value. */
static inline __attribute__((always_inline)) enum lookup ask_get(const struct asker *by,
                                                                 const struct ask *q,
                                                                 int64_t now_ms, bool bare,
                                                                 struct buf *room, struct hit *hit)
{
    unsigned want = WANT_STALE | (bare && !q->has_min ? WANT_BARE : 0);
    enum lookup found = store_get(by->store, q->key, q->hash, now_ms, want, room, hit);
    if (__builtin_expect(found != LOOKUP_MISS && q->has_min, 0) &&
        ask_is_below(q, hit->has_version, hit->version)) {
        entry_unref(hit->entry);
        return LOOKUP_MISS;
    }
    if (found == LOOKUP_FRESH)
        metrics_hit(by->metrics, hit->owner, HIT_FRESH);
    else if (found == LOOKUP_NEGATIVE)
        metrics_hit(by->metrics, hit->owner, HIT_NEGATIVE);
    return found;
}

/* What follows a look that found STALE (hit is in v) or nothing: VALUE, ABSENT, PENDING, ERROR,
 * FAILED, WAIT. */
void ask_decide(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                int64_t now_ms, enum lookup found, struct ask_verdict *v);

/* A refresh: WAIT, or in the background PENDING; ABSENT, ERROR. */
void ask_refresh(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                 int64_t now_ms, bool background, struct ask_verdict *v);

/* Whether a fresh hit may begin the next load by early_beta at all; then, whether it does: v has no
 * more than the flight. */
static inline bool ask_is_early(const struct hit *hit)
{
    return hit->early && hit->ttl_ms != STORE_FOREVER_MS &&
           early_in_reach(hit->load_us, hit->ttl_ms);
}
void ask_early(const struct asker *by, const struct ask *q, const struct ask_loader *l,
               int64_t now_ms, const struct hit *hit, struct ask_verdict *v);

/* Puts a new one on its key's flight: TIMER; or VALUE, ABSENT, ERROR, FAILED, and it is the
 * caller's again. stale: as VERDICT_WAIT said. room.out: not NULL. */
void ask_join(const struct asker *by, struct parked *t, const struct ask_loader *l, int64_t now_ms,
              bool stale, struct ask_room room, struct ask_verdict *v);

/* After VERDICT_FAILED. true: VALUE, what is stored and may be served where a load did not come
 * through, with v's err; false: ERROR. */
bool ask_kept(const struct asker *by, const struct ask *q, int64_t now_ms, struct ask_room room,
              struct ask_verdict *v);

/* Sets v to ERROR: the key's text, and what. */
void ask_refuse(const struct ask *q, int code, const char *what, struct ask_verdict *v);

#endif
