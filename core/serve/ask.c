#include "serve/ask.h"

#include "base/show.h"
#include "load/route.h"
#include "serve/ask_priv.h"
#include "serve/parked.h"

void ask_refuse(const struct ask *q, int code, const char *what, struct ask_verdict *v)
{
    char text[SHOW_KEY_TEXT];
    err_set(&v->err, code, "%s: %s", show_key(text, q->key), what);
    v->kind = VERDICT_ERROR;
}

struct join_request ask_join_request(const struct asker *by, const struct ask *q,
                                     const struct ask_loader *l, int64_t now_ms)
{
    return (struct join_request){
        .key = q->key,
        .hash = q->hash,
        .now_ms = now_ms,
        .generation = l->generation,
        .loader = l->index,
        .max_waiters = l->policy->max_waiters,
        .slot = by->slot,
        .reason = REASON_MISS,
        .reload = q->strict,
        .min_version = q->has_min ? &q->min_version : NULL,
    };
}

void ask_misfit(const struct asker *by, struct ask_verdict *v)
{
    metrics_inc(by->metrics, M_MISFITS);
    v->kind = VERDICT_ABSENT;
    v->hit = (struct hit){0};
}

void ask_found(const struct asker *by, const struct join_result *joined, struct ask_verdict *v)
{
    bool negative = joined->lookup == LOOKUP_NEGATIVE;
    v->kind = negative ? VERDICT_ABSENT : VERDICT_VALUE;
    v->status = STATUS_HIT;
    v->hit = joined->hit;
    metrics_hit(by->metrics, v->hit.owner, negative ? HIT_NEGATIVE : HIT_FRESH);
}

/* Begins a load that nobody waits for. false: the key is in backoff, err has why. */
static bool begin(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                  int64_t now_ms, enum load_reason reason, struct ask_verdict *v)
{
    struct join_request r = ask_join_request(by, q, l, now_ms);
    struct join_result joined = {0};
    r.reason = reason;
    r.bulk = q->bulk;
    /* Who asks for a refresh, or for the rest of a partial answer, wants it stored in any case. */
    r.replaces = reason != REASON_MISS && !q->strict;
    enum join join = flights_join(by->flights, &r, &joined);
    v->flight = join == JOIN_STARTED ? joined.flight : NULL;
    v->promote = false;
    if (join == JOIN_BACKOFF)
        v->err = joined.err;
    return join != JOIN_BACKOFF;
}

/* A read found nothing that it could take; first: its load began with it. */
static void count_wait(const struct asker *by, const struct ask_loader *l, bool first)
{
    metrics_inc(by->metrics, first ? M_MISSES : M_COALESCED);
    loader_count(first ? &l->counters->misses : &l->counters->coalesced, 1);
}

static void decide_stale(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                         int64_t now_ms, struct ask_verdict *v)
{
    int64_t wait_ms = q->stale_wait_ms >= 0 ? q->stale_wait_ms : l->policy->stale_wait_ms;
    if (wait_ms > 0 && l->index >= 0 && !q->partial) {
        entry_unref(v->hit.entry);
        v->kind = VERDICT_WAIT;
        v->stale = true;
        return;
    }
    bool failing = l->index >= 0 && !begin(by, q, l, now_ms, REASON_REFRESH, v);
    metrics_hit(by->metrics, v->hit.owner, failing ? HIT_STALE_ERROR : HIT_STALE);
    v->kind = VERDICT_VALUE;
    v->status = failing ? STATUS_STALE_ERROR : STATUS_STALE;
}

static void decide_miss(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                        int64_t now_ms, struct ask_verdict *v)
{
    if (route_is_misfit(l->index)) {
        ask_misfit(by, v);
    } else if (l->index < 0) {
        ask_refuse(q, ERR_NO_LOADER, "no loader's pattern matches", v);
    } else if (q->partial) {
        count_wait(by, l, true);
        v->kind = begin(by, q, l, now_ms, REASON_MISS, v) ? VERDICT_PENDING : VERDICT_FAILED;
    } else {
        v->kind = VERDICT_WAIT;
        v->stale = false;
    }
}

void ask_decide(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                int64_t now_ms, enum lookup found, struct ask_verdict *v)
{
    v->flight = NULL;
    if (found == LOOKUP_STALE)
        decide_stale(by, q, l, now_ms, v);
    else
        decide_miss(by, q, l, now_ms, v);
}

