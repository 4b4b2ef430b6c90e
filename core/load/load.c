/* One load, from its seats to its runs; load_end.c has what becomes of them. */
#include "load/load_priv.h"

#include "base/clock.h"

#include <stdlib.h>

struct load *load_new(struct gate *g)
{
    struct load *ld = calloc(1, sizeof *ld);
    if (!ld)
        return NULL;
    list_init(&ld->link);
    list_init(&ld->seats);
    list_init(&ld->ended);
    ld->gate = g;
    return ld;
}

void load_free(struct load *ld)
{
    struct ev_loop *loop = load_loader(ld)->worker.loop;
    ev_timer_stop(loop, &ld->deadline);
    ev_timer_stop(loop, &ld->again);
    list_remove(&ld->link);
    free(ld);
}

void load_take(struct load *ld, struct seat *seat, bool primary)
{
    seat->load = ld;
    list_push_back(&ld->seats, &seat->link);
    ld->count++;
    ld->prefetched += seat->class == CLASS_PREFETCH;
    ld->from_primary = primary && ld->gate->primary >= 0;
}

int64_t load_began_ms(const struct load *ld)
{
    return ld->attempt_us / 1000;
}

/* ---- attempts ---- */

/* The keys of a batch, with what their patterns matched. */
struct batch {
    struct glob_match match;
    struct run_key key;
};

static void begin_attempt(struct load *ld, struct seat *seat, struct glob_match *match)
{
    struct gate *g = ld->gate;
    const struct flight *f = seat->flight;
    routes_match(g->set->snapshot->routes, flight_key(f), match);
    if (ld->attempt > 0 &&
        flights_again(load_loader(ld)->options.flights, seat->flight, clock_ms()) &&
        g->primary >= 0)
        ld->from_primary = true;
    if (ld->attempt > 0 || !f->nothing)
        seat_take_stored(seat);
}

static struct run_key key_of(const struct seat *seat, const struct glob_match *match)
{
    return (struct run_key){
        .key = flight_key(seat->flight),
        .captures = match->capture,
        .capture_count = match->captures,
        .stored = seat->stored,
        .has_version = seat->stored && seat->stored_hit.has_version,
        .version = seat->stored_hit.version,
    };
}

/* Fills keys and matches, n of each. */
static void begin_seats(struct load *ld, uint32_t n, struct run_key *keys,
                        struct glob_match *matches)
{
    uint32_t i = 0;
    list_for_each (link, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        if (i == n)
            break;
        matches[i] = (struct glob_match){0};
        begin_attempt(ld, seat, &matches[i]);
        keys[i] = key_of(seat, &matches[i]);
        i++;
    }
}

static void load_run_done(struct run *run, struct run_result *r, void *arg)
{
    (void)run;
    struct load *ld = arg;
    ld->run = NULL;
    if (r->health != HEALTH_UNKNOWN) /* else the source had no part in it */
        turns_ended(ld->gate->turns, clock_us() - ld->attempt_us, false);
    load_take_run(ld, r);
}

static int start_run(struct load *ld, const struct run_key *keys, uint32_t n, struct err *err)
{
    struct gate *g = ld->gate;
    struct run *run = NULL;
    struct run_request q = {
        .what = n > 1 || g->many_only ? RUN_LOAD_MANY : RUN_LOAD,
        .script = g->script,
        .keys = keys,
        .key_count = n,
        .key = keys[0].key,
        .captures = keys[0].captures,
        .capture_count = keys[0].capture_count,
        .stars = g->stars,
        .backend = ld->from_primary ? g->primary : g->backend,
        .pattern = g->conf->pattern,
        .attempt = ld->attempt,
        .deadline_ms = ld->deadline_ms,
        .stored = keys[0].stored,
        .has_version = keys[0].has_version,
        .version = keys[0].version,
        .done = load_run_done,
        .arg = ld,
    };
    if (q.what == RUN_LOAD_MANY) {
        struct metrics *m = load_loader(ld)->metrics;
        metrics_inc(m, M_BATCHES);
        loader_count(&g->counters->batches, 1);
        loader_count(&g->counters->batch_keys, n);
        metrics_observe(m, H_BATCH_KEYS, n);
    }
    int rc = run_start(&run, g->set->runtime, &q, err);
    if (rc == 0 && run)
        ld->run = run; /* else it is done, and ld may be gone */
    return rc;
}

