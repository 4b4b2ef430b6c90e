/* One load: attempts of the script, their retries, the deadline, and what becomes of the result. */
#include "load/loader_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"
#include "load/spread.h"
#include "store/entry.h"
#include "wire/mp.h"

#include <stdlib.h>

#define TTL_OVER (-1) /* stale from now on */

static void load_attempt(struct load *ld);

static struct loader *loader_of(const struct load *ld)
{
    return ld->gate->set->loader;
}

static const struct policy *policy_of(const struct load *ld)
{
    return &ld->gate->conf->policy;
}

struct load *load_new(struct gate *g, struct flight *f)
{
    struct load *ld = calloc(1, sizeof *ld);
    if (!ld)
        return NULL;
    list_init(&ld->link);
    ld->gate = g;
    ld->flight = f;
    ld->queued_us = clock_us();
    loader_set_ref(g->set);
    return ld;
}

static void load_free(struct load *ld)
{
    struct ev_loop *loop = loader_of(ld)->worker.loop;
    ev_timer_stop(loop, &ld->deadline);
    ev_timer_stop(loop, &ld->retry);
    list_remove(&ld->link);
    entry_unref(ld->stored);
    loader_set_unref(ld->gate->set);
    free(ld);
}

void load_refuse(struct load *ld, const struct err *err)
{
    loader_refuse_flight(loader_of(ld), ld->flight, err);
    load_free(ld);
}

struct flight *load_give_back(struct load *ld)
{
    struct flight *f = ld->flight;
    load_free(ld);
    return f;
}

static void count_end(struct load *ld, enum flight_end end)
{
    struct gate *g = ld->gate;
    struct metrics *m = loader_of(ld)->metrics;
    struct loader_counters *c = g->counters;
    _Atomic uint64_t *own = end == END_FOUND    ? &c->found
                            : end == END_ABSENT ? &c->absent
                                                : &c->failed;
    atomic_fetch_add_explicit(own, 1, memory_order_relaxed);
    metrics_inc(m, end == END_FOUND    ? M_LOADS_FOUND
                   : end == END_ABSENT ? M_LOADS_ABSENT
                                       : M_LOADS_FAILED);
    struct breaker_rule rule = {g->conf->policy.breaker_failures, g->conf->policy.breaker_open_ms};
    if (breaker_ended(&g->breaker, &rule, end == END_FAILED, clock_ms())) {
        metrics_inc(m, M_BREAKER_OPENED);
        log_warn("loader.breaker_opened", "pattern=%s failures=%lld open_ms=%lld",
                 log_q(g->conf->pattern), (long long)rule.failures, (long long)rule.open_ms);
    }
}

/* Ends ld's flight with o; then ld is gone, and its gate has been told. false: the result is below
 * the key's floor, which v tells, and nothing has ended. */
static bool load_end(struct load *ld, struct outcome *o, struct verdict *v)
{
    struct gate *g = ld->gate;
    struct loader *l = loader_of(ld);
    uint64_t us = (uint64_t)(clock_us() - ld->started_us);
    o->load_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    loader_end(l, ld->flight, o, v);
    if (v->below)
        return false;
    struct loader_set *set = loader_set_ref(g->set);
    metrics_observe(l->metrics, H_LOAD_US, us);
    count_end(ld, o->end);
    gate_left(g);
    loader_wake(l, ld->flight);
    load_free(ld);
    gate_pump(g);
    loader_set_unref(set);
    return true;
}

static void load_failed(struct load *ld, struct err *err)
{
    char key[SHOW_KEY_TEXT];
    show_key(key, flight_key(ld->flight));
    log_warn("load.failed", "pattern=%s key=%s attempt=%d code=%s error=%s",
             log_q(ld->gate->conf->pattern), log_key(flight_key(ld->flight)), ld->attempt,
             err_name(err->code), log_q(err->text));
    err_prefix(err, "%s", key);
    struct verdict v;
    struct outcome o = {
        .end = END_FAILED,
        .err = err,
        .backoff_base_ms = policy_of(ld)->backoff_base_ms,
        .backoff_cap_ms = policy_of(ld)->backoff_cap_ms,
    };
    (void)load_end(ld, &o, &v); /* a failure is below nothing */
}

static void load_on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct load *ld = timer->data;
    metrics_inc(loader_of(ld)->metrics, M_LOADS_RETRIED);
    load_attempt(ld);
}

