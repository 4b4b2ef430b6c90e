/*
 * subscriptions: who subscribed to which keys, patterns and tags, of one I/O thread.
 *
 *   text --hash--> subscription of a key or a tag --.
 *   list of subscriptions of patterns ---------------+--> subscriber (one per connection)
 *
 * Shape: 88 bytes and the text each, 300 more for a pattern. Finding those of a key or a tag is
 * O(1); a pattern is compared one by one. Thread: the I/O thread's. Limits: the caller's.
 */
#ifndef RTCACHE_NET_SUBSCRIPTIONS_H
#define RTCACHE_NET_SUBSCRIPTIONS_H

#include "base/err.h"
#include "base/glob.h"
#include "base/list.h"

#include <stdint.h>

struct conn;

enum subscription_kind { SUBSCRIBED_KEY, SUBSCRIBED_PATTERN, SUBSCRIBED_TAG, SUBSCRIBED_KINDS };

struct subscriber {
    struct list link; /* subscriptions->subscribers */
    struct list all;  /* its subscriptions */
    struct conn *conn;
    uint32_t count[SUBSCRIBED_KINDS];
    uint64_t told; /* the number of the last event that it was told of */
    bool lost;     /* it was not told of one, and has to hear that */
};

struct subscription {
    struct list chain; /* of a bucket, or of patterns */
    struct list link;  /* subscriber->all */
    struct subscriber *subscriber;
    uint64_t hash;
    enum subscription_kind kind;
    struct glob *glob; /* PATTERN: behind the text */
    uint32_t size;
    char text[];
};

struct subscriptions {
    struct list *buckets;
    size_t bucket_count, count;
    struct list patterns;
    struct list subscribers;
    uint64_t events;
    uint64_t seed; /* of the keyed hash */
};

struct subscriptions *subscriptions_new(uint64_t seed); /* NULL: no memory */
void subscriptions_free(struct subscriptions *s); /* no subscriber may be left; NULL is allowed */

static inline struct slice subscription_text(const struct subscription *s)
{
    return slice_of(s->text, s->size);
}

static inline uint32_t subscriber_count(const struct subscriber *r)
{
    return r->count[SUBSCRIBED_KEY] + r->count[SUBSCRIBED_PATTERN] + r->count[SUBSCRIBED_TAG];
}

/* One more; the same one twice counts once. A pattern has passed glob_check. ERR_NOMEM. */
int subscriptions_add(struct subscriptions *s, struct subscriber *r, enum subscription_kind kind,
                      struct slice text) MUST_USE;
/* One less, if it is there. */
void subscriptions_remove(struct subscriptions *s, struct subscriber *r,
                          enum subscription_kind kind, struct slice text);
/* All but the first `left` of r's. */
void subscriptions_cut(struct subscriptions *s, struct subscriber *r, uint32_t left);

/* Calls tell for each subscription to this very key or tag. */
void subscriptions_find(struct subscriptions *s, enum subscription_kind kind, struct slice text,
                        void (*tell)(struct subscriber *r, void *arg), void *arg);

#endif
