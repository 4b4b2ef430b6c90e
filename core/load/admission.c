#include "load/admission.h"

#include "base/clock.h"
#include "load/capacity.h"

#define ABANDONED_AT_ONCE 64 /* seats looked at for one that comes to a full queue */
#define RETRY_LEAST_MS    10
#define RETRY_MOST_MS     30000
#define RETRY_UNKNOWN_MS  100

static struct thread_state *thread_of(const struct admission *a)
{
    return binding_thread(&a->binding);
}

static struct admission *admission_of(const struct seat *seat)
{
    return container_of(seat->binding, struct admission, binding);
}

static void admission_on_window(struct ev_loop *loop, ev_timer *timer, int events);

void admission_init(struct admission *a, struct edition *edition, size_t index)
{
    const struct conf *conf = edition->snapshot->conf;
    const struct policy *p = &conf->loaders[index].policy;
    *a = (struct admission){
        .max_loads = binding_share(p->max_loads, conf->loader_threads),
        .max_queue = binding_share(p->max_queue, conf->loader_threads),
        .max_prefetching = binding_share(p->prefetch_max_concurrent, conf->loader_threads),
        .max_prefetch_queue = binding_share(p->prefetch_max_queue, conf->loader_threads),
        .writes = {.max = binding_share(p->max_writes, conf->loader_threads),
                   .max_queue = binding_share(p->max_write_queue, conf->loader_threads)},
    };
    binding_init(&a->binding, edition, index);
    list_init(&a->turn);
    list_init(&a->writes.queue);
    load_queue_init(&a->queue);
    ev_timer_init(&a->window, admission_on_window, (double)p->batch_window_us / 1e6, 0.);
    a->window.data = a;
}

void admission_fini(struct admission *a)
{
    list_remove(&a->turn);
    ev_timer_stop(thread_of(a)->loop, &a->window);
}

/* The difference to what was told last: other editions' parts are in the same word, which only this
 * thread writes. */
static void publish_gauge(_Atomic uint32_t *sum, uint32_t *told, uint32_t now)
{
    uint32_t before = atomic_load_explicit(sum, memory_order_relaxed);
    atomic_store_explicit(sum, before + (now - *told), memory_order_relaxed);
    *told = now;
}

void admission_publish(struct admission *a)
{
    struct loader_counters *c = a->binding.counters;
    publish_gauge(&c->in_flight, &a->told_in_flight, a->in_flight);
    publish_gauge(&c->queued, &a->told_queued, a->queue.count);
    if (!a->retired)
        atomic_store_explicit(&c->breaker, (int)a->breaker.state, memory_order_relaxed);
}

/* A probe that is in the air tells the admission that it began at, so the new one lets another
 * through.
 */
void admission_carry_breaker(struct admission *to, const struct admission *from)
{
    to->breaker = from->breaker;
    breaker_gave_up(&to->breaker);
}

/* ---- the queues ---- */

void admission_enqueue(struct admission *a, struct seat *seat, enum load_class class)
{
    load_queue_push(&a->queue, seat, class);
}

static void dequeue(struct admission *a, struct seat *seat)
{
    load_queue_remove(&a->queue, seat);
    if (a->queue.count > 0)
        return;
    a->ready = false;
    ev_timer_stop(thread_of(a)->loop, &a->window);
}

struct seat *admission_pop_queued(struct admission *a)
{
    for (int class = 0; class < CLASS_COUNT; class ++) {
        struct seat *seat = load_queue_first(&a->queue, (enum load_class) class);
        if (seat) {
            dequeue(a, seat);
            admission_publish(a);
            return seat;
        }
    }
    return NULL;
}

enum load_class admission_next_class(const struct admission *a)
{
    return load_queue_next_class(&a->queue, a->prefetching < a->max_prefetching);
}

struct seat *admission_pop_next(struct admission *a)
{
    enum load_class class = admission_next_class(a);
    if (class == CLASS_COUNT)
        return NULL;
    load_queue_took(&a->queue, class);
    struct seat *seat = load_queue_first(&a->queue, class);
    dequeue(a, seat);
    return seat;
}

void admission_mark(struct admission *a)
{
    bool waits = admission_has_work(a) && list_empty(&a->turn);
    if (waits)
        runtime_awake(a->binding.edition->runtime, a->binding.script);
    capacity_mark(a->binding.capacity, waits ? &a->turn : NULL);
}

void admission_become_ready(struct admission *a)
{
    if (!a->ready)
        a->ready_turn = thread_of(a)->turn;
    a->ready = true;
    admission_mark(a);
}

static void admission_on_window(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    admission_become_ready(timer->data);
}

/* What is queued waits for company, where it may. */
static void open_window(struct admission *a)
{
    struct ev_loop *loop = thread_of(a)->loop;
    bool waits = a->binding.batch_max > 1 && a->binding.conf->policy.batch_window_us > 0;
    if (a->ready || !waits || a->queue.count >= a->binding.batch_max) {
        admission_become_ready(a);
        return;
    }
    if (!ev_is_active(&a->window)) {
        ev_now_update(loop);
        ev_timer_set(&a->window, (double)a->binding.conf->policy.batch_window_us / 1e6, 0.);
        ev_timer_start(loop, &a->window);
    }
}

/* ---- refusal ---- */

void admission_count_refusal(struct admission *a, enum metric_counter id)
{
    metrics_inc(thread_of(a)->metrics, id);
    loader_count(&a->binding.counters->refused, 1);
}

