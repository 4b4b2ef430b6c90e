/* What comes of a load's run for its seats: their ends, or what is left for another attempt. */
#include "load/load_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"
#include "load/jitter.h"
#include "load/load_tier.h"

/* ---- ends ---- */

static void count_end(struct load *ld, const struct outcome *o)
{
    struct metrics *m = load_thread(ld)->metrics;
    struct loader_counters *c = ld->binding->counters;
    _Atomic uint64_t *own = o->end == END_FOUND    ? &c->found
                            : o->end == END_ABSENT ? &c->absent
                                                   : &c->failed;
    loader_count(own, 1);
    loader_count(&c->load_us, o->load_us);
    if (o->end == END_FAILED)
        loader_count(&c->failures[-o->err->code], 1);
    metrics_inc(m, o->end == END_FOUND    ? M_LOADS_FOUND
                   : o->end == END_ABSENT ? M_LOADS_ABSENT
                                          : M_LOADS_FAILED);
    metrics_observe(m, H_LOAD_US, o->load_us);
    ld->found = ld->found || o->end == END_FOUND;
    ld->failed = ld->failed || o->end == END_FAILED;
    ld->blamed = ld->blamed || (o->end == END_FAILED && err_is_sick(o->err));
}

/* Every get of it is a load: that is said once. */
static void tell_too_large(struct load *ld, const struct flight *f, const struct verdict *v)
{
    metrics_inc(load_thread(ld)->metrics, M_LOADS_TOO_LARGE);
    loader_count(&ld->binding->counters->too_large, 1);
    if (snapshot_once(&binding_facts(ld->binding)->told_too_large))
        log_warn(
            "load.too_large",
            "pattern=%s key=%s bytes=%zu largest=%zu error=\"it cannot be kept: an entry takes "
            "at most an eighth of its shard's memory\"",
            log_q(ld->binding->conf->pattern), log_key(flight_key(f)), v->too_large, v->largest);
}

/* false: the result is below the key's floor, which v tells, and nothing has ended. */
static bool end_seat(struct load *ld, struct seat *seat, int64_t now_us, struct outcome *o,
                     struct verdict *v)
{
    const struct binding *b = ld->binding;
    struct thread_state *t = load_thread(ld);
    int64_t us = now_us - ld->started_us;
    o->load_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    o->refresh = snapshot_refresh(b->edition->snapshot, b->index, o->ttl_ms, o->load_us,
                                  seat->flight->asked.ahead, &t->rng);
    answers_end(&t->answers, seat->flight, o, now_us / 1000, v);
    if (v->below)
        return false;
    count_end(ld, o);
    load_tier_keep(ld, seat, o, v);
    if (v->too_large > 0)
        tell_too_large(ld, seat->flight, v);
    metrics_add(t->metrics, M_HELD_REFUSED, v->crowded);
    if (v->wasted) {
        metrics_inc(t->metrics, M_REFRESH_WASTED);
        loader_count(&ld->binding->counters->refresh_wasted, 1);
    }
    list_remove(&seat->link);
    list_push_back(&ld->ended, &seat->link);
    return true;
}

static void fail_seat(struct load *ld, struct seat *seat, const struct err *why)
{
    char key[SHOW_KEY_TEXT];
    struct err err = *why;
    show_key(key, flight_key(seat->flight));
    log_warn("load.failed", "pattern=%s key=%s attempt=%d code=%s error=%s",
             log_q(ld->binding->conf->pattern), log_key(flight_key(seat->flight)), ld->attempts,
             err_word(&err), log_q(err.text));
    err_prefix(&err, "%s", key);
    struct verdict v;
    struct outcome o = {
        .end = END_FAILED,
        .err = &err,
        .backoff_base_ms = load_policy(ld)->backoff_base_ms,
        .backoff_cap_ms = load_policy(ld)->backoff_cap_ms,
    };
    (void)end_seat(ld, seat, clock_us(), &o, &v); /* a failure is below nothing */
}

void load_end_fail(struct load *ld, const struct err *why, bool all)
{
    list_for_each_safe (link, next, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        if (all || seat->part == ld->part)
            fail_seat(ld, seat, why);
    }
}

void load_end_wake(struct thread_state *t, struct list *ended)
{
    struct list *link;
    while ((link = list_pop_front(ended))) {
        struct seat *seat = container_of(link, struct seat, link);
        answers_wake(&t->answers, seat_take_flight(seat));
        seat_free(seat);
    }
    answers_tell(&t->answers);
}

