/*
 * tier_item: what is to be written to the table for one key: a value, or the mark that it is gone.
 *
 * Shape: one allocation with its key, its packed value and its tags. Thread: its owner's; in a
 * queue that one's.
 */
#ifndef RTCACHE_TIER_TIER_ITEM_H
#define RTCACHE_TIER_TIER_ITEM_H

#include "base/list.h"
#include "base/slice.h"
#include "store/store.h"

#include <stdint.h>

#define TIER_KEY_MAX    2000                     /* bytes: an index of PostgreSQL takes 2,700 */
#define TIER_FOREVER_MS INT64_C(253402300799000) /* of the wall clock: the end of the year 9999 */

/* What it is made of. All is borrowed until tier_item_new returns. */
struct tier_value {
    struct slice key;
    uint64_t hash;
    bool gone; /* a mark: value, tags, stale_ms, keep_ms and load_us are nothing */
    struct slice packed;
    bool has_version;
    int64_t version;
    enum entry_tagged tagged;
    struct slice tags;               /* TEXTS: a packed str, or an array of them */
    int64_t loaded_wall_ms, wall_ms; /* when it was loaded, and its end of fresh (or of the mark),
                                           by the wall clock; TIER_FOREVER_MS */
    int64_t until_ms;                /* that end by clock_ms; INT64_MAX */
    int64_t stale_ms, keep_ms, load_us; /* stale_ms and keep_ms from the end of fresh */
    uint64_t since;                     /* marks_now when its load began */
    uint64_t seen;                      /* tier_slots_now when its load began */
    uint64_t print;                     /* of its loader (load/fingerprint.h) */
};

struct tier_item {
    struct list link;  /* the queue's order, or its taker's */
    struct list chain; /* the queue's list of its hash */
    bool in_air;
    size_t size; /* of all of it, in bytes */
    struct tier_value v;
    char data[];
};

/* Whether a row can have such a key: text, without NUL, within TIER_KEY_MAX. */
bool tier_item_can_have(struct slice key);
struct tier_item *tier_item_new(const struct tier_value *v); /* NULL: no memory */
void tier_item_free(struct tier_item *i);                    /* in no list; NULL is allowed */

#endif
