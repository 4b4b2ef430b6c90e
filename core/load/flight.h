/*
 * flight: the one load in progress for a key, the waiters parked on it, and the memory of failures.
 *
 *   shard (by hash) --lock--> chain of flights: LOADING  waiters per I/O thread, owned by a load
 *                                               FAILED   the last error, until retry_at_ms
 *
 * Pure decisions: no I/O, no clock, no Lua. Everything that changes a key (a load's end, set,
 * invalidate) passes through its flight shard's lock and changes the store under it, so that "is
 * there a load", "is its result still wanted" and "what is stored" are one decision. A fresh hit
 * never comes here. Lock order: flight shard, then store shard. Thread: any. A flight's outcome is
 * immutable after flights_end. Limits: max_waiters per flight; options.failed_max keys in backoff,
 * the oldest forgotten first.
 */
#ifndef RTCACHE_LOAD_FLIGHT_H
#define RTCACHE_LOAD_FLIGHT_H

#include "base/buf.h"
#include "base/list.h"
#include "conf/conf.h"
#include "load/reason.h"
#include "metrics/metrics.h"
#include "store/store.h"
#include "sys/mailbox.h"

#include <stdatomic.h>

struct flights;

/* A parked request's place on a flight; embedded in the request of an I/O thread. */
struct waiter {
    struct list link; /* the flight's until delivered */
    /* Under the shard's lock; NULL: not parked (left, or about to be delivered). */
    struct flight *flight;
    uint64_t hash;
    uint64_t seq; /* marks_now when its request came: set by the caller */
};

/* One per I/O thread in every flight; what wakes that thread. */
struct flight_slot {
    struct message message; /* sent by the loader thread when the flight has ended */
    struct flight *flight;
    struct list waiters;
};

enum flight_end {
    END_FOUND,
    END_ABSENT,
    END_FAILED,  /* the key goes into backoff */
    END_REFUSED, /* never begun (OVERLOADED, breaker open, no loader): no backoff */
};

/* What a flight was made for. */
struct flight_asked {
    bool background; /* nobody waited when it was made */
    bool nothing;    /* was stored when it was made, not even a candidate */
    bool replaces;   /* of use only while an entry is stored, or where somebody waits */
    bool bulk;       /* one of many that a client asked for at once */
    bool primary;    /* it was started for who asks for the primary (join_request) */
    enum load_reason reason;
    uint16_t owner;        /* PREFETCH: counted in flights_prefetching until it ends */
    float ahead;           /* PREFETCH: after this share of the ttl; else 0 */
    int64_t wait_until_ms; /* its first waiter's deadline; 0: not known */
};

/* What its result is judged by: how things stood when the attempt began. Under the lock. */
struct flight_token {
    uint64_t generation; /* of the configuration its load uses */
    int loader;          /* the key's in that configuration */
    uint64_t epoch;      /* of its shard */
    uint64_t since;      /* marks_now */
    bool doubtful;       /* a write of its key was in doubt */
};

/* What it ended with, written once by flights_end. */
struct flight_outcome {
    enum flight_end end;
    struct entry *value; /* FOUND */
    struct err *err;     /* FAILED, REFUSED; NULL: no memory for the text */
    int err_code;
    int32_t retry_after_ms; /* -1: unknown */
    bool has_version;
    bool replica;   /* its source lags, and the primary does not */
    bool overtaken; /* by a tag or a pattern: a waiter whose seq is above since asks again */
    int64_t version, ttl_ms; /* ttl_ms 0: no end */
    size_t too_large;        /* bytes of the entry where the store cannot hold it; 0: it can */
    size_t largest;          /* bytes of the largest entry that the key's shard can hold */
    uint32_t load_us;
};

struct flight {
    struct message message; /* carries the flight to its loader thread */
    struct message promote; /* tells it that somebody waits now */
    struct seat *seat;      /* the loader thread's */
    bool urgent; /* the loader thread's: it was told that somebody waits before it had a seat */
    struct list chain;  /* the shard's bucket; alone where detached */
    struct list failed; /* the shard's FAILED flights, oldest first */
    _Atomic int refs;   /* table, load, one per slot in delivery */
    uint64_t hash;
    uint32_t waiter_count;        /* under the lock */
    uint32_t failures;            /* in a row */
    int64_t retry_at_ms;          /* FAILED */
    bool loading, detached;       /* under the lock */
    bool begun, joined, promoted; /* under the lock; joined: somebody has waited */
    struct flight_asked asked;
    struct flight_token token;
    struct flight_outcome outcome;
    /* Then the slots, then the key. */
    uint32_t key_size;
    uint32_t slot_count;
    struct flight_slot slots[];
};

