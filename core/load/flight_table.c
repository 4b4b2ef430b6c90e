/* The table of flights: shards, chains, and what is counted. */
#include "load/flight_priv.h"

#include <stdlib.h>

#define BUCKETS_FIRST 64

int flights_new(struct flights **out, const struct flights_options *o, struct err *e)
{
    *out = NULL;
    size_t size = sizeof(struct flights) + o->shards * sizeof(struct flight_shard);
    struct flights *fl = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!fl)
        return err_set(e, ERR_NOMEM, "no memory for %u flight shards", o->shards);
    memset(fl, 0, size);
    fl->store = o->store;
    fl->marks = o->marks;
    fl->admits = o->admits;
    fl->budget = o->budget;
    fl->slots = o->slots;
    fl->deliver = o->deliver;
    fl->failed_max = o->failed_max / o->shards + 1;
    for (unsigned i = 0; i < o->shards; i++) {
        struct flight_shard *s = &fl->shards[i];
        s->buckets = malloc(BUCKETS_FIRST * sizeof *s->buckets);
        if (!s->buckets || floors_init(&s->floors, o->floors_max / o->shards) != 0) {
            free(s->buckets);
            flights_free(fl);
            return err_set(e, ERR_NOMEM, "no memory for %u flight shards", o->shards);
        }
        s->bucket_count = BUCKETS_FIRST;
        for (size_t b = 0; b < BUCKETS_FIRST; b++)
            list_init(&s->buckets[b]);
        list_init(&s->failed);
        s->rng.state = o->seed + i;
        s->lossy_until_ms = o->lossy_until_ms;
        pthread_mutex_init(&s->lock, NULL);
        fl->shard_count = i + 1;
    }
    *out = fl;
    return 0;
}

void flights_free(struct flights *fl)
{
    if (!fl)
        return;
    for (unsigned i = 0; i < fl->shard_count; i++) {
        struct flight_shard *s = &fl->shards[i];
        for (size_t b = 0; b < s->bucket_count; b++) {
            struct list *link;
            while ((link = list_pop_front(&s->buckets[b])))
                flight_unref(container_of(link, struct flight, chain));
        }
        pthread_mutex_destroy(&s->lock);
        floors_fini(&s->floors);
        free(s->buckets);
    }
    free(fl);
}

static struct list *bucket_of(struct flight_shard *s, uint64_t hash)
{
    return &s->buckets[hash_flight_list(hash, s->bucket_count - 1)];
}

struct flight *flight_table_find(struct flight_shard *s, struct slice key, uint64_t hash)
{
    list_for_each (link, bucket_of(s, hash)) {
        struct flight *f = container_of(link, struct flight, chain);
        if (f->hash == hash && slice_eq(flight_key(f), key))
            return f;
    }
    return NULL;
}

/* Doubles the buckets where chains get long; without memory they stay long. */
static void grow(struct flight_shard *s)
{
    if (s->count < s->bucket_count * 2)
        return;
    size_t old_count = s->bucket_count;
    struct list *old = s->buckets;
    struct list *fresh = malloc(old_count * 2 * sizeof *fresh);
    if (!fresh)
        return;
    s->buckets = fresh;
    s->bucket_count = old_count * 2;
    for (size_t b = 0; b < s->bucket_count; b++)
        list_init(&fresh[b]);
    for (size_t b = 0; b < old_count; b++) {
        struct list *link;
        while ((link = list_pop_front(&old[b]))) {
            struct flight *f = container_of(link, struct flight, chain);
            list_push_back(bucket_of(s, f->hash), link);
        }
    }
    free(old);
}

void flight_table_add(struct flight_shard *s, struct flight *f)
{
    grow(s);
    list_push_back(bucket_of(s, f->hash), &f->chain);
    s->count++;
    if (f->loading)
        s->loading_count++;
}

void flight_table_drop(struct flight_shard *s, struct flight *f)
{
    list_remove(&f->chain);
    s->count--;
    if (f->loading) {
        s->loading_count--;
        f->detached = true;
    } else {
        list_remove(&f->failed);
        s->failed_count--;
    }
    flight_unref(f);
}

void flight_uncount(struct flights *fl, const struct flight *f)
{
    if (f->asked.reason == REASON_PREFETCH)
        atomic_fetch_sub_explicit(&fl->prefetching[f->asked.owner], 1, memory_order_relaxed);
}

uint32_t flights_prefetching(const struct flights *fl, uint16_t owner)
{
    return atomic_load_explicit(&fl->prefetching[owner], memory_order_relaxed);
}

void flights_read_stats(struct flights *fl, struct flights_stats *out)
{
    *out = (struct flights_stats){0};
    for (unsigned i = 0; i < fl->shard_count; i++) {
        struct flight_shard *s = &fl->shards[i];
        pthread_mutex_lock(&s->lock);
        out->loading += s->loading_count;
        out->failed += s->failed_count;
        out->failed_dropped += s->failed_dropped;
        out->floors += s->floors.count;
        out->floors_dropped += s->floors.dropped;
        if (s->lossy_until_ms > out->lossy_until_ms)
            out->lossy_until_ms = s->lossy_until_ms;
        pthread_mutex_unlock(&s->lock);
    }
}