static int64_t foreground_wait_ms(const struct admission *a)
{
    return queue_rate_wait_ms(&a->rate, load_queue_foreground(&a->queue));
}

static void refuse_overloaded(struct seat *seat, const char *why)
{
    struct admission *a = admission_of(seat);
    struct err err;
    err_set(&err, ERR_OVERLOADED, "loader %s: %u loads in the air and %u queued%s",
            a->binding.conf->pattern, a->in_flight, a->queue.count, why);
    int64_t wait_ms = foreground_wait_ms(a);
    wait_ms = wait_ms < 0 ? RETRY_UNKNOWN_MS : wait_ms;
    wait_ms = wait_ms < RETRY_LEAST_MS ? RETRY_LEAST_MS : wait_ms;
    err.retry_after_ms = (int32_t)(wait_ms < RETRY_MOST_MS ? wait_ms : RETRY_MOST_MS);
    admission_count_refusal(a, M_LOADS_REFUSED);
    seat_refuse(seat, &err);
}

/* The last that came of a class which nobody waits for makes room. */
static bool shed(struct admission *a, enum load_class newcomer)
{
    for (int class = CLASS_PREFETCH; class > (int)newcomer && class >= CLASS_REFRESH; class --) {
        struct seat *last = load_queue_last(&a->queue, (enum load_class) class);
        if (!last)
            continue;
        dequeue(a, last);
        refuse_overloaded(last, "; it made room");
        return true;
    }
    return false;
}

/* Those that nobody waits for any more leave the front of the queues. */
static bool sweep(struct admission *a)
{
    struct flights *flights = thread_of(a)->flights;
    bool any = false;
    unsigned left = ABANDONED_AT_ONCE;
    for (int class = CLASS_SINGLE; class <= CLASS_BULK; class ++)
        for (struct seat *seat;
             left > 0 && (seat = load_queue_first(&a->queue, (enum load_class) class)); left--) {
            if (!flights_abandon(flights, seat->flight))
                break;
            dequeue(a, seat);
            flight_unref(seat_take_flight(seat));
            seat_free(seat);
            any = true;
        }
    return any;
}

/* Loads that could begin now, of this admission. */
static uint32_t room_of(const struct admission *a)
{
    uint32_t own = a->in_flight < a->max_loads ? a->max_loads - a->in_flight : 0;
    uint32_t shared = capacity_room(a->binding.capacity);
    return own < shared ? own : shared;
}

static bool is_full(const struct admission *a)
{
    return a->queue.count >= a->max_queue + (uint64_t)room_of(a) * a->binding.batch_max;
}

/* Its first waiter would be gone before its turn comes. */
static bool comes_too_late(const struct admission *a, const struct flight *f)
{
    if (f->asked.wait_until_ms == 0 || room_of(a) > 0)
        return false;
    int64_t wait_ms = foreground_wait_ms(a);
    return wait_ms > 0 && clock_ms() + wait_ms >= f->asked.wait_until_ms;
}

/* ---- admission ---- */

static bool prefetches_are_full(const struct admission *a)
{
    uint32_t room = a->prefetching < a->max_prefetching ? a->max_prefetching - a->prefetching : 0;
    return a->queue.counts[CLASS_PREFETCH] >= (uint64_t)a->max_prefetch_queue + room;
}

/* It is left to its end. */
static void skip_prefetch(struct seat *seat)
{
    struct admission *a = admission_of(seat);
    struct err err;
    err_set(&err, ERR_OVERLOADED, "loader %s: prefetch_max_queue is reached",
            a->binding.conf->pattern);
    metrics_inc(thread_of(a)->metrics, M_PREFETCH_SKIPPED);
    loader_count(&a->binding.counters->prefetch_skipped, 1);
    seat_refuse(seat, &err);
}

static enum load_class class_of(const struct flight *f)
{
    if (f->asked.background && !f->urgent)
        return f->asked.reason == REASON_PREFETCH ? CLASS_PREFETCH : CLASS_REFRESH;
    return f->asked.bulk ? CLASS_BULK : CLASS_SINGLE;
}

static void place(struct admission *a, struct seat *seat)
{
    enum load_class class = class_of(seat->flight);
    if (class == CLASS_PREFETCH && prefetches_are_full(a)) {
        skip_prefetch(seat);
    } else if (is_full(a) && !shed(a, class) && !sweep(a)) {
        refuse_overloaded(seat, "");
    } else if (class <= CLASS_BULK && comes_too_late(a, seat->flight)) {
        refuse_overloaded(seat, "; its turn would come too late");
    } else {
        admission_enqueue(a, seat, class);
        open_window(a);
    }
    admission_publish(a);
}

void admission_admit(struct admission *a, struct flight *f)
{
    struct seat *seat = seat_new(&a->binding, f);
    struct err err;
    if (seat) {
        place(a, seat);
        return;
    }
    err_set(&err, ERR_NOMEM, "no memory for a load");
    answers_refuse(&thread_of(a)->answers, f, &err);
}

void admission_readmit(struct admission *a, struct seat *seat)
{
    seat_move(seat, &a->binding);
    place(a, seat);
}

void admission_promote(struct seat *seat)
{
    if (seat->load || seat->class <= CLASS_BULK)
        return;
    struct admission *a = admission_of(seat);
    bool ready = a->ready;
    dequeue(a, seat);
    admission_enqueue(a, seat, CLASS_SINGLE);
    a->ready = ready;
    open_window(a);
}
