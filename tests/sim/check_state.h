/*
 * check_state: what the checker knows at a point of the history; check.c keeps it, check_get.c asks
 * it. Nobody else includes it. An order is an event's place plus one; 0: never.
 */
#ifndef RTCACHE_SIM_CHECK_STATE_H
#define RTCACHE_SIM_CHECK_STATE_H

#include "check.h"

#define CHECK_VERSIONS 256

/* An attempt of a load, a set or a put: what brought a value or an absence. */
struct check_read {
    size_t began, ended, asked; /* asked: of a put */
    int64_t began_ms, ended_ms, fresh_until_ms, dead_until_ms;
    int64_t version;
    int key, tags;
    bool absent, by_client, by_put, of_primary;
};

/* invalidate(key, v), or a write of v, was acknowledged. */
struct check_promise {
    size_t order, lost, forgotten; /* lost: its floor went early, and the source may lag;
                                      forgotten: it went early */
    int64_t at_ms, version, shown;
    bool gone;
};

struct check_doubt {
    size_t order;
    int64_t until_ms;
};

struct check_key {
    enum source_kind kind;
    bool versioned;
    int64_t head, shown, applied;
    bool absent[CHECK_VERSIONS];
    struct check_promise promises[CHECK_PROMISES];
    size_t promise_count;
    struct check_doubt doubts[CHECK_DOUBTS];
    size_t doubt_count;
    size_t plain, any, match, soft_match, expired, touched, set;
    int64_t touch_fresh_ms, touch_dead_ms;
    int load;           /* the one that is not void; 0: none */
    int64_t generation; /* that it was sent under: a newer one does not wait for it */
    int write;          /* the one that its source was asked for; 0: none */
    bool told;          /* what the source has now, the cache has or will load */
};

struct check_open {
    bool open, has_min, refresh;
    int key;
    int64_t min, shown;
    size_t began, plain, any, match, tags[HISTORY_TAGS];
};

struct check {
    const struct history *history;
    struct finding *finding;
    struct check_key keys[HISTORY_KEYS];
    struct check_read reads[HISTORY_READS];
    struct check_open gets[CHECK_GETS + 1];
    size_t tags[HISTORY_TAGS], soft_tags[HISTORY_TAGS];
    size_t reloaded, settled;
    int64_t floor_ttl_ms, started_until_ms; /* till then a write from before may take place */
    bool strong;
};

/* Event i, of key, breaks rule; because is an order, 0: none. Returns false. */
bool check_broken(struct check *c, enum check_rule rule, size_t i, int key, size_t because);

/* Whether the answer of event i is one that its get may have. */
bool check_answer(struct check *c, size_t i);

#endif