static bool load_waits(struct load *ld, unsigned waits)
{
    const struct policy *p = policy_of(ld);
    int64_t wait_ms =
        spread_backoff_ms(waits, p->retry_base_ms, p->retry_cap_ms, &loader_of(ld)->rng);
    if (loader_of(ld)->stopping || clock_ms() + wait_ms >= ld->deadline_ms)
        return false;
    ev_timer_set(&ld->retry, (double)wait_ms / 1e3, 0.);
    ev_timer_start(loader_of(ld)->worker.loop, &ld->retry);
    return true;
}

/* Whether another attempt was set up. */
static bool load_retries(struct load *ld, bool retryable)
{
    bool left = ld->attempt - (int)ld->belows <= policy_of(ld)->retries;
    return left && retryable && load_waits(ld, (unsigned)ld->attempt);
}

/* The source answered what an invalidation has overtaken: it lags. From here on its primary is
 * asked, where one is named, until the deadline. */
static void load_below(struct load *ld, const struct outcome *o, const struct verdict *v)
{
    bool first = ld->gate->primary >= 0 && !ld->from_primary;
    ld->from_primary = ld->gate->primary >= 0;
    ld->belows++;
    metrics_inc(loader_of(ld)->metrics, M_LOADS_BELOW);
    if (first) {
        load_attempt(ld);
        return;
    }
    if (load_waits(ld, ld->belows))
        return;
    struct err err;
    err_set(&err, ERR_STALE_SOURCE,
            "%s: the source has version %lld, where %lld is known of (load_timeout %lld ms)",
            ld->gate->conf->script, (long long)o->version, (long long)v->floor,
            (long long)policy_of(ld)->load_timeout_ms);
    load_failed(ld, &err);
}

/* rtcache.unchanged: what is stored gets new deadlines, and keeps its tags unless new ones came. */
static bool take_unchanged(struct load *ld, struct outcome *o, struct entry_tags *tags,
                           struct err *err)
{
    if (!ld->stored) {
        err_set(err, ERR_LOAD_FAILED, "%s: rtcache.unchanged, but nothing is stored",
                ld->gate->conf->script);
        return false;
    }
    o->value = entry_value(ld->stored);
    if (!o->has_version) {
        o->has_version = ld->stored_hit.has_version;
        o->version = ld->stored_hit.version;
    }
    if (tags->count == 0)
        entry_read_tags(ld->stored, tags);
    return true;
}

void load_read_tags(const struct marks *m, const struct buf *packed, struct entry_tags *out)
{
    struct mp_reader at = mp_reader_of(buf_slice(packed));
    struct mp_token t;
    out->count = 0;
    if (packed->size == 0 || mp_next(&at, &t) != MP_OK || t.type != MP_ARRAY)
        return;
    for (uint32_t left = t.count; left > 0 && out->count < MARKS_TAGS_MAX; left--)
        if (mp_next(&at, &t) == MP_OK)
            out->slots[out->count++] = marks_slot(m, t.bytes);
}

static void load_succeeded(struct load *ld, struct run_result *r)
{
    const struct policy *p = policy_of(ld);
    struct rng *rng = &loader_of(ld)->rng;
    bool absent = r->outcome == RUN_ABSENT;
    int64_t ttl_ms = absent ? p->negative_ttl_ms : r->ttl_ms >= 0 ? r->ttl_ms : p->ttl_ms;
    struct outcome o = {
        .end = absent ? END_ABSENT : END_FOUND,
        .value = buf_slice(&r->value),
        .has_version = r->has_version,
        .version = r->version,
        .store = !r->no_store,
        .ttl_ms = spread_ms(ttl_ms, p->jitter, rng),
        .stale_ttl_ms =
            spread_ms(r->stale_ttl_ms >= 0 ? r->stale_ttl_ms : p->stale_ttl_ms, p->jitter, rng),
        .keep_ms = p->stale_if_error_ms,
        .replica = ld->gate->primary >= 0 && !ld->from_primary,
    };
    struct err err;
    struct entry_tags tags;
    load_read_tags(loader_of(ld)->options.changes->marks, &r->tags, &tags);
    if (r->outcome == RUN_FOUND && !r->has_version && ld->gate->conf->versioned) {
        err_set(&err, ERR_BAD_VALUE, "%s: its loader is versioned, but the value came without one",
                ld->gate->conf->script);
        load_failed(ld, &err);
        return;
    }
    if (r->outcome == RUN_UNCHANGED && !take_unchanged(ld, &o, &tags, &err)) {
        load_failed(ld, &err);
        return;
    }
    o.tags = tags.slots;
    o.tag_count = tags.count;
    if (gate_is_cut(ld->gate))
        o.ttl_ms = TTL_OVER;
    struct verdict v;
    if (!load_end(ld, &o, &v))
        load_below(ld, &o, &v);
}

