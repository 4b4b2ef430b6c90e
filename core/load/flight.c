#include "load/flight.h"

#include "base/rng.h"
#include "load/spread.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct list *buckets; /* a power of two of them */
    size_t bucket_count;
    size_t count;
    struct list failed; /* oldest first */
    size_t failed_count, failed_dropped, loading_count;
    struct rng rng;
};

struct flights {
    struct store *store;
    unsigned shard_count, slots;
    size_t failed_max; /* per shard */
    void (*deliver)(struct message *m, void *owner);
    struct shard shards[];
};

/* ---- one flight ---- */

static char *key_at(struct flight *f)
{
    return (char *)(f->slots + f->slot_count);
}

struct slice flight_key(const struct flight *f)
{
    return slice_of(f->slots + f->slot_count, f->key_size);
}

void flight_ref(struct flight *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

void flight_unref(struct flight *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    entry_unref(f->value);
    free(f->err);
    free(f);
}

void flight_error(const struct flight *f, struct err *e)
{
    if (f->err)
        *e = *f->err;
    else
        err_set(e, f->err_code, "the load failed");
    e->retry_after_ms = f->retry_after_ms;
}

static struct flight *flight_new(const struct flights *fl, const struct join_request *q)
{
    size_t slots_size = fl->slots * sizeof(struct flight_slot);
    struct flight *f = calloc(1, sizeof *f + slots_size + q->key.size);
    if (!f)
        return NULL;
    list_init(&f->chain);
    list_init(&f->failed);
    atomic_init(&f->refs, 2); /* the table's and the load's */
    f->hash = q->hash;
    f->generation = q->generation;
    f->loading = true;
    f->background = !q->waiter;
    f->slot_count = fl->slots;
    f->key_size = (uint32_t)q->key.size;
    for (unsigned i = 0; i < fl->slots; i++) {
        f->slots[i].flight = f;
        f->slots[i].message.recv = fl->deliver;
        list_init(&f->slots[i].waiters);
    }
    memcpy(key_at(f), q->key.data, q->key.size);
    return f;
}

/* ---- the table ---- */

int flights_new(struct flights **out, const struct flights_options *o, struct err *e)
{
    *out = NULL;
    size_t size = sizeof(struct flights) + o->shards * sizeof(struct shard);
    struct flights *fl = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!fl)
        return err_set(e, ERR_NOMEM, "no memory for %u flight shards", o->shards);
    memset(fl, 0, size);
    fl->store = o->store;
    fl->slots = o->slots;
    fl->deliver = o->deliver;
    fl->failed_max = o->failed_max / o->shards + 1;
    for (unsigned i = 0; i < o->shards; i++) {
        struct shard *s = &fl->shards[i];
        s->buckets = malloc(BUCKETS_FIRST * sizeof *s->buckets);
        if (!s->buckets) {
            flights_free(fl);
            return err_set(e, ERR_NOMEM, "no memory for %u flight shards", o->shards);
        }
        s->bucket_count = BUCKETS_FIRST;
        for (size_t b = 0; b < BUCKETS_FIRST; b++)
            list_init(&s->buckets[b]);
        list_init(&s->failed);
        s->rng.state = o->seed + i;
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
        struct shard *s = &fl->shards[i];
        for (size_t b = 0; b < s->bucket_count; b++) {
            struct list *link;
            while ((link = list_pop_front(&s->buckets[b])))
                flight_unref(container_of(link, struct flight, chain));
        }
        pthread_mutex_destroy(&s->lock);
        free(s->buckets);
    }
    free(fl);
}

/* The hash's low bits pick the store's slots; the flights take others. */
static struct shard *shard_of(struct flights *fl, uint64_t hash)
{
    return &fl->shards[(hash >> 40) & (fl->shard_count - 1)];
}

static struct list *bucket_of(struct shard *s, uint64_t hash)
{
    return &s->buckets[(hash >> 16) & (s->bucket_count - 1)];
}

static struct flight *table_find(struct shard *s, struct slice key, uint64_t hash)
{
    list_for_each (link, bucket_of(s, hash)) {
        struct flight *f = container_of(link, struct flight, chain);
        if (f->hash == hash && slice_eq(flight_key(f), key))
            return f;
    }
    return NULL;
}

