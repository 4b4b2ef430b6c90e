/*
 * floor: the lowest version of a key that may still be stored or served, outside eviction.
 *
 *   hash --> { version, until } , in the order in which they end
 *
 * A floor outlives the entry it speaks of, for `ttl_ms` after it was last raised, so that a load
 * which began before an invalidation, or reads a lagging replica, finds it however late it ends.
 * Keys are told apart by their 64-bit keyed hash: two that collide share the higher floor.
 * A key may be in doubt too: what is loaded until then may be about to be overtaken, and is not
 * kept. Shape: a chained hash table that grows to `most` floors of 72 bytes; every operation O(1).
 * Pure. Thread: under its owner's lock. Limits: `most`; past it the floor nearest its end is
 * dropped, and the owner is told, who voids the loads in progress (reliability rule 11). The doubt
 * of one that is dropped, or that there is no memory for, becomes the doubt of every key.
 *
 * Floors can be lifted, where versions have begun anew at their source: that of a key, of all keys
 * that match a pattern, or all. A floor knows its key by the hash alone, which no pattern matches,
 * so a pattern is remembered instead: lifts are numbered, by their owner, so that floors of several
 * tables can be brought together; each floor has the number of the last one when it was raised, and
 * does not count for a key that one of the later ones matches. A pattern is kept until every floor
 * that is older than it has ended, at most FLOOR_LIFTS of them at a time. A lift takes the height
 * away and leaves the doubt.
 */
#ifndef RTCACHE_STORE_FLOOR_H
#define RTCACHE_STORE_FLOOR_H

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

#include <stdint.h>

#define FLOOR_LIFTS 64

struct shared_glob; /* globs.h */

struct floors {
    struct list *buckets;
    size_t bucket_count, count, most;
    struct list ending;       /* nearest its end first */
    uint64_t dropped;         /* early */
    int64_t dropped_until_ms; /* the latest end that one of them would have had */
    int64_t doubt_until_ms;   /* of all keys */
    int64_t latest_until_ms;  /* no floor ends later */
    uint32_t lifts;           /* the number of the last one */
    uint32_t all_lifted;      /* the number of the last lift of all keys */
    unsigned lift_count;
    struct floor_lift { /* the patterns that may still concern a floor, oldest first */
        uint32_t number;
        int64_t until_ms;
        struct shared_glob *glob; /* one reference */
    } lifted[FLOOR_LIFTS];
};

int floors_init(struct floors *fl, size_t most) MUST_USE; /* ERR_NOMEM */
void floors_fini(struct floors *fl);

enum floor_raised {
    FLOOR_RAISED,
    FLOOR_DROPPED, /* raised, and another one had to go before its time */
    FLOOR_NOMEM,   /* not raised */
};

struct floor_raise {
    struct slice key;
    uint64_t hash;
    int64_t version;
    int64_t now_ms, ttl_ms;
    bool gone; /* at that version there is no such row */
};
/* Floors only rise: a lower version leaves the height as it is, and prolongs it. */
enum floor_raised floors_raise(struct floors *fl, const struct floor_raise *r);

/* Whether the key had a floor. */
bool floors_lift(struct floors *fl, struct slice key, uint64_t hash, int64_t now_ms);
/* number: higher than that of any lift that has ended. */
void floors_lift_all(struct floors *fl, uint32_t number);
/* Takes a reference of its own. ERR_OVERLOADED: FLOOR_LIFTS patterns are in force. */
int floors_lift_match(struct floors *fl, struct shared_glob *g, uint32_t number,
                      int64_t now_ms) MUST_USE;

/* What is loaded until until_ms is doubtful, whatever comes back. */
enum floor_raised floors_doubt(struct floors *fl, uint64_t hash, int64_t now_ms, int64_t until_ms);

struct floor_seen {
    bool there; /* version and gone are valid */
    bool gone;
    bool doubtful;
    int64_t version;
};
struct floor_seen floors_see(const struct floors *fl, struct slice key, uint64_t hash,
                             int64_t now_ms);
bool floors_doubtful(const struct floors *fl, uint64_t hash, int64_t now_ms);
/* Floors whose time is over leave, at most `most`; how many. */
size_t floors_expire(struct floors *fl, int64_t now_ms, size_t most);

/* A floor as it is kept elsewhere. */
struct floor_kept {
    uint64_t hash;
    int64_t version;
    int64_t until_ms, doubt_until_ms;
    bool there, gone;
    uint32_t lifts;
};
/* Floor k, from 0, of a bucket; false: it has not so many. A bucket's floors stay in it, but for
 * the new ones of twice as many, of which it is the one whose number has a bit less. */
bool floors_at(const struct floors *fl, size_t bucket, size_t k, struct floor_kept *out);

/* Back, in any order; what is known already stays where it is higher or later. */
enum floor_raised floors_put_back(struct floors *fl, const struct floor_kept *k, int64_t now_ms);
/* As floors_lift_match, of floors that were raised before; one of a number that is known is that
 * one. */
int floors_put_back_lift(struct floors *fl, struct shared_glob *g, uint32_t number,
                         int64_t until_ms) MUST_USE;
void floors_put_back_all(struct floors *fl, uint32_t lifts, uint32_t all_lifted,
                         int64_t doubt_until_ms);

#endif
