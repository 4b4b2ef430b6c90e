/* One flight, and those who join and leave it. */
#include "load/flight_priv.h"

#include <stdlib.h>

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
    struct flight *f = malloc(sizeof *f + slots_size + q->key.size);
    if (!f)
        return NULL;
    memset(f, 0, sizeof *f + slots_size);
    list_init(&f->chain);
    list_init(&f->failed);
    atomic_init(&f->refs, 2); /* the table's and the load's */
    f->hash = q->hash;
    f->generation = q->generation;
    f->loading = true;
    f->background = !q->waiter;
    f->reason = q->reason;
    f->bulk = q->bulk;
    f->wait_until_ms = q->wait_until_ms;
    f->replaces = q->replaces;
    f->owner = q->owner;
    f->ahead = q->ahead;
    f->primary = q->primary;
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

static void park(struct flight *f, const struct join_request *q)
{
    if (!q->waiter)
        return;
    q->waiter->flight = f;
    q->waiter->hash = q->hash;
    list_push_back(&f->slots[q->slot].waiters, &q->waiter->link);
    f->waiter_count++;
    f->joined = true;
}

/* An attempt begins: what it brings is judged by what is so now. */
static void take_token(const struct flights *fl, const struct flight_shard *s, struct flight *f,
                       int64_t now_ms)
{
    f->epoch = s->epoch;
    f->since = marks_now(fl->marks);
    f->doubtful = floors_doubtful(&s->floors, f->hash, now_ms);
}

static enum join start(struct flights *fl, struct flight_shard *s, const struct join_request *q,
                       struct flight *failed, struct join_result *out)
{
    struct flight *f = flight_new(fl, q);
    if (!f)
        return JOIN_NOMEM;
    if (failed) {
        f->failures = failed->failures;
        flight_table_drop(s, failed);
    }
    f->nothing = q->waiter && !q->reload && out->lookup == LOOKUP_MISS; /* else it did not look */
    take_token(fl, s, f, q->now_ms);
    flight_table_add(s, f);
    park(f, q);
    if (f->reason == REASON_PREFETCH)
        atomic_fetch_add_explicit(&fl->prefetching[f->owner], 1, memory_order_relaxed);
    out->flight = f;
    return JOIN_STARTED;
}

static bool look_again(struct flights *fl, const struct join_request *q, struct join_result *out)
{
    size_t mark = q->out->size;
    out->lookup =
        store_get(fl->store, q->key, q->hash, q->now_ms, 0, q->held ? NULL : q->out, &out->hit);
    if (out->lookup != LOOKUP_FRESH && out->lookup != LOOKUP_NEGATIVE)
        return false;
    if (!q->min_version || (out->hit.has_version && out->hit.version >= *q->min_version))
        return true;
    q->out->size = mark;
    entry_unref(out->hit.entry);
    return false;
}

/* It failed for a floor, and floors have gone since: the source may be asked at once. */
static bool is_lifted(const struct flight_shard *s, const struct flight *f)
{
    return f->err_code == ERR_STALE_SOURCE && f->epoch != s->epoch;
}

static enum join join_locked(struct flights *fl, struct flight_shard *s,
                             const struct join_request *q, struct join_result *out)
{
    /* The load may just have ended: look again, now that no load of this key can end. */
    if (q->waiter && !q->reload && look_again(fl, q, out))
        return JOIN_HIT;
    struct flight *f = flight_table_find(s, q->key, q->hash);
    if (f && f->loading &&
        (f->generation < q->generation ||
         marks_judge_key(fl->marks, q->key, f->since) == MARK_HARD)) {
        flight_table_drop(s, f);
        f = NULL;
    }
    if (f && f->loading) {
        if (q->waiter && f->waiter_count >= q->max_waiters)
            return JOIN_FULL;
        park(f, q);
        if (q->waiter && f->background && !f->begun && !f->promoted) {
            flight_ref(f);
            out->flight = f;
            out->promote = f->promoted = true;
        }
        return JOIN_PARKED;
    }
    if (f && q->now_ms < f->retry_at_ms && !is_lifted(s, f)) {
        flight_error(f, &out->err);
        out->err.retry_after_ms = (int32_t)(f->retry_at_ms - q->now_ms);
        return JOIN_BACKOFF;
    }
    return start(fl, s, q, f, out);
}

enum join flights_join(struct flights *fl, const struct join_request *q, struct join_result *out)
{
    struct flight_shard *s = flight_shard_of(fl, q->hash);
    pthread_mutex_lock(&s->lock);
    enum join joined = join_locked(fl, s, q, out);
    pthread_mutex_unlock(&s->lock);
    return joined;
}

void flight_uncount(struct flights *fl, const struct flight *f)
{
    if (f->reason == REASON_PREFETCH)
        atomic_fetch_sub_explicit(&fl->prefetching[f->owner], 1, memory_order_relaxed);
}

uint32_t flights_prefetching(const struct flights *fl, uint16_t owner)
{
    return atomic_load_explicit(&fl->prefetching[owner], memory_order_relaxed);
}

bool flights_leave(struct flights *fl, struct waiter *w)
{
    struct flight_shard *s = flight_shard_of(fl, w->hash);
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

void flights_begin(struct flights *fl, struct flight *f, const struct beginning *b,
                   struct begun *out)
{
    struct flight_shard *s = flight_shard_of(fl, f->hash);
    pthread_mutex_lock(&s->lock);
    out->wanted = f->waiter_count > 0 || f->background || !b->queued;
    out->primary = f->primary || b->now_ms < s->lossy_until_ms;
    out->detached = f->detached;
    if (out->wanted) {
        f->generation = b->generation;
        take_token(fl, s, f, b->now_ms);
        f->begun = true;
    } else {
        flight_uncount(fl, f);
        if (!f->detached)
            flight_table_drop(s, f);
    }
    pthread_mutex_unlock(&s->lock);
}

bool flights_abandon(struct flights *fl, struct flight *f)
{
    struct flight_shard *s = flight_shard_of(fl, f->hash);
    pthread_mutex_lock(&s->lock);
    bool unwanted = f->waiter_count == 0 && !f->background;
    if (unwanted)
        flight_uncount(fl, f);
    if (unwanted && !f->detached)
        flight_table_drop(s, f);
    pthread_mutex_unlock(&s->lock);
    return unwanted;
}

bool flights_again(struct flights *fl, struct flight *f, int64_t now_ms)
{
    struct flight_shard *s = flight_shard_of(fl, f->hash);
    pthread_mutex_lock(&s->lock);
    take_token(fl, s, f, now_ms);
    bool primary = now_ms < s->lossy_until_ms;
    pthread_mutex_unlock(&s->lock);
    return primary;
}