/* Doubles the buckets where chains get long; without memory they stay long. */
static void table_grow(struct shard *s)
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

static void table_add(struct shard *s, struct flight *f)
{
    table_grow(s);
    list_push_back(bucket_of(s, f->hash), &f->chain);
    s->count++;
    if (f->loading)
        s->loading_count++;
}

/* Takes f out of the table and drops the table's reference. */
static void table_drop(struct shard *s, struct flight *f)
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

/* ---- joining and leaving ---- */

static void park(struct flight *f, const struct join_request *q)
{
    if (!q->waiter)
        return;
    q->waiter->flight = f;
    q->waiter->hash = q->hash;
    list_push_back(&f->slots[q->slot].waiters, &q->waiter->link);
    f->waiter_count++;
}

static enum join start(struct flights *fl, struct shard *s, const struct join_request *q,
                       struct flight *failed, struct join_result *out)
{
    struct flight *f = flight_new(fl, q);
    if (!f)
        return JOIN_NOMEM;
    if (failed) {
        f->failures = failed->failures;
        table_drop(s, failed);
    }
    table_add(s, f);
    park(f, q);
    out->flight = f;
    return JOIN_STARTED;
}

static enum join join_locked(struct flights *fl, struct shard *s, const struct join_request *q,
                             struct join_result *out)
{
    /* The load may just have ended: look again, now that no load of this key can end. */
    if (q->waiter && !q->reload) {
        out->lookup = store_get(fl->store, q->key, q->hash, q->now_ms, 0, q->out, &out->hit);
        if (out->lookup == LOOKUP_FRESH || out->lookup == LOOKUP_NEGATIVE)
            return JOIN_HIT;
    }
    struct flight *f = table_find(s, q->key, q->hash);
    if (f && f->loading && f->generation < q->generation) {
        table_drop(s, f);
        f = NULL;
    }
    if (f && f->loading) {
        if (q->waiter && f->waiter_count >= q->max_waiters)
            return JOIN_FULL;
        park(f, q);
        return JOIN_PARKED;
    }
    if (f && q->now_ms < f->retry_at_ms) {
        flight_error(f, &out->err);
        out->err.retry_after_ms = (int32_t)(f->retry_at_ms - q->now_ms);
        return JOIN_BACKOFF;
    }
    return start(fl, s, q, f, out);
}

enum join flights_join(struct flights *fl, const struct join_request *q, struct join_result *out)
{
    struct shard *s = shard_of(fl, q->hash);
    pthread_mutex_lock(&s->lock);
    enum join joined = join_locked(fl, s, q, out);
    pthread_mutex_unlock(&s->lock);
    return joined;
}