struct flights_options {
    struct store *store; /* borrowed */
    struct marks *marks; /* borrowed; NULL: there are no tags and no patterns */
    unsigned shards;     /* a power of two */
    unsigned slots;      /* I/O threads */
    size_t failed_max;
    size_t floors_max;
    /* Of floors that were promised before the start nothing is known: as if they had been dropped,
     * loads read the primary until then. */
    int64_t lossy_until_ms;
    uint64_t seed;
    /* Receives a slot's message on its I/O thread. */
    void (*deliver)(struct message *m, void *owner);
    /* Whether a result of so many bytes, which are counted by now (store.h), may be kept for those
     * who wait, beside what is stored; of any loader thread. NULL: all may. Where it may not they
     * are refused (OVERLOADED). */
    bool (*admits)(const void *budget, size_t bytes);
    const void *budget; /* borrowed */
};

int flights_new(struct flights **out, const struct flights_options *o, struct err *e) MUST_USE;
void flights_free(struct flights *fl); /* no load may be in progress; NULL is allowed */

struct slice flight_key(const struct flight *f);
void flight_ref(struct flight *f);
void flight_unref(struct flight *f);
/* Fills e with the outcome's error. */
void flight_error(const struct flight *f, struct err *e);

enum join {
    JOIN_HIT,     /* the store has it by now: the value is in the buf, hit is filled */
    JOIN_PARKED,  /* on a flight that was there */
    JOIN_STARTED, /* on a new flight: the caller sends it to its loader */
    JOIN_BACKOFF, /* a load failed lately: err has why and retry_after_ms */
    JOIN_FULL,    /* max_waiters */
    JOIN_NOMEM,
};

struct join_request {
    struct slice key;
    uint64_t hash;
    int64_t now_ms;
    uint64_t
        generation; /* of the caller's configuration; an older flight is left to its own waiters */
    int loader;     /* the key's in that configuration */
    int64_t max_waiters;
    unsigned slot;         /* the caller's I/O thread */
    struct waiter *waiter; /* NULL: in the background, nobody waits */
    enum load_reason reason;
    bool replaces;         /* without an entry, or somebody who waits, its result is not kept */
    uint16_t owner;        /* PREFETCH: its loader's slot */
    float ahead;           /* PREFETCH: after this share of the ttl; else 0 */
    bool bulk;             /* one of many: its load leaves others their share */
    int64_t wait_until_ms; /* the waiter's deadline; 0: not known */
    bool reload;           /* refresh: whatever is stored, unless a load is in the air */
    struct buf *out;       /* for JOIN_HIT; as store_get's. NULL with reload or without a waiter */
    bool held;             /* out stays as it is: the hit holds the value */
    const int64_t *min_version; /* what is stored below it does not count; NULL: anything does */
    bool primary; /* a flight that starts reads the primary: the source was asked, and lags */
};

struct join_result {
    enum lookup lookup; /* JOIN_HIT: FRESH or NEGATIVE */
    struct hit hit;
    struct flight *flight; /* JOIN_STARTED, or promote: one reference, for the loader thread */
    bool promote;          /* JOIN_PARKED: the first to wait for a background load that has not
                              begun: loader_promote it */
    struct err err;        /* JOIN_BACKOFF */
};

enum join flights_join(struct flights *fl, const struct join_request *q, struct join_result *out);

/* true: w was parked and is the caller's again; false: its delivery is under way. */
bool flights_leave(struct flights *fl, struct waiter *w);

/* How a load is to begin. */
struct beginning {
    uint64_t generation; /* of the scripts it runs */
    int loader;          /* the key's in that configuration */
    int64_t now_ms;
    bool queued; /* it had to wait for its turn */
};

struct begun {
    bool wanted;   /* false (only where it was queued): nobody waits for it any more and it is no
                      background load; it has left the table, and the caller drops its reference
                      without flights_end */
    bool primary;  /* whoever started it wants that, or a floor of its shard had to go early, so a
                      source that lags proves nothing */
    bool detached; /* its key may have another flight by now */
};
/* The load begins. */
void flights_begin(struct flights *fl, struct flight *f, const struct beginning *b,
                   struct begun *out);

/* Nobody waits for f, which has not begun and is no background load: it has left the table, and the
 * caller drops its reference. */
bool flights_abandon(struct flights *fl, struct flight *f);

/* Another attempt of the same load begins: what it brings is judged by its own start (reliability
 * rule 18). Whether it has to read the primary, for a floor of its shard may be missing. */
bool flights_again(struct flights *fl, struct flight *f, int64_t now_ms);

/* What a load ended with. */
struct outcome {
    enum flight_end end;
    struct slice value;      /* FOUND: packed */
    bool has_version, store; /* store false: deliver it, do not keep it */
    int64_t version;
    int64_t ttl_ms, stale_ttl_ms, keep_ms; /* jittered; for ABSENT ttl_ms is its negative_ttl */
    uint32_t load_us;
    struct refresh refresh;  /* for the entry */
    struct entry *unchanged; /* FOUND: value is that of this stored entry; borrowed. Or NULL */
    bool retagged;           /* unchanged: the tags are not those that it has */
    const uint32_t *tags;    /* FOUND and ABSENT: slots (marks.h) */
    unsigned tag_count;
    struct slice tag_texts; /* as they were given, packed */
    const struct err *err;  /* FAILED, REFUSED */
    bool replica; /* the source lags, and there is one that does not: an absence below a floor
                     proves nothing */
    int64_t backoff_base_ms, backoff_cap_ms;
    uint64_t
        generation; /* the loader thread's current one; a newer one than the flight's voids it */
};

