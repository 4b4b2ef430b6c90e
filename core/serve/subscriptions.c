#include "serve/subscriptions.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* All subscriptions to one text. */
struct topic {
    struct chain_link link;
    struct list subscriptions;
    uint32_t count;
    enum subscription_kind kind;
    struct glob_item pattern; /* of PATTERN */
    uint32_t size;
    char text[];
};

struct subscription {
    struct chain_link own; /* by topic and subscriber */
    struct list link;      /* topic->subscriptions */
    struct list mine;      /* subscriber->mine */
    struct subscriber *subscriber;
    struct topic *topic;
    uint64_t number; /* of its subscriber's */
};

static struct slice text_of(const struct topic *t)
{
    return slice_of(t->text, t->size);
}

struct subscriptions *subscriptions_new(uint64_t seed)
{
    struct subscriptions *s = calloc(1, sizeof *s);
    if (s)
        list_init(&s->subscribers);
    if (!s || chains_init(&s->topics) != 0 || chains_init(&s->own) != 0 ||
        !(s->patterns = glob_index_new(seed))) {
        subscriptions_free(s);
        return NULL;
    }
    s->seed = seed;
    return s;
}

void subscriptions_free(struct subscriptions *s)
{
    if (!s)
        return;
    glob_index_free(s->patterns);
    chains_fini(&s->topics);
    chains_fini(&s->own);
    free(s);
}

void subscriptions_enter(struct subscriptions *s, struct subscriber *r)
{
    r->id = ++s->ids;
    list_init(&r->mine);
    list_push_back(&s->subscribers, &r->link);
}

void subscriptions_leave(struct subscriptions *s, struct subscriber *r)
{
    list_walk_passes(&s->walk.all, &r->link);
    if (s->walk.of == r)
        s->walk.of = NULL;
    list_remove(&r->link);
}

void subscriptions_settle(struct subscriber *r)
{
    r->settled = r->added;
}

/* ---- topics ---- */

static uint64_t topic_hash(const struct subscriptions *s, enum subscription_kind kind,
                           struct slice text)
{
    return hash_slice(text, s->seed + (uint64_t)kind);
}

static struct topic *find_topic(const struct subscriptions *s, enum subscription_kind kind,
                                struct slice text)
{
    struct chain_link *l = chains_first(&s->topics, topic_hash(s, kind, text));
    for (; l; l = chains_next(l)) {
        struct topic *t = container_of(l, struct topic, link);
        if (t->kind == kind && slice_eq(text_of(t), text))
            return t;
    }
    return NULL;
}

static struct topic *topic_for(struct subscriptions *s, enum subscription_kind kind,
                               struct slice text)
{
    struct topic *t = find_topic(s, kind, text);
    if (t)
        return t;
    t = calloc(1, sizeof *t + text.size);
    if (!t)
        return NULL;
    if (kind == SUBSCRIBED_PATTERN && glob_index_add(s->patterns, &t->pattern, text) != 0) {
        free(t);
        return NULL;
    }
    t->link.hash = topic_hash(s, kind, text);
    t->kind = kind;
    t->size = (uint32_t)text.size;
    memcpy(t->text, text.data, text.size);
    list_init(&t->subscriptions);
    chains_add(&s->topics, &t->link);
    return t;
}

static void drop_topic(struct subscriptions *s, struct topic *t)
{
    list_walk_ends(&s->walk.topic, &t->subscriptions);
    glob_index_remove(s->patterns, &t->pattern);
    chains_remove(&s->topics, &t->link);
    free(t);
}

/* ---- subscriptions ---- */

#define INDEX_BYTES 200 /* what the index keeps for a pattern, about */

static size_t bytes_of(const struct topic *t)
{
    return sizeof(struct subscription) + sizeof *t + t->size +
           (t->kind == SUBSCRIBED_PATTERN ? INDEX_BYTES : 0);
}

static uint64_t own_hash(const struct topic *t, const struct subscriber *r)
{
    return hash_bytes(&r->id, sizeof r->id, t->link.hash);
}

static struct subscription *find_own(const struct subscriptions *s, const struct topic *t,
                                     const struct subscriber *r)
{
    for (struct chain_link *l = chains_first(&s->own, own_hash(t, r)); l; l = chains_next(l)) {
        struct subscription *one = container_of(l, struct subscription, own);
        if (one->topic == t && one->subscriber == r)
            return one;
    }
    return NULL;
}

int subscriptions_add(struct subscriptions *s, struct subscriber *r, enum subscription_kind kind,
                      struct slice text)
{
    struct topic *t = topic_for(s, kind, text);
    if (!t)
        return ERR_NOMEM;
    if (find_own(s, t, r))
        return 0;
    struct subscription *one = malloc(sizeof *one);
    if (!one) {
        if (t->count == 0)
            drop_topic(s, t);
        return ERR_NOMEM;
    }
    *one = (struct subscription){
        .own.hash = own_hash(t, r), .subscriber = r, .topic = t, .number = ++r->added};
    chains_add(&s->own, &one->own);
    list_push_back(&t->subscriptions, &one->link);
    list_push_back(&r->mine, &one->mine);
    t->count++;
    r->count[kind]++;
    r->bytes += bytes_of(t);
    s->count++;
    return 0;
}

