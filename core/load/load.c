/* One load, from its seats to its runs; load_end.c has what comes of them. */
#include "load/load_priv.h"

#include "base/clock.h"
#include "load/capacity.h"
#include "load/load_tier.h"
#include "load/tiered.h"

#include <stdlib.h>

struct load *load_new(struct binding *b, void (*done)(const struct load_ended *e, void *arg),
                      void *arg)
{
    struct load *ld = calloc(1, sizeof *ld);
    if (!ld)
        return NULL;
    list_init(&ld->link);
    list_init(&ld->seats);
    list_init(&ld->ended);
    ld->binding = b;
    ld->done = done;
    ld->arg = arg;
    return ld;
}

void load_free(struct load *ld)
{
    struct ev_loop *loop = load_thread(ld)->loop;
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
    ld->attempt.from_primary = primary && ld->binding->primary >= 0;
}

/* ---- attempts ---- */

static void begin_attempt(struct load *ld, struct seat *seat, struct glob_match *match)
{
    struct binding *b = ld->binding;
    const struct flight *f = seat->flight;
    routes_capture(b->edition->snapshot->routes, b->index, flight_key(f), match);
    if (ld->attempts > 0 && flights_again(load_thread(ld)->flights, seat->flight, clock_ms()) &&
        b->primary >= 0)
        ld->attempt.from_primary = true;
    if (ld->attempts > 0 || !f->asked.nothing || seat->brought)
        seat_take_stored(seat);
    const struct tiered *tiered = load_thread(ld)->tiered;
    seat->seen = tiered ? tier_slots_now(&tiered->tier->slots) : 0;
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

static void load_goes_on(struct load *ld);
static void run_again(struct load *ld);

static void load_run_done(struct run *run, struct run_result *r, void *arg)
{
    (void)run;
    struct load *ld = arg;
    ld->run = NULL;
    if (r->health != HEALTH_UNKNOWN) { /* else the source had no part in it */
        int64_t now_us = clock_us();
        capacity_ended(ld->binding->capacity, now_us - ld->attempt.began_us, false, now_us);
    }
    if (load_end_take_run(ld, r) == LOAD_RUNS_AGAIN)
        run_again(ld);
    else
        load_goes_on(ld);
}

static int start_run(struct load *ld, const struct run_key *keys, uint32_t n, struct err *err)
{
    struct binding *b = ld->binding;
    struct run *run = NULL;
    struct source_request q = {
        .keys = keys,
        .count = n,
        .many = n > 1 || b->many_only,
        .primary = ld->attempt.from_primary,
        .attempt = ld->attempts,
        .deadline_ms = ld->deadline_ms,
        .done = load_run_done,
        .arg = ld,
    };
    if (q.many) {
        struct metrics *m = load_thread(ld)->metrics;
        metrics_inc(m, M_BATCHES);
        loader_count(&b->counters->batches, 1);
        loader_count(&b->counters->batch_keys, n);
        metrics_observe(m, H_BATCH_KEYS, n);
    }
    int rc = b->source->start(b, &q, &run, err);
    if (rc == 0 && run)
        ld->run = run; /* else it is done, and ld may be gone */
    return rc;
}

static void load_attempt(struct load *ld)
{
    uint32_t n = load_end_part_size(ld);
    struct run_key one, *keys = &one;
    struct glob_match match, *matches = &match;
    struct err err;
    int rc = 0;
    if (n > 1) {
        keys = malloc(n * sizeof *keys);
        matches = malloc(n * sizeof *matches);
    }
    ld->attempt.began_us = clock_us();
    if (keys && matches) {
        begin_seats(ld, n, keys, matches);
        ld->attempts++;
        rc = start_run(ld, keys, n, &err);
    } else {
        rc = err_set(&err, ERR_NOMEM, "no memory for a batch of %u keys", n);
    }
    if (rc == ERR_NOMEM && load_end_empty(ld) == LOAD_RUNS_AGAIN) {
        run_again(ld);
    } else if (rc != 0) {
        load_end_fail(ld, &err, false);
        load_goes_on(ld);
    }
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

/* ---- after an attempt ---- */

static void again_in(struct load *ld, int64_t ms)
{
    struct ev_loop *loop = load_thread(ld)->loop;
    ev_now_update(loop);
    ev_timer_set(&ld->again, ms > 0 ? (double)ms / 1e3 : 0., 0.);
    ev_timer_start(loop, &ld->again);
}

static void run_again(struct load *ld)
{
    again_in(ld, 0);
}

/* Every seat has ended; then ld is gone. */
static void load_finish(struct load *ld)
{
    struct thread_state *t = load_thread(ld);
    struct edition *edition = edition_ref(ld->binding->edition);
    struct load_ended e = {
        .seats = ld->count,
        .prefetched = ld->prefetched,
        .sign = load_end_sign(ld),
        .probe = ld->probe,
    };
    struct list ended;
    list_init(&ended);
    list_splice(&ended, &ld->ended);
    ld->done(&e, ld->arg);
    load_free(ld);
    load_end_wake(t, &ended);
    edition_unref(edition);
}

/* What is left of the part runs again, or the next part runs, or the load is over. */
static void load_goes_on(struct load *ld)
{
    if (list_empty(&ld->seats)) {
        load_finish(ld);
        return;
    }
    struct seat *first = load_first_seat(ld);
    if (first->part != ld->part) {
        ld->part = first->part;
        ld->tries = 0;
        ld->wait_ms = 0;
    }
    again_in(ld, ld->wait_ms);
    load_end_wake(load_thread(ld), &ld->ended);
}

static uint32_t load_seats(const struct load *ld)
{
    uint32_t n = 0;
    list_for_each (link, &ld->seats) {
        n++;
    }
    return n;
}

static void count_begin(struct load *ld)
{
    struct thread_state *t = load_thread(ld);
    list_for_each (link, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        metrics_inc(t->metrics, M_LOADS);
        if (seat->flight->asked.background)
            metrics_inc(t->metrics, M_LOADS_REFRESH);
        uint64_t queue_us = (uint64_t)(ld->started_us - seat->queued_us);
        metrics_observe(t->metrics, H_QUEUE_US, queue_us);
        struct loader_counters *c = ld->binding->counters;
        loader_count(&c->loads, 1);
        loader_count(&c->queue_us, queue_us);
        loader_count(&c->by_reason[seat->flight->asked.reason], 1);
    }
    budget_earn(&t->budget, ld->binding->edition->snapshot->conf->retry_budget, clock_ms());
}

static void load_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct load *ld = timer->data;
    if (ld->asking > 0) /* nor has it asked its source */
        count_begin(ld);
    load_tier_cancel(ld);
    if (ld->run) {
        ld->health = ld->binding->source->time_out(ld->run);
        ld->run = NULL;
        int64_t now_us = clock_us();
        if (ld->health == HEALTH_BAD) /* else the script was slow, not the source */
            capacity_ended(ld->binding->capacity, now_us - ld->attempt.began_us, true, now_us);
    }
    metrics_add(load_thread(ld)->metrics, M_LOADS_TIMEOUT, load_seats(ld));
    struct err err;
    err_set(&err, ERR_LOAD_TIMEOUT, "%s: the load took more than %lld ms",
            ld->binding->conf->script, (long long)load_policy(ld)->load_timeout_ms);
    load_end_fail(ld, &err, true);
    load_goes_on(ld);
}

/* For the seats that the tier had no answer for. */
static void ask_source(struct load *ld)
{
    if (list_empty(&ld->seats)) {
        load_finish(ld);
        return;
    }
    count_begin(ld);
    load_end_wake(load_thread(ld), &ld->ended);
    load_attempt(ld);
}

void load_begin(struct load *ld, bool probe)
{
    struct thread_state *t = load_thread(ld);
    int64_t timeout_ms = load_policy(ld)->load_timeout_ms;
    list_push_back(&t->running, &ld->link);
    ld->probe = probe;
    ld->started_us = clock_us();
    ld->deadline_ms = clock_ms() + timeout_ms;
    ev_now_update(t->loop);
    ev_timer_init(&ld->deadline, load_on_deadline, (double)timeout_ms / 1e3, 0.);
    ev_timer_init(&ld->again, load_on_again, 0., 0.);
    ld->deadline.data = ld->again.data = ld;
    ev_timer_start(t->loop, &ld->deadline);
    if (!load_tier_ask(ld, ask_source))
        ask_source(ld);
}

void load_shutdown_all(struct thread_state *t)
{
    struct list *link;
    struct err err;
    err_set(&err, ERR_SHUTDOWN, "the server is going down");
    while ((link = list_pop_front(&t->running))) {
        struct load *ld = container_of(link, struct load, link);
        struct edition *edition = edition_ref(ld->binding->edition);
        if (ld->run)
            ld->binding->source->cancel(ld->run);
        ld->run = NULL;
        load_tier_cancel(ld);
        while ((link = list_pop_front(&ld->seats)))
            seat_refuse(container_of(link, struct seat, link), &err);
        load_free(ld);
        edition_unref(edition);
    }
}