static void load_run_done(struct run *run, struct run_result *r, void *arg)
{
    (void)run;
    struct load *ld = arg;
    ld->run = NULL;
    if (r->outcome != RUN_FAILED)
        load_succeeded(ld, r);
    else if (!load_retries(ld, r->retryable))
        load_failed(ld, &r->err);
}

static void load_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct load *ld = timer->data;
    if (ld->run) {
        run_cancel(ld->run);
        ld->run = NULL;
    }
    metrics_inc(loader_of(ld)->metrics, M_LOADS_TIMEOUT);
    struct err err;
    err_set(&err, ERR_LOAD_TIMEOUT, "%s: the load took more than %lld ms", ld->gate->conf->script,
            (long long)policy_of(ld)->load_timeout_ms);
    load_failed(ld, &err);
}

/* What is stored as the attempt begins, for ctx.value and rtcache.unchanged: what was invalidated
 * since an earlier attempt is not there any more. */
static void take_stored(struct load *ld)
{
    entry_unref(ld->stored);
    enum lookup had =
        store_get(loader_of(ld)->options.store, flight_key(ld->flight), ld->flight->hash,
                  clock_ms(), WANT_PEEK | WANT_STALE | WANT_KEPT, NULL, &ld->stored_hit);
    bool there = had == LOOKUP_FRESH || had == LOOKUP_STALE || had == LOOKUP_KEPT;
    ld->stored = there ? ld->stored_hit.entry : NULL;
}

static void load_attempt(struct load *ld)
{
    struct gate *g = ld->gate;
    struct slice key = flight_key(ld->flight);
    struct glob_match match = {0};
    routes_match(g->set->snapshot->routes, key, &match);
    if (ld->attempt++ > 0 &&
        flights_again(loader_of(ld)->options.flights, ld->flight, clock_ms()) && g->primary >= 0)
        ld->from_primary = true;
    take_stored(ld);
    struct run_request q = {
        .what = RUN_LOAD,
        .script = g->script,
        .key = key,
        .captures = match.capture,
        .capture_count = match.captures,
        .backend = ld->from_primary ? g->primary : g->backend,
        .pattern = g->conf->pattern,
        .attempt = ld->attempt,
        .deadline_ms = ld->deadline_ms,
        .stored = ld->stored,
        .has_version = ld->stored && ld->stored_hit.has_version,
        .version = ld->stored_hit.version,
        .done = load_run_done,
        .arg = ld,
    };
    struct err err;
    struct run *run = NULL;
    int rc = run_start(&run, g->set->runtime, &q, &err);
    if (rc != 0)
        load_failed(ld, &err);
    else if (run)
        ld->run = run; /* else it is done, and ld may be gone */
}

void load_begin(struct load *ld)
{
    struct loader *l = loader_of(ld);
    struct gate *g = ld->gate;
    ld->started_us = clock_us();
    bool primary;
    struct beginning b = {
        .generation = g->set->snapshot->generation,
        .now_ms = clock_ms(),
        .queued = ld->waited,
    };
    if (!flights_begin(l->options.flights, ld->flight, &b, &primary)) {
        breaker_gave_up(&g->breaker);
        flight_unref(ld->flight);
        load_free(ld);
        gate_left(g);
        return; /* to gate_pump, which goes on */
    }
    ld->from_primary = primary && g->primary >= 0;
    list_push_back(&l->running, &ld->link);
    metrics_inc(l->metrics, M_LOADS);
    if (ld->flight->background)
        metrics_inc(l->metrics, M_LOADS_REFRESH);
    metrics_observe(l->metrics, H_QUEUE_US, (uint64_t)(ld->started_us - ld->queued_us));
    atomic_fetch_add_explicit(&g->counters->loads, 1, memory_order_relaxed);
    int64_t timeout_ms = policy_of(ld)->load_timeout_ms;
    ld->deadline_ms = clock_ms() + timeout_ms;
    ev_now_update(l->worker.loop);
    ev_timer_init(&ld->deadline, load_on_deadline, (double)timeout_ms / 1e3, 0.);
    ev_timer_init(&ld->retry, load_on_retry, 0., 0.);
    ld->deadline.data = ld->retry.data = ld;
    ev_timer_start(l->worker.loop, &ld->deadline);
    load_attempt(ld);
}

void load_shutdown(struct load *ld)
{
    if (ld->run)
        run_cancel(ld->run);
    ld->run = NULL;
    struct err err;
    err_set(&err, ERR_SHUTDOWN, "the server is going down");
    load_refuse(ld, &err);
}
