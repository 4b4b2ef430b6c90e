/*
 * check: whether a history keeps what docs/consistency.md promises. It knows the events and the
 * promises, and nothing of how they are kept.
 *
 * Shape: one walk over the events, with what was promised so far per key; the first event that
 * breaks a rule ends it. Thread: its owner's. Limits: of history.h, and CHECK_* a key; what is past
 * one of these is not held against the server.
 */
#ifndef RTCACHE_SIM_CHECK_H
#define RTCACHE_SIM_CHECK_H

#include "history.h"

#define CHECK_PROMISES 256
#define CHECK_DOUBTS   64
#define CHECK_GETS     1024

/* name, what it says */
#define CHECK_RULES(X)                                                                             \
    X(RULE_NONE, "none")                                                                           \
    X(RULE_BYTES, "a value is what the source had at its version")                                 \
    X(RULE_PLAIN, "after invalidate(key) nothing is returned whose load began before")             \
    X(RULE_TAG, "after invalidate_tag nothing with the tag is returned whose load began before")   \
    X(RULE_MATCH, "after invalidate_match no key of it is returned whose load began before")       \
    X(RULE_FLOOR, "after invalidate(key, v), or a put of v, no version below v is returned")       \
    X(RULE_NEGATIVE, "any invalidation kills a negative entry")                                    \
    X(RULE_ABSENT, "under a floor an absence is as new as what the primary showed")                \
    X(RULE_KEPT, "under a floor an absence is not kept")                                           \
    X(RULE_MIN, "min_version is obeyed")                                                           \
    X(RULE_REFRESH, "a refresh is answered by a load, not from memory")                            \
    X(RULE_DOUBT, "while a write is in doubt nothing that is loaded is kept")                      \
    X(RULE_FRESH, "what is past its ttl, or expired, is marked stale")                             \
    X(RULE_BOUND, "nothing is served past its stale_ttl and stale_if_error")                       \
    X(RULE_BACK, "what is stored does not go back to a lower version")                             \
    X(RULE_OVERTAKEN, "a load that began before a set is not stored after it")                     \
    X(RULE_SCRIPT, "what older scripts loaded, or wrote, is not stored")                           \
    X(RULE_START, "what is loaded soon after a start is fresh no longer than a write may take")    \
    X(RULE_WRITES, "a key has one write at a time")                                                \
    X(RULE_SINGLE, "a key has one load at a time")                                                 \
    X(RULE_ENDS, "every get and every write ends")                                                 \
    X(RULE_QUIET, "what was told of is in the cache as it is in the source, or is gone")           \
    X(RULE_SETTLED, "at the end a get returns what the source has")

enum check_rule {
#define CHECK_ENUM(name, text) name,
    CHECK_RULES(CHECK_ENUM)
#undef CHECK_ENUM
        CHECK_RULE_COUNT
};

struct finding {
    enum check_rule rule;
    size_t at; /* the event */
    int key;
    size_t because; /* the event that promised otherwise, where there is one */
};

struct check;
struct check *check_new(void);
void check_free(struct check *c);

/* Whether the history is in order; else *out is the first thing that is not. */
bool check_history(struct check *c, const struct history *h, struct finding *out);

const char *check_rule_text(enum check_rule rule);

#endif