/* A value is a good sign wherever it came from. An absence or a failure is one where the source was
 * asked and has answered, whatever it said; where it was not asked they say nothing. */
enum breaker_sign load_end_sign(const struct load *ld)
{
    if (ld->found)
        return SIGN_WELL;
    if (ld->blamed || (ld->failed && ld->health == HEALTH_BAD))
        return SIGN_SICK;
    return ld->health == HEALTH_UNKNOWN ? SIGN_NONE : SIGN_WELL;
}

/* ---- further attempts ---- */

/* The wait before attempt n + 1, or -1: the deadline comes first. */
static int64_t wait_for(const struct load *ld, unsigned n)
{
    const struct policy *p = load_policy(ld);
    struct thread_state *t = load_thread(ld);
    int64_t wait_ms = jitter_backoff_ms(n, p->retry_base_ms, p->retry_cap_ms, &t->rng);
    return t->stopping || clock_ms() + wait_ms >= ld->deadline_ms ? -1 : wait_ms;
}

/* Whether what failed in this attempt is tried again: one answer for all its seats. */
static bool may_retry(struct load *ld)
{
    if (ld->retry != RETRY_UNDECIDED)
        return ld->retry == RETRY_YES;
    struct thread_state *t = load_thread(ld);
    bool may = ++ld->tries <= load_policy(ld)->retries;
    int64_t wait_ms = may ? wait_for(ld, (unsigned)ld->tries) : -1;
    may = may && wait_ms >= 0;
    if (may && !budget_spend(&t->budget, clock_ms())) {
        metrics_inc(t->metrics, M_RETRIES_REFUSED);
        may = false;
    }
    if (may) {
        metrics_inc(t->metrics, M_LOADS_RETRIED);
        loader_count(&ld->binding->counters->retried, 1);
        ld->wait_ms = wait_ms;
    }
    ld->retry = may ? RETRY_YES : RETRY_NO;
    return may;
}

/* The suspected seat, or half of them, go into a part of their own, behind the others. */
static void split(struct load *ld, uint32_t n, int suspect)
{
    uint32_t i = 0;
    struct list apart;
    list_init(&apart);
    ld->last_part++;
    list_for_each_safe (link, next, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        if (seat->part != ld->part)
            break;
        if (suspect >= 0 ? i == (uint32_t)suspect : i >= n / 2) {
            list_remove(&seat->link);
            seat->part = ld->last_part;
            list_push_back(&apart, &seat->link);
        }
        i++;
    }
    list_splice(&ld->seats, &apart);
    ld->wait_ms = 0;
}

/* n seats, which are marked, go into parts of their own behind the others: one, or two halves. Each
 * time a batch is taken apart there is a part more, so that there are fewer than two runs a key. */
static void set_apart(struct load *ld, uint32_t n)
{
    uint32_t i = 0;
    struct list apart;
    list_init(&apart);
    list_for_each_safe (link, next, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        if (!seat->apart)
            continue;
        if (i == 0 || i == (n + 1) / 2)
            ld->last_part++;
        list_remove(&seat->link);
        seat->apart = false;
        seat->part = ld->last_part;
        list_push_back(&apart, &seat->link);
        i++;
    }
    list_splice(&ld->seats, &apart);
    metrics_inc(load_thread(ld)->metrics, M_BATCHES_SPLIT);
}

/* ---- results ---- */

static void fail_below(struct load *ld, struct seat *seat, const struct outcome *o,
                       const struct verdict *v)
{
    struct err err;
    err_set(&err, ERR_STALE_SOURCE,
            "%s: the source has version %lld, where %lld is known of (load_timeout %lld ms)",
            ld->binding->conf->script, (long long)o->version, (long long)v->floor,
            (long long)load_policy(ld)->load_timeout_ms);
    fail_seat(ld, seat, &err);
}

#define SEATS_AT_ONCE 64 /* that end at the same time, as far as it is looked at */

/* What one round has found out so far. */
struct round {
    int64_t now_us;
    uint32_t below;   /* results below their floor */
    int64_t below_ms; /* the wait before the source is asked again for them; -1: no time */
    bool to_primary;  /* the first of them: the primary is asked at once */
    uint32_t apart;   /* keys that are to be asked for apart */
};

/* The source answered what an invalidation has overtaken: it lags. From here on its primary is
 * asked, where one is named, until the deadline. */
