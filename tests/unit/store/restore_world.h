/*
 * restore_world: one record, and its way back into a store.
 */
#ifndef RTCACHE_TESTS_STORE_RESTORE_WORLD_H
#define RTCACHE_TESTS_STORE_RESTORE_WORLD_H

#include "dump_world.h"
#include "store_world.h"

#define START   1000000
#define FOREVER STORE_FOREVER_MS
#define DAY     INT64_C(86400000)

static const struct restore proven = {.as = RESTORED_PROVEN};
static const struct restore candidate = {.as = RESTORED_CANDIDATE};

/* "k", which was stored 100 ms ago with a ttl of 1000, stale for 500 more and kept for 2000. */
static inline struct record record_of(void)
{
    return (struct record){
        .key = slice_str("k"),
        .value = slice_str("value"),
        .has_version = true,
        .version = 7,
        .age_ms = 100,
        .fresh_left_ms = 900,
        .stale_ttl_ms = 500,
        .keep_ms = 2000,
    };
}

static inline bool restore(struct store *s, const struct record *r, const struct restore *how,
                           int64_t now)
{
    bool stored;
    assert_int_equal(store_restore(s, r, how, now, &stored, NULL), 0);
    return stored;
}

/* As a load sees what is stored. */
static inline enum lookup look_for_load(struct store *s, const char *key, int64_t now,
                                        struct hit *hit)
{
    return get(s, key, now, WANT_PEEK | WANT_STALE | WANT_KEPT | WANT_CANDIDATE, NULL, hit);
}

#endif