void ask_refresh(const struct asker *by, const struct ask *q, const struct ask_loader *l,
                 int64_t now_ms, bool background, struct ask_verdict *v)
{
    v->flight = NULL;
    v->stale = false;
    if (route_is_misfit(l->index) && background)
        v->kind = VERDICT_PENDING;
    else if (route_is_misfit(l->index))
        ask_misfit(by, v);
    else if (l->index < 0)
        ask_refuse(q, ERR_NO_LOADER, "no loader's pattern matches", v);
    else if (!background)
        v->kind = VERDICT_WAIT;
    else
        v->kind = begin(by, q, l, now_ms, REASON_REFRESH, v) ? VERDICT_PENDING : VERDICT_ERROR;
}

void ask_early(const struct asker *by, const struct ask *q, const struct ask_loader *l,
               int64_t now_ms, const struct hit *hit, struct ask_verdict *v)
{
    v->flight = NULL;
    if (l->index >= 0 && early_refreshes(hit->load_us, l->policy->early_beta, hit->ttl_ms, by->rng))
        (void)begin(by, q, l, now_ms, REASON_EARLY, v);
}

static void wait(struct parked *t, const struct ask_loader *l, int64_t now_ms, bool stale,
                 struct ask_verdict *v)
{
    int64_t soft_ms = t->ask.stale_wait_ms >= 0 ? t->ask.stale_wait_ms : l->policy->stale_wait_ms;
    bool soft = stale && soft_ms < t->wait_ms;
    t->deadline_ms = now_ms + t->wait_ms;
    t->timer = stale ? PARKED_SOFT : PARKED_HARD;
    v->kind = VERDICT_TIMER;
    v->wait_ms = soft ? soft_ms : t->wait_ms;
}

void ask_join(const struct asker *by, struct parked *t, const struct ask_loader *l, int64_t now_ms,
              bool stale, struct ask_room room, struct ask_verdict *v)
{
    const struct ask *q = &t->ask;
    struct join_request r = ask_join_request(by, q, l, now_ms);
    struct join_result joined = {0};
    t->waiter.seq = marks_now(by->marks);
    t->wait_ms = q->timeout_ms >= 0 ? q->timeout_ms : l->policy->wait_timeout_ms;
    r.reason = q->strict ? REASON_REFRESH : REASON_MISS;
    r.bulk = q->bulk;
    r.waiter = &t->waiter;
    r.wait_until_ms = now_ms + t->wait_ms;
    r.out = room.out;
    r.held = room.held;
    v->flight = NULL;
    enum join join = flights_join(by->flights, &r, &joined);
    switch (join) {
    case JOIN_HIT: ask_found(by, &joined, v); break;
    case JOIN_STARTED:
    case JOIN_PARKED:
        count_wait(by, l, join == JOIN_STARTED);
        t->joined = join == JOIN_PARKED;
        v->flight = joined.flight;
        v->promote = joined.promote;
        wait(t, l, now_ms, stale, v);
        break;
    case JOIN_BACKOFF:
        metrics_inc(by->metrics, M_BACKOFF_ANSWERS);
        v->kind = VERDICT_FAILED;
        v->err = joined.err;
        break;
    case JOIN_FULL:
        metrics_inc(by->metrics, M_WAITERS_REFUSED);
        ask_refuse(q, ERR_OVERLOADED, "its flight has max_waiters waiting", v);
        break;
    case JOIN_NOMEM: ask_refuse(q, ERR_NOMEM, "no memory for a flight", v); break;
    }
}

bool ask_kept(const struct asker *by, const struct ask *q, int64_t now_ms, struct ask_room room,
              struct ask_verdict *v)
{
    v->kind = VERDICT_ERROR;
    if (q->strict || v->err.code == ERR_NO_LOADER)
        return false;
    enum lookup found = store_get(by->store, q->key, q->hash, now_ms, WANT_STALE | WANT_KEPT,
                                  room.held ? NULL : room.out, &v->hit);
    bool there = found == LOOKUP_FRESH || found == LOOKUP_STALE || found == LOOKUP_KEPT;
    if (!there || ask_is_below(q, v->hit.has_version, v->hit.version)) {
        entry_unref(v->hit.entry);
        return false;
    }
    bool fresh = found == LOOKUP_FRESH;
    metrics_hit(by->metrics, v->hit.owner, fresh ? HIT_FRESH : HIT_STALE_ERROR);
    v->kind = VERDICT_VALUE;
    v->status = fresh ? STATUS_HIT : STATUS_STALE_ERROR;
    return true;
}