static void take_below(struct load *ld, struct seat *seat, const struct outcome *o,
                       const struct verdict *v, struct round *round)
{
    metrics_inc(load_thread(ld)->metrics, M_LOADS_BELOW);
    if (round->below++ == 0) {
        round->to_primary = ld->binding->primary >= 0 && !ld->attempt.from_primary;
        round->below_ms = round->to_primary ? 0 : wait_for(ld, ++ld->belows);
    }
    if (round->below_ms < 0)
        fail_below(ld, seat, o, v);
}

/* among: the keys of the run; what one alone was asked for is its own. */
static void take_result(struct load *ld, struct seat *seat, const struct run_result *r,
                        uint32_t among, struct round *round)
{
    struct err err;
    struct outcome o;
    struct entry_tags tags;
    struct verdict v;
    if (r->outcome == RUN_FAILED && r->apart && among > 1) {
        seat->apart = true;
        round->apart++;
    } else if (r->outcome == RUN_FAILED) {
        if (!r->retryable || !may_retry(ld))
            fail_seat(ld, seat, &r->err);
    } else if (outcome_make(seat, r, &ld->attempt, &o, &tags, &err) != 0) {
        fail_seat(ld, seat, &err);
    } else if (!end_seat(ld, seat, round->now_us, &o, &v)) {
        take_below(ld, seat, &o, &v, round);
    }
}

/* Of the seats from this link on: the memory that their ends will touch is asked for. */
static void look_ahead(const struct load *ld, const struct list *from)
{
    const struct store *s = load_thread(ld)->store;
    const struct list *link = from;
    for (unsigned i = 0; i < SEATS_AT_ONCE && link != &ld->seats; i++, link = link->next)
        store_prefetch(s, container_of(link, struct seat, link)->flight->hash);
    link = from;
    for (unsigned i = 0; i < SEATS_AT_ONCE && link != &ld->seats; i++, link = link->next)
        store_prefetch_entry(s, container_of(link, struct seat, link)->flight->hash);
}

/* results: one for each seat of the current part, in order. */
static void take_results(struct load *ld, const struct run_result *results, uint32_t n)
{
    struct round round = {.below = 0};
    uint32_t i = 0;
    ld->wait_ms = 0;
    list_for_each_safe (link, next, &ld->seats) {
        if (i == n)
            break;
        if (i % SEATS_AT_ONCE == 0) {
            round.now_us = clock_us();
            if (n > 1)
                look_ahead(ld, link);
        }
        take_result(ld, container_of(link, struct seat, link), &results[i++], n, &round);
    }
    if (round.apart > 0)
        set_apart(ld, round.apart);
    if (round.below > 0 && round.below_ms >= 0) {
        ld->attempt.from_primary = ld->binding->primary >= 0;
        if (round.to_primary || round.below_ms > ld->wait_ms)
            ld->wait_ms = round.below_ms;
    }
}

uint32_t load_end_part_size(const struct load *ld)
{
    uint32_t n = 0;
    list_for_each (link, &ld->seats) {
        if (container_of(link, struct seat, link)->part != ld->part)
            break;
        n++;
    }
    return n;
}

static void batch_failed(struct load *ld, uint32_t n, const struct run_result *r)
{
    struct thread_state *t = load_thread(ld);
    bool told = r->poisoned && n > 1 && budget_spend(&t->budget, clock_ms());
    if (told || (r->divisible && n > 1)) {
        metrics_inc(t->metrics, M_BATCHES_SPLIT);
        split(ld, n, told ? r->poison : -1);
    } else if (!r->retryable || !may_retry(ld)) {
        load_end_fail(ld, &r->err, false);
    }
}

enum load_next load_end_empty(struct load *ld)
{
    struct thread_state *t = load_thread(ld);
    if (ld->emptied || t->stopping)
        return LOAD_GOES_ON;
    ld->emptied = true;
    metrics_inc(t->metrics, M_LOADS_RETRIED);
    loader_count(&ld->binding->counters->retried, 1);
    return LOAD_RUNS_AGAIN;
}

enum load_next load_end_take_run(struct load *ld, struct run_result *r)
{
    if (r->outcome == RUN_FAILED && r->full && load_end_empty(ld) == LOAD_RUNS_AGAIN)
        return LOAD_RUNS_AGAIN;
    ld->retry = RETRY_UNDECIDED;
    ld->health = r->health;
    if (r->many)
        take_results(ld, r->many, r->many_count);
    else if (load_end_part_size(ld) > 1 || r->poisoned)
        batch_failed(ld, load_end_part_size(ld), r);
    else
        take_results(ld, r, 1);
    return LOAD_GOES_ON;
}
