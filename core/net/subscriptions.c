#include "net/subscriptions.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

struct subscriptions *subscriptions_new(uint64_t seed)
{
    struct subscriptions *s = calloc(1, sizeof *s);
    struct list *buckets = malloc(BUCKETS_FIRST * sizeof *buckets);
    if (!s || !buckets) {
        free(s);
        free(buckets);
        return NULL;
    }
    for (size_t i = 0; i < BUCKETS_FIRST; i++)
        list_init(&buckets[i]);
    s->buckets = buckets;
    s->bucket_count = BUCKETS_FIRST;
    s->seed = seed;
    list_init(&s->patterns);
    list_init(&s->subscribers);
    return s;
}

void subscriptions_free(struct subscriptions *s)
{
    if (!s)
        return;
    free(s->buckets);
    free(s);
}

static uint64_t hash_of(const struct subscriptions *s, enum subscription_kind kind,
                        struct slice text)
{
    return hash_slice(text, s->seed + (uint64_t)kind);
}

static struct list *bucket_of(const struct subscriptions *s, uint64_t hash)
{
    return &s->buckets[hash & (s->bucket_count - 1)];
}

/* Doubles the buckets where chains get long; without memory they stay long. */
static void grow(struct subscriptions *s)
{
    if (s->count < s->bucket_count * 2)
        return;
    size_t old_count = s->bucket_count;
    struct list *old = s->buckets, *link;
    struct list *fresh = malloc(old_count * 2 * sizeof *fresh);
    if (!fresh)
        return;
    for (size_t i = 0; i < old_count * 2; i++)
        list_init(&fresh[i]);
    s->buckets = fresh;
    s->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++)
        while ((link = list_pop_front(&old[i])))
            list_push_back(bucket_of(s, container_of(link, struct subscription, chain)->hash),
                           link);
    free(old);
}

static struct subscription *find_own(struct subscriptions *s, const struct subscriber *r,
                                     enum subscription_kind kind, struct slice text)
{
    uint64_t hash = hash_of(s, kind, text);
    struct list *chain = kind == SUBSCRIBED_PATTERN ? &s->patterns : bucket_of(s, hash);
    list_for_each (link, chain) {
        struct subscription *one = container_of(link, struct subscription, chain);
        if (one->subscriber == r && one->hash == hash && one->kind == kind &&
            slice_eq(subscription_text(one), text))
            return one;
    }
    return NULL;
}

int subscriptions_add(struct subscriptions *s, struct subscriber *r, enum subscription_kind kind,
                      struct slice text)
{
    if (find_own(s, r, kind, text))
        return 0;
    bool pattern = kind == SUBSCRIBED_PATTERN;
    struct subscription *one = calloc(1, sizeof *one + text.size * (pattern ? 2 : 1));
    struct glob *glob = one && pattern ? malloc(sizeof *glob) : NULL;
    if (!one || (pattern && !glob)) {
        free(one);
        return ERR_NOMEM;
    }
    one->subscriber = r;
    one->kind = kind;
    one->hash = hash_of(s, kind, text);
    one->size = (uint32_t)text.size;
    one->glob = glob;
    memcpy(one->text, text.data, text.size);
    if (pattern)
        glob_compile(glob, text, one->text + text.size);
    grow(s);
    list_push_back(pattern ? &s->patterns : bucket_of(s, one->hash), &one->chain);
    list_push_back(&r->all, &one->link);
    r->count[kind]++;
    s->count++;
    return 0;
}

static void drop(struct subscriptions *s, struct subscription *one)
{
    list_remove(&one->chain);
    list_remove(&one->link);
    one->subscriber->count[one->kind]--;
    s->count--;
    free(one->glob);
    free(one);
}

void subscriptions_remove(struct subscriptions *s, struct subscriber *r,
                          enum subscription_kind kind, struct slice text)
{
    struct subscription *one = find_own(s, r, kind, text);
    if (one)
        drop(s, one);
}

void subscriptions_cut(struct subscriptions *s, struct subscriber *r, uint32_t left)
{
    while (subscriber_count(r) > left)
        drop(s, container_of(r->all.prev, struct subscription, link));
}

void subscriptions_find(struct subscriptions *s, enum subscription_kind kind, struct slice text,
                        void (*tell)(struct subscriber *r, void *arg), void *arg)
{
    uint64_t hash = hash_of(s, kind, text);
    list_for_each (link, bucket_of(s, hash)) {
        struct subscription *one = container_of(link, struct subscription, chain);
        if (one->hash == hash && one->kind == kind && slice_eq(subscription_text(one), text))
            tell(one->subscriber, arg);
    }
}