bool flights_leave(struct flights *fl, struct waiter *w)
{
    struct shard *s = shard_of(fl, w->hash);
    pthread_mutex_lock(&s->lock);
    bool parked = w->flight != NULL;
    if (parked) {
        list_remove(&w->link);
        w->flight->waiter_count--;
        w->flight = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return parked;
}

/* ---- the load's side ---- */

bool flights_begin(struct flights *fl, struct flight *f, uint64_t generation, bool queued)
{
    struct shard *s = shard_of(fl, f->hash);
    pthread_mutex_lock(&s->lock);
    bool wanted = f->waiter_count > 0 || f->background || !queued;
    if (wanted)
        f->generation = generation;
    else if (!f->detached)
        table_drop(s, f);
    pthread_mutex_unlock(&s->lock);
    return wanted;
}

static bool store_outcome(struct flights *fl, struct flight *f, const struct outcome *o,
                          int64_t now_ms)
{
    struct put p = {
        .key = flight_key(f),
        .hash = f->hash,
        .value = o->value,
        .negative = o->end == END_ABSENT,
        .has_version = o->has_version,
        .version = o->version,
        .ttl_ms = o->ttl_ms,
        .stale_ttl_ms = o->stale_ttl_ms,
        .keep_ms = o->keep_ms,
        .load_us = o->load_us,
    };
    if (o->store && !(p.negative && p.ttl_ms <= 0))
        return store_put(fl->store, &p, now_ms, NULL) == 0;
    /* Not to be kept: then what was stored is known to be old. */
    store_remove(fl->store, p.key, p.hash, now_ms);
    return false;
}

static void enter_backoff(struct flights *fl, struct shard *s, struct flight *f,
                          const struct outcome *o, int64_t now_ms)
{
    f->failures++;
    f->retry_at_ms =
        now_ms + spread_backoff_ms(f->failures, o->backoff_base_ms, o->backoff_cap_ms, &s->rng);
    f->retry_after_ms = (int32_t)(f->retry_at_ms - now_ms);
    if (f->detached) {
        if (table_find(s, flight_key(f), f->hash))
            return; /* a newer flight speaks for the key */
        flight_ref(f);
        f->detached = false;
        f->loading = false;
        table_add(s, f);
    } else {
        f->loading = false;
        s->loading_count--;
    }
    list_push_back(&s->failed, &f->failed);
    s->failed_count++;
    if (s->failed_count > fl->failed_max) {
        s->failed_dropped++;
        table_drop(s, container_of(s->failed.next, struct flight, failed));
    }
}

static void keep_outcome(struct flight *f, const struct outcome *o)
{
    f->end = o->end;
    f->has_version = o->has_version;
    f->version = o->version;
    f->ttl_ms = o->ttl_ms;
    f->load_us = o->load_us;
    f->retry_after_ms = -1;
    if (o->err) {
        f->err_code = o->err->code;
        f->retry_after_ms = o->err->retry_after_ms;
        f->err = malloc(sizeof *f->err);
        if (f->err)
            *f->err = *o->err;
    }
    if (o->end == END_FOUND) {
        f->value = entry_new_value(o->value);
        if (!f->value) {
            f->end = END_REFUSED;
            f->err_code = ERR_NOMEM;
        }
    }
}

void flights_end(struct flights *fl, struct flight *f, const struct outcome *o, int64_t now_ms,
                 bool *stored)
{
    struct shard *s = shard_of(fl, f->hash);
    *stored = false;
    keep_outcome(f, o); /* nobody else reads it before the end of this function */
    pthread_mutex_lock(&s->lock);
    if (o->end == END_FAILED) {
        enter_backoff(fl, s, f, o, now_ms);
    } else if (!f->detached) {
        if (o->end != END_REFUSED && f->generation >= o->generation)
            *stored = store_outcome(fl, f, o, now_ms);
        table_drop(s, f);
    }
    for (unsigned i = 0; i < f->slot_count; i++) {
        if (list_empty(&f->slots[i].waiters))
            continue;
        flight_ref(f);
        list_for_each (link, &f->slots[i].waiters) {
            container_of(link, struct waiter, link)->flight = NULL;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- changes from outside ---- */

static void detach(struct shard *s, struct slice key, uint64_t hash)
{
    struct flight *f = table_find(s, key, hash);
    if (f && f->loading)
        table_drop(s, f);
}

bool flights_invalidate(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms)
{
    struct shard *s = shard_of(fl, hash);
    pthread_mutex_lock(&s->lock);
    detach(s, key, hash);
    bool was_there = store_remove(fl->store, key, hash, now_ms);
    pthread_mutex_unlock(&s->lock);
    return was_there;
}

int flights_set(struct flights *fl, const struct put *p, int64_t now_ms, struct err *e)
{
    struct shard *s = shard_of(fl, p->hash);
    pthread_mutex_lock(&s->lock);
    struct flight *f = table_find(s, p->key, p->hash);
    if (f)
        table_drop(s, f);
    int rc = store_put(fl->store, p, now_ms, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void flights_read_stats(struct flights *fl, struct flights_stats *out)
{
    *out = (struct flights_stats){0};
    for (unsigned i = 0; i < fl->shard_count; i++) {
        struct shard *s = &fl->shards[i];
        pthread_mutex_lock(&s->lock);
        out->loading += s->loading_count;
        out->failed += s->failed_count;
        out->failed_dropped += s->failed_dropped;
        pthread_mutex_unlock(&s->lock);
    }
}