struct verdict {
    bool stored;
    bool wasted;               /* a refresh of an entry that is gone, for nobody */
    bool crowded;              /* it has waiters, and there is no room for its value: they are
                                  refused */
    size_t too_large, largest; /* bytes of what could not be stored, and what could; 0: that is not
                                  why */
    bool below;    /* the result is below the key's floor: nothing ended, the source is to be asked
                      again */
    int64_t floor; /* then */
};

/* Ends f: stores its result if its token still holds and its version is high enough, takes it out
 * of the table or into backoff. The caller keeps its reference, then delivers f->slots[] whose
 * waiters are not empty (each such slot has got a reference of its own). */
void flights_end(struct flights *fl, struct flight *f, const struct outcome *o, int64_t now_ms,
                 struct verdict *v);

/* What changes a key from outside: a load in flight is left to its waiters and will not be stored.
 */
struct invalidation {
    struct slice key;
    uint64_t hash;
    int64_t now_ms;
    const int64_t
        *version; /* what is older is dropped, and stays out for floor_ttl_ms; NULL: all is */
    int64_t floor_ttl_ms;
    bool gone; /* at that version the row was deleted: an absence may be kept, as it may not be
                  below any other floor */
};

/* *dropped: whether an entry was. ERR_NOMEM: there was no memory for the floor; the entry is gone
 * and loads in the air are void, but a lagging source may bring the old version back. */
int flights_invalidate(struct flights *fl, const struct invalidation *i, bool *dropped) MUST_USE;

/* What is stored is stale from now on, until it is loaded again or its stale time is over, and a
 * load in the air is not stored; whether there was an entry. */
bool flights_expire(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms);

/* All keys that match: nothing that is stored, or is being loaded, is served any more; soft: it is
 * served as stale. In force when it returns. ERR_OVERLOADED, ERR_NOMEM: of store_apply_glob; loads
 * in the air are void all the same. */
int flights_match(struct flights *fl, const struct glob *g, bool soft, struct err *e) MUST_USE;

/* Versions begin anew: what was said of versions before is taken back, and what is stored goes with
 * it, for its versions would keep the new ones out. What is loaded or written meanwhile is not
 * stored. Doubts stay. */
bool flights_lift(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms);
/* The same for all keys that match; all: what is told of all keys too. ERR_OVERLOADED, ERR_NOMEM:
 * as flights_match, or FLOOR_LIFTS patterns were lifted already and floors are left that are older;
 * some floors may be lifted then, and it may be asked for again. */
int flights_lift_match(struct flights *fl, const struct glob *g, bool all, int64_t now_ms,
                       struct err *e) MUST_USE;

/* Floors may have been missed: as if they had been dropped now. */
void flights_lose_floors(struct flights *fl, int64_t until_ms);

/* What a write notes before the source is asked: an invalidation that it overlaps may be about what
 * it is going to bring. */
struct write_token {
    uint64_t epoch; /* of its shard */
    uint64_t drops; /* plain invalidations of the shard */
    int64_t began_ms;
    bool doubtful; /* an earlier write of the key may still take place */
};
void flights_write_begins(struct flights *fl, uint64_t hash, int64_t now_ms,
                          struct write_token *out);

/* What a write to the source ended with; its load began at put.since. */
struct written {
    const struct put *put; /* its version is the one that the source gave it */
    struct write_token token;
    int64_t now_ms;
    int64_t floor_ttl_ms;
};
/* Write-through: loads in the air are void, the floor rises to the version, and the value is stored
 * unless something newer is known of (*stored says). Errors as flights_invalidate. */
int flights_write(struct flights *fl, const struct written *w, bool *stored) MUST_USE;
/* Whether a write took place is not known: the entry is dropped, and until until_ms what is loaded
 * is delivered and not kept (reliability rule 14). */
int flights_doubt(struct flights *fl, const struct invalidation *i, int64_t until_ms) MUST_USE;

/* ERR_VERSION_CONFLICT where a newer version is stored or known of. */
int flights_set(struct flights *fl, const struct put *p, int64_t now_ms, struct err *e) MUST_USE;

/* Loads with REASON_PREFETCH of that owner that have not ended, queued ones included. */
uint32_t flights_prefetching(const struct flights *fl, uint16_t owner);

struct flights_stats {
    uint64_t loading, failed, failed_dropped, floors, floors_dropped;
    int64_t lossy_until_ms; /* till then loads of some keys read the primary at least */
};
void flights_read_stats(struct flights *fl, struct flights_stats *out);

#endif