static void load_attempt(struct load *ld)
{
    uint32_t n = load_part_size(ld);
    struct run_key one, *keys = &one;
    struct glob_match match, *matches = &match;
    struct err err;
    int rc = 0;
    if (n > 1) {
        keys = malloc(n * sizeof *keys);
        matches = malloc(n * sizeof *matches);
    }
    ld->attempt_us = clock_us();
    if (keys && matches) {
        begin_seats(ld, n, keys, matches);
        ld->attempt++;
        rc = start_run(ld, keys, n, &err);
    } else {
        rc = err_set(&err, ERR_NOMEM, "no memory for a batch of %u keys", n);
    }
    if (rc != 0 && (rc != ERR_NOMEM || !load_runs_again(ld)))
        load_fail(ld, &err, false);
    if (n > 1) {
        free(keys);
        free(matches);
    }
}

static void load_on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    load_attempt(timer->data);
}

static uint32_t load_seats(const struct load *ld)
{
    uint32_t n = 0;
    list_for_each (link, &ld->seats) {
        n++;
    }
    return n;
}

static void load_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct load *ld = timer->data;
    if (ld->run) {
        ld->health = run_time_out(ld->run);
        ld->run = NULL;
        if (ld->health == HEALTH_BAD) /* else the script was slow, not the source */
            turns_ended(ld->gate->turns, clock_us() - ld->attempt_us, true);
    }
    metrics_add(load_loader(ld)->metrics, M_LOADS_TIMEOUT, load_seats(ld));
    struct err err;
    err_set(&err, ERR_LOAD_TIMEOUT, "%s: the load took more than %lld ms", ld->gate->conf->script,
            (long long)load_policy(ld)->load_timeout_ms);
    load_fail(ld, &err, true);
}

static void count_begin(struct load *ld)
{
    struct loader *l = load_loader(ld);
    list_for_each (link, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        metrics_inc(l->metrics, M_LOADS);
        if (seat->flight->background)
            metrics_inc(l->metrics, M_LOADS_REFRESH);
        uint64_t queue_us = (uint64_t)(ld->started_us - seat->queued_us);
        metrics_observe(l->metrics, H_QUEUE_US, queue_us);
        struct loader_counters *c = ld->gate->counters;
        loader_count(&c->loads, 1);
        loader_count(&c->queue_us, queue_us);
        loader_count(&c->by_reason[seat->flight->reason], 1);
    }
    budget_earn(&l->budget, ld->gate->set->snapshot->conf->retry_budget, clock_ms());
}

void load_begin(struct load *ld)
{
    struct loader *l = load_loader(ld);
    int64_t timeout_ms = load_policy(ld)->load_timeout_ms;
    list_push_back(&l->running, &ld->link);
    ld->probe = ld->gate->breaker.probing;
    ld->started_us = clock_us();
    ld->deadline_ms = clock_ms() + timeout_ms;
    count_begin(ld);
    ev_now_update(l->worker.loop);
    ev_timer_init(&ld->deadline, load_on_deadline, (double)timeout_ms / 1e3, 0.);
    ev_timer_init(&ld->again, load_on_again, 0., 0.);
    ld->deadline.data = ld->again.data = ld;
    ev_timer_start(l->worker.loop, &ld->deadline);
    load_attempt(ld);
}

void load_shutdown_all(struct loader *l)
{
    struct list *link;
    struct err err;
    err_set(&err, ERR_SHUTDOWN, "the server is going down");
    while ((link = list_pop_front(&l->running))) {
        struct load *ld = container_of(link, struct load, link);
        struct loader_set *set = loader_set_ref(ld->gate->set);
        if (ld->run)
            (void)run_cancel(ld->run);
        ld->run = NULL;
        while ((link = list_pop_front(&ld->seats)))
            gate_refuse(container_of(link, struct seat, link), &err);
        load_free(ld);
        loader_set_unref(set);
    }
}
