/* Those who join flights and leave them, and how a load begins. */
#include "load/flight_priv.h"

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
    f->token.epoch = s->epoch;
    f->token.since = marks_now(fl->marks);
    f->token.doubtful = floors_doubtful(&s->floors, f->hash, now_ms);
}

static enum join start(struct flights *fl, struct flight_shard *s, const struct join_request *q,
                       struct flight *failed, struct join_result *out)
{
    struct flight *f = flight_new(q, fl->slots, fl->deliver);
    if (!f)
        return JOIN_NOMEM;
    if (failed) {
        f->failures = failed->failures;
        flight_table_drop(s, failed);
    }
    f->asked.nothing =
        q->waiter && !q->reload && out->lookup == LOOKUP_MISS; /* else it did not look */
    take_token(fl, s, f, q->now_ms);
    flight_table_add(s, f);
    park(f, q);
    if (f->asked.reason == REASON_PREFETCH)
        atomic_fetch_add_explicit(&fl->prefetching[f->asked.owner], 1, memory_order_relaxed);
    out->flight = f;
    return JOIN_STARTED;
}

static bool look_again(struct flights *fl, const struct join_request *q, struct join_result *out)
{
    size_t mark = q->out->size;
    out->lookup = store_get(fl->store, q->key, q->hash, q->now_ms, WANT_CANDIDATE,
                            q->held ? NULL : q->out, &out->hit);
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
    return f->outcome.err_code == ERR_STALE_SOURCE && f->token.epoch != s->epoch;
}

static enum join join_locked(struct flights *fl, struct flight_shard *s,
                             const struct join_request *q, struct join_result *out)
{
    /* The load may just have ended: look again, now that no load of this key can end. */
    if (q->waiter && !q->reload && look_again(fl, q, out))
        return JOIN_HIT;
    struct flight *f = flight_table_find(s, q->key, q->hash);
    if (f && f->loading &&
        (f->token.generation < q->generation ||
         marks_judge_key(fl->marks, q->key, f->token.since) == MARK_HARD)) {
        flight_table_drop(s, f);
        f = NULL;
    }
    if (f && f->loading) {
        if (q->waiter && f->waiter_count >= q->max_waiters)
            return JOIN_FULL;
        park(f, q);
        if (q->waiter && f->asked.background && !f->begun && !f->promoted) {
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
    out->wanted = f->waiter_count > 0 || f->asked.background || !b->queued;
    out->primary = f->asked.primary || b->now_ms < s->lossy_until_ms;
    out->detached = f->detached;
    if (out->wanted) {
        f->token.generation = b->generation;
        f->token.loader = b->loader;
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
    bool unwanted = f->waiter_count == 0 && !f->asked.background;
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
