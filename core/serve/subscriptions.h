/*
 * subscriptions: who subscribed to which keys, patterns and tags, of one I/O thread.
 *
 *   text --hash--> topic --> subscription, subscription ... --> subscriber (one per owner)
 *   key --glob_index--> topics of patterns ---^
 *
 * Shape: a topic takes 88 bytes and its text, a pattern's 200 more; a subscription 72. Adding and
 * removing are O(text bytes); finding those of a key or a tag is O(1), those of the patterns that
 * match a key as glob_index.h says. Who may be concerned by a pattern is found by a look at all
 * subscriptions. Thread: the I/O thread's. Limits: the caller's; one walk at a time.
 */
#ifndef RTCACHE_SERVE_SUBSCRIPTIONS_H
#define RTCACHE_SERVE_SUBSCRIPTIONS_H

#include "base/chains.h"
#include "base/err.h"
#include "base/glob_index.h"
#include "base/list.h"

#include <stdint.h>

enum subscription_kind { SUBSCRIBED_KEY, SUBSCRIBED_PATTERN, SUBSCRIBED_TAG, SUBSCRIBED_KINDS };

struct subscriber {
    struct list link; /* subscriptions->subscribers */
    struct list mine; /* its subscriptions, in their order */
    void *owner;      /* who is told; NULL: it has left */
    uint32_t count[SUBSCRIBED_KINDS];
    size_t bytes; /* of its subscriptions, as if it were alone with their texts */
    uint64_t id;
    uint64_t added, settled; /* numbers of subscriptions: the last one, and the last that counts */
    uint64_t told;           /* the number of the last event that it was met in */
    bool lost;               /* it was not told of one, and has to hear that */
};

/* What subscribers may be concerned by. */
enum subscriptions_event {
    EVENT_KEY,
    EVENT_TAG,   /* its subscribers, and all that have keys or patterns: those may carry it */
    EVENT_MATCH, /* a pattern: who has a key that it matches, a pattern that may overlap, or a tag
                  */
    EVENT_ALL,
};

struct subscriptions_walk {
    enum subscriptions_event event;
    struct slice text;
    struct glob glob; /* of MATCH */
    char room[GLOB_MAX];
    struct list_walk topic, all, mine;
    struct subscriber *of; /* mine's */
    bool indexed;          /* the patterns that match text are still to be seen */
};

struct subscriptions {
    struct chains topics, own;
    struct glob_index *patterns;
    struct list subscribers;
    size_t count;
    uint64_t events, ids;
    uint64_t seed; /* of the keyed hash */
    struct subscriptions_walk walk;
};

struct subscriptions *subscriptions_new(uint64_t seed); /* NULL: no memory */
/* No subscriber may be left that was not removed; NULL is allowed. */
void subscriptions_free(struct subscriptions *s);

static inline uint32_t subscriber_count(const struct subscriber *r)
{
    return r->count[SUBSCRIBED_KEY] + r->count[SUBSCRIBED_PATTERN] + r->count[SUBSCRIBED_TAG];
}

void subscriptions_enter(struct subscriptions *s, struct subscriber *r); /* r is {0} */
/* r has no subscription any more. */
void subscriptions_leave(struct subscriptions *s, struct subscriber *r);

/* One more; the same one twice counts once. It is met by walks after subscriptions_settle. A
 * pattern has passed glob_check. ERR_NOMEM. */
int subscriptions_add(struct subscriptions *s, struct subscriber *r, enum subscription_kind kind,
                      struct slice text) MUST_USE;
/* All that were added count from now on. */
void subscriptions_settle(struct subscriber *r);
/* One less, if it is there. */
void subscriptions_remove(struct subscriptions *s, struct subscriber *r,
                          enum subscription_kind kind, struct slice text);
/* The one that was added last, of which there is any. */
void subscriptions_remove_last(struct subscriptions *s, struct subscriber *r);

/* A walk over those whom an event concerns, each of them once. text is borrowed until its end.
 * Between its steps everything may change. */
void subscriptions_begin(struct subscriptions *s, enum subscriptions_event event,
                         struct slice text);
/* One small step; *r: whom it met, or NULL. false: the walk is over. */
bool subscriptions_step(struct subscriptions *s, struct subscriber **r);

#endif
