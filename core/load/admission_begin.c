/* How a load begins: the breaker, the seats that go into it, and what its end leaves. */
#include "load/admission.h"

#include "base/clock.h"
#include "base/log.h"
#include "load/capacity.h"
#include "load/load.h"

static struct breaker_rule rule_of(const struct admission *a)
{
    const struct policy *p = binding_policy(&a->binding);
    return (struct breaker_rule){p->breaker_failures, p->breaker_open_ms};
}

static bool breaker_lets(struct admission *a)
{
    struct breaker_rule rule = rule_of(a);
    int64_t now_ms = clock_ms();
    if (breaker_admits(&a->breaker, &rule, now_ms))
        return true;
    struct seat *seat = admission_pop_queued(a);
    struct err err;
    err_set(&err, ERR_BREAKER_OPEN, "loader %s: its source was unwell for %lld loads in a row",
            a->binding.conf->pattern, (long long)rule.failures);
    err.retry_after_ms = (int32_t)breaker_retry_after_ms(&a->breaker, now_ms);
    admission_count_refusal(a, M_BREAKER_REFUSED);
    seat_refuse(seat, &err);
    return false;
}

/* A batch has a key once; a flight that was left to its waiters may have one beside another. */
static bool has_key_of(const struct list *taken, const struct flight *f)
{
    list_for_each (link, taken) {
        const struct flight *other = container_of(link, struct seat, link)->flight;
        if (other->hash == f->hash && slice_eq(flight_key(other), flight_key(f)))
            return true;
    }
    return false;
}

/* Nobody waits for it: false, and it is gone. */
static bool begin_flight(struct admission *a, struct seat *seat, int64_t now_ms,
                         struct begun *begun)
{
    const struct edition *edition = a->binding.edition;
    const struct thread_state *t = edition->thread;
    struct beginning how = {
        .generation = edition->snapshot->generation,
        .loader = a->binding.index,
        .now_ms = now_ms,
        .queued = t->turn > seat->turn && t->turn > a->ready_turn,
    };
    flights_begin(t->flights, seat->flight, &how, begun);
    if (begun->wanted)
        return true;
    flight_unref(seat_take_flight(seat));
    seat_free(seat);
    return false;
}

/* Moves up to batch_max seats into ld; how many. */
static uint32_t fill(struct admission *a, struct load *ld)
{
    struct list taken, later, *link;
    struct seat *seat;
    uint32_t n = 0;
    int64_t now_ms = clock_ms();
    bool detached = false, primary = false;
    list_init(&taken);
    list_init(&later);
    while (n < a->binding.batch_max && (seat = admission_pop_next(a))) {
        struct begun begun;
        if (!begin_flight(a, seat, now_ms, &begun))
            continue;
        detached = detached || begun.detached;
        if (detached && has_key_of(&taken, seat->flight)) {
            list_push_back(&later, &seat->link);
            continue;
        }
        list_push_back(&taken, &seat->link);
        a->prefetching += seat->class == CLASS_PREFETCH;
        primary = primary || begun.primary;
        n++;
    }
    while ((link = list_pop_front(&taken)))
        load_take(ld, container_of(link, struct seat, link), primary);
    while ((link = list_pop_front(&later)))
        admission_enqueue(a, container_of(link, struct seat, link), CLASS_SINGLE);
    if (a->queue.count > 0)
        admission_become_ready(a);
    return n;
}

static void tell_breaker(struct admission *a, const struct load_ended *e)
{
    struct breaker_rule rule = rule_of(a);
    if (breaker_ended(&a->breaker, &rule, e->sign, e->probe, clock_ms())) {
        metrics_inc(binding_thread(&a->binding)->metrics, M_BREAKER_OPENED);
        log_warn("loader.breaker_opened", "pattern=%s failures=%lld open_ms=%lld",
                 log_q(a->binding.conf->pattern), (long long)rule.failures,
                 (long long)rule.open_ms);
    }
}

static void admission_load_done(const struct load_ended *e, void *arg)
{
    struct admission *a = arg;
    tell_breaker(a, e);
    a->in_flight--;
    capacity_left(a->binding.capacity);
    a->prefetching -= e->prefetched;
    if (a->queue.count > 0)
        queue_rate_left(&a->rate, e->seats, clock_ms());
    else
        queue_rate_empty(&a->rate, clock_ms());
    admission_publish(a);
    admission_mark(a);
}

void admission_begin(struct admission *a)
{
    if (!breaker_lets(a))
        return;
    struct load *ld = load_new(&a->binding, admission_load_done, a);
    if (!ld) {
        struct err err;
        err_set(&err, ERR_NOMEM, "no memory for a load");
        breaker_gave_up(&a->breaker);
        seat_refuse(admission_pop_queued(a), &err);
        return;
    }
    a->in_flight++;
    capacity_began(a->binding.capacity);
    if (fill(a, ld) > 0) {
        admission_publish(a);
        load_begin(ld, a->breaker.probing);
        return;
    }
    breaker_gave_up(&a->breaker);
    load_free(ld);
    a->in_flight--;
    capacity_left(a->binding.capacity);
    admission_publish(a);
}