static void drop(struct subscriptions *s, struct subscription *one)
{
    struct topic *t = one->topic;
    list_walk_passes(&s->walk.topic, &one->link);
    list_walk_passes(&s->walk.mine, &one->mine);
    chains_remove(&s->own, &one->own);
    list_remove(&one->link);
    list_remove(&one->mine);
    one->subscriber->count[t->kind]--;
    one->subscriber->bytes -= bytes_of(t);
    s->count--;
    free(one);
    if (--t->count == 0)
        drop_topic(s, t);
}

void subscriptions_remove(struct subscriptions *s, struct subscriber *r,
                          enum subscription_kind kind, struct slice text)
{
    const struct topic *t = find_topic(s, kind, text);
    struct subscription *one = t ? find_own(s, t, r) : NULL;
    if (one)
        drop(s, one);
}

void subscriptions_remove_last(struct subscriptions *s, struct subscriber *r)
{
    drop(s, container_of(r->mine.prev, struct subscription, mine));
}

/* ---- walks ---- */

void subscriptions_begin(struct subscriptions *s, enum subscriptions_event event, struct slice text)
{
    struct subscriptions_walk *w = &s->walk;
    s->events++;
    *w = (struct subscriptions_walk){.event = event, .text = text};
    struct topic *t = event == EVENT_KEY   ? find_topic(s, SUBSCRIBED_KEY, text)
                      : event == EVENT_TAG ? find_topic(s, SUBSCRIBED_TAG, text)
                                           : NULL;
    if (t)
        list_walk_begin(&w->topic, &t->subscriptions);
    if (event == EVENT_KEY) {
        glob_index_walk(s->patterns, text);
        w->indexed = true;
    } else {
        list_walk_begin(&w->all, &s->subscribers);
    }
    if (event == EVENT_MATCH)
        glob_compile(&w->glob, text, w->room);
}

/* r, unless this event has met it before, or nothing of it counts yet. */
static struct subscriber *meet(const struct subscriptions *s, struct subscriber *r)
{
    if (r->told == s->events || r->settled == 0 || !r->owner || subscriber_count(r) == 0)
        return NULL;
    r->told = s->events;
    return r;
}

static struct subscriber *meet_one(const struct subscriptions *s, const struct subscription *one)
{
    return one->number <= one->subscriber->settled ? meet(s, one->subscriber) : NULL;
}

/* Whether no key matches both: their literal beginnings differ. */
static bool excludes(const struct glob *a, const struct glob *b)
{
    struct slice x = glob_segment(a, 0), y = glob_segment(b, 0);
    size_t common = x.size < y.size ? x.size : y.size;
    return memcmp(x.data, y.data, common) != 0;
}

/* Whether what one subscribed to may be concerned by the pattern of the walk. */
static bool may_concern(const struct subscriptions_walk *w, const struct topic *t)
{
    if (t->kind == SUBSCRIBED_PATTERN)
        return !excludes(glob_item_glob(&t->pattern), &w->glob);
    return t->kind == SUBSCRIBED_KEY && glob_matches(&w->glob, text_of(t), NULL);
}

/* The next of w->of's subscriptions. */
static void step_mine(struct subscriptions *s, struct subscriber **r)
{
    struct subscriptions_walk *w = &s->walk;
    struct list *link = list_walk_next(&w->mine);
    const struct subscription *one = link ? container_of(link, struct subscription, mine) : NULL;
    if (one && may_concern(w, one->topic))
        *r = meet_one(s, one);
    if (!one || *r)
        w->of = NULL;
}

static void step_all(struct subscriptions *s, struct subscriber *next, struct subscriber **r)
{
    struct subscriptions_walk *w = &s->walk;
    uint32_t keys = next->count[SUBSCRIBED_KEY] + next->count[SUBSCRIBED_PATTERN];
    if (w->event == EVENT_MATCH && next->count[SUBSCRIBED_TAG] == 0) {
        w->of = next;
        list_walk_begin(&w->mine, &next->mine);
    } else if (w->event != EVENT_TAG || keys > 0) {
        *r = meet(s, next); /* of a pattern: who knows which keys carry its tags */
    }
}

bool subscriptions_step(struct subscriptions *s, struct subscriber **r)
{
    struct subscriptions_walk *w = &s->walk;
    struct glob_item *item;
    struct list *link = list_walk_next(&w->topic);
    *r = NULL;
    if (link) {
        *r = meet_one(s, container_of(link, struct subscription, link));
        return true;
    }
    if (w->indexed) {
        w->indexed = glob_index_step(s->patterns, &item);
        if (item)
            list_walk_begin(&w->topic, &container_of(item, struct topic, pattern)->subscriptions);
        return w->indexed;
    }
    if (w->of) {
        step_mine(s, r);
        return true;
    }
    link = list_walk_next(&w->all);
    if (link)
        step_all(s, container_of(link, struct subscriber, link), r);
    return link != NULL;
}
