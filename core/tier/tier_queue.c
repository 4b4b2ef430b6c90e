#include "tier/tier_queue.h"

#include "base/hash.h"

#include <stdlib.h>

int tier_queue_init(struct tier_queue *q, size_t max_bytes, struct err *e)
{
    *q = (struct tier_queue){.max_bytes = max_bytes};
    list_init(&q->waiting);
    pthread_mutex_init(&q->lock, NULL);
    q->lists = malloc(TIER_QUEUE_LISTS * sizeof *q->lists);
    if (!q->lists)
        return err_set(e, ERR_NOMEM, "no memory for what waits to be written to the tier");
    for (size_t i = 0; i < TIER_QUEUE_LISTS; i++)
        list_init(&q->lists[i]);
    return 0;
}

static struct list *list_of(struct tier_queue *q, uint64_t hash)
{
    return &q->lists[hash_tier_queue(hash, TIER_QUEUE_LISTS)];
}

/* waiting: only one that waits. NULL: there is none. */
static struct tier_item *find(struct tier_queue *q, struct slice key, uint64_t hash, bool waiting)
{
    list_for_each (link, list_of(q, hash)) {
        struct tier_item *i = container_of(link, struct tier_item, chain);
        if (i->v.hash == hash && slice_eq(i->v.key, key) && !(waiting && i->in_air))
            return i;
    }
    return NULL;
}

static void drop(struct tier_queue *q, struct tier_item *i)
{
    list_remove(&i->chain);
    list_remove(&i->link);
    q->bytes -= i->size;
    if (!i->in_air)
        q->count--;
    tier_item_free(i);
}

void tier_queue_fini(struct tier_queue *q)
{
    for (size_t i = 0; q->lists && i < TIER_QUEUE_LISTS; i++)
        while (!list_empty(&q->lists[i]))
            drop(q, container_of(q->lists[i].next, struct tier_item, chain));
    free(q->lists);
    q->lists = NULL;
    pthread_mutex_destroy(&q->lock);
}

/* A mark takes every value's place: it is about all that was loaded before it. */
static bool is_newer(const struct tier_value *before, const struct tier_value *v)
{
    return !v->gone && before->has_version && v->has_version && before->version > v->version;
}

static enum tier_queued put_locked(struct tier_queue *q, const struct tier_slots *slots,
                                   struct tier_item *i)
{
    if (!i->v.gone && tier_slots_of(slots, i->v.hash) > i->v.seen)
        return TIER_OVERTAKEN;
    struct tier_item *before = find(q, i->v.key, i->v.hash, true);
    if (before && is_newer(&before->v, &i->v))
        return TIER_OVERTAKEN;
    if (before)
        drop(q, before);
    if (q->bytes + i->size > q->max_bytes)
        return TIER_FULL;
    list_push_back(&q->waiting, &i->link);
    list_push_back(list_of(q, i->v.hash), &i->chain);
    q->bytes += i->size;
    q->count++;
    return TIER_QUEUED;
}

enum tier_queued tier_queue_put(struct tier_queue *q, const struct tier_slots *slots,
                                struct tier_item *i, size_t *count)
{
    pthread_mutex_lock(&q->lock);
    enum tier_queued queued = put_locked(q, slots, i);
    *count = q->count;
    pthread_mutex_unlock(&q->lock);
    if (queued != TIER_QUEUED)
        tier_item_free(i);
    return queued;
}

size_t tier_queue_take(struct tier_queue *q, size_t most, struct list *out)
{
    size_t n = 0;
    struct list *link;
    pthread_mutex_lock(&q->lock);
    while (n < most && (link = list_pop_front(&q->waiting))) {
        container_of(link, struct tier_item, link)->in_air = true;
        list_push_back(out, link);
        n++;
    }
    q->count -= n;
    pthread_mutex_unlock(&q->lock);
    return n;
}

void tier_queue_settle(struct tier_queue *q, struct list *items, bool again)
{
    struct list back, *link;
    list_init(&back);
    pthread_mutex_lock(&q->lock);
    while ((link = list_pop_front(items))) {
        struct tier_item *i = container_of(link, struct tier_item, link);
        if (!again || find(q, i->v.key, i->v.hash, true)) {
            drop(q, i);
            continue;
        }
        i->in_air = false;
        q->count++;
        list_push_back(&back, link);
    }
    list_splice(&back, &q->waiting);
    list_splice(&q->waiting, &back);
    pthread_mutex_unlock(&q->lock);
}

void tier_queue_drop(struct tier_queue *q, struct tier_item *i)
{
    pthread_mutex_lock(&q->lock);
    drop(q, i);
    pthread_mutex_unlock(&q->lock);
}

bool tier_queue_has(struct tier_queue *q, struct slice key, uint64_t hash)
{
    pthread_mutex_lock(&q->lock);
    bool has = find(q, key, hash, false) != NULL;
    pthread_mutex_unlock(&q->lock);
    return has;
}

void tier_queue_read(struct tier_queue *q, size_t *count, size_t *bytes)
{
    pthread_mutex_lock(&q->lock);
    *count = q->count;
    *bytes = q->bytes;
    pthread_mutex_unlock(&q->lock);
}
