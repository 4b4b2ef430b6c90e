/* Admission of loads: the queues, bounds and breaker of one loader on one thread. */
#include "load/loader_priv.h"

#include "base/clock.h"
#include "base/log.h"

#define ABANDONED_AT_ONCE 64 /* seats looked at for one that comes to a full queue */
#define RETRY_LEAST_MS    10
#define RETRY_MOST_MS     30000
#define RETRY_UNKNOWN_MS  100

static uint32_t share_of(int64_t total, int64_t threads)
{
    int64_t share = (total + threads - 1) / threads;
    return share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

static struct loader *loader_of(const struct gate *g)
{
    return g->set->loader;
}

static void gate_on_window(struct ev_loop *loop, ev_timer *timer, int events);

void gate_init(struct gate *g, struct loader_set *set, size_t index)
{
    const struct conf *conf = set->snapshot->conf;
    const struct policy *p = &conf->loaders[index].policy;
    *g = (struct gate){.set = set, .conf = &conf->loaders[index]};
    glob_stars(slice_str(g->conf->pattern), g->stars);
    for (int class = 0; class < CLASS_COUNT; class ++)
        list_init(&g->queues[class]);
    list_init(&g->turn);
    list_init(&g->writes);
    g->max_loads = share_of(p->max_loads, conf->loader_threads);
    g->max_queue = share_of(p->max_queue, conf->loader_threads);
    g->max_prefetching = share_of(p->prefetch_max_concurrent, conf->loader_threads);
    g->max_prefetch_queue = share_of(p->prefetch_max_queue, conf->loader_threads);
    g->max_writes = share_of(p->max_writes, conf->loader_threads);
    g->max_write_queue = share_of(p->max_write_queue, conf->loader_threads);
    g->counters = snapshot_counters(set->snapshot, set->loader->options.index, index);
    g->backend = g->conf->backend ? conf_backend_index(conf, g->conf->backend) : -1;
    g->turns = &set->turns[g->backend >= 0 ? (size_t)g->backend : conf->backend_count];
    const char *primary = g->backend >= 0 ? conf->backends[g->backend].primary : NULL;
    g->primary = primary ? conf_backend_index(conf, primary) : -1;
    g->feed = snapshot_feed_of(conf, g->conf);
    g->script = -1;
    g->batch_max = 1;
    ev_timer_init(&g->window, gate_on_window, (double)p->batch_window_us / 1e6, 0.);
    g->window.data = g;
}

void gate_fini(struct gate *g)
{
    list_remove(&g->turn);
    ev_timer_stop(loader_of(g)->worker.loop, &g->window);
}

void gate_know_script(struct gate *g, const struct runtime *rt)
{
    bool many = runtime_has(rt, g->script, RUN_LOAD_MANY);
    g->many_only = many && !runtime_has(rt, g->script, RUN_LOAD);
    g->can_write = runtime_has(rt, g->script, RUN_SAVE) || runtime_has(rt, g->script, RUN_REMOVE);
    g->batch_max = many ? (uint32_t)g->conf->policy.batch_max : 1;
}

bool gate_is_cut(const struct gate *g)
{
    return g->feed >= 0 &&
           atomic_load_explicit(&g->set->snapshot->feeds[g->feed]->cut, memory_order_acquire);
}

static void publish(struct gate *g)
{
    atomic_store_explicit(&g->counters->in_flight, g->in_flight, memory_order_relaxed);
    atomic_store_explicit(&g->counters->queued, g->queued, memory_order_relaxed);
    atomic_store_explicit(&g->counters->breaker, (int)g->breaker.state, memory_order_relaxed);
}

/* ---- the queues ---- */

static void enqueue(struct seat *seat, enum load_class class)
{
    struct gate *g = seat->gate;
    seat->class = class;
    list_push_back(&g->queues[class], &seat->link);
    g->counts[class]++;
    g->queued++;
}

static void dequeue(struct seat *seat)
{
    struct gate *g = seat->gate;
    list_remove(&seat->link);
    g->counts[seat->class]--;
    g->queued--;
    if (g->queued > 0)
        return;
    g->ready = false;
    ev_timer_stop(loader_of(g)->worker.loop, &g->window);
}

static struct seat *first_of(const struct gate *g, enum load_class class)
{
    return list_empty(&g->queues[class]) ? NULL
                                         : container_of(g->queues[class].next, struct seat, link);
}

struct seat *gate_pop_queued(struct gate *g)
{
    for (int class = 0; class < CLASS_COUNT; class ++) {
        struct seat *seat = first_of(g, (enum load_class) class);
        if (seat) {
            dequeue(seat);
            publish(g);
            return seat;
        }
    }
    return NULL;
}

static void become_ready(struct gate *g)
{
    if (!g->ready)
        g->ready_turn = loader_of(g)->turn;
    g->ready = true;
    turns_mark(g);
}

static void gate_on_window(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    become_ready(timer->data);
}

/* What is queued waits for company, where it may. */
static void open_window(struct gate *g)
{
    struct ev_loop *loop = loader_of(g)->worker.loop;
    bool waits = g->batch_max > 1 && g->conf->policy.batch_window_us > 0;
    if (g->ready || !waits || g->queued >= g->batch_max) {
        become_ready(g);
        return;
    }
    if (!ev_is_active(&g->window)) {
        ev_now_update(loop);
        ev_timer_set(&g->window, (double)g->conf->policy.batch_window_us / 1e6, 0.);
        ev_timer_start(loop, &g->window);
    }
}

/* ---- refusal ---- */

void gate_refuse(struct seat *seat, const struct err *err)
{
    struct gate *g = seat->gate;
    struct loader *l = loader_of(g);
    loader_refuse_flight(l, seat_take_flight(seat), err);
    seat_free(seat);
}

static void count_refusal(struct gate *g, enum metric_counter id)
{
    metrics_inc(loader_of(g)->metrics, id);
    loader_count(&g->counters->refused, 1);
}

static int64_t foreground_wait_ms(const struct gate *g)
{
    return pace_wait_ms(&g->pace, (uint64_t)g->counts[CLASS_SINGLE] + g->counts[CLASS_BULK]);
}

static void refuse_overloaded(struct seat *seat, const char *why)
{
    struct gate *g = seat->gate;
    struct err err;
    err_set(&err, ERR_OVERLOADED, "loader %s: %u loads in the air and %u queued%s",
            g->conf->pattern, g->in_flight, g->queued, why);
    int64_t wait_ms = foreground_wait_ms(g);
    wait_ms = wait_ms < 0 ? RETRY_UNKNOWN_MS : wait_ms;
    wait_ms = wait_ms < RETRY_LEAST_MS ? RETRY_LEAST_MS : wait_ms;
    err.retry_after_ms = (int32_t)(wait_ms < RETRY_MOST_MS ? wait_ms : RETRY_MOST_MS);
    count_refusal(g, M_LOADS_REFUSED);
    gate_refuse(seat, &err);
}

/* The last that came of a class which nobody waits for makes room. */
static bool shed(struct gate *g, enum load_class newcomer)
{
    for (int class = CLASS_PREFETCH; class > (int)newcomer && class >= CLASS_REFRESH; class --) {
        if (list_empty(&g->queues[class]))
            continue;
        struct seat *last = container_of(g->queues[class].prev, struct seat, link);
        dequeue(last);
        refuse_overloaded(last, "; it made room");
        return true;
    }
    return false;
}

/* Those that nobody waits for any more leave the front of the queues. */
static bool sweep(struct gate *g)
{
    struct flights *flights = loader_of(g)->options.flights;
    bool any = false;
    unsigned left = ABANDONED_AT_ONCE;
    for (int class = CLASS_SINGLE; class <= CLASS_BULK; class ++)
        for (struct seat *seat; left > 0 && (seat = first_of(g, (enum load_class) class)); left--) {
            if (!flights_abandon(flights, seat->flight))
                break;
            dequeue(seat);
            flight_unref(seat_take_flight(seat));
            seat_free(seat);
            any = true;
        }
    return any;
}

/* Loads that could begin now, of this gate. */
static uint32_t room_of(const struct gate *g)
{
    uint32_t own = g->in_flight < g->max_loads ? g->max_loads - g->in_flight : 0;
    uint32_t shared = turns_room(g->turns);
    return own < shared ? own : shared;
}

static bool is_full(const struct gate *g)
{
    return g->queued >= g->max_queue + (uint64_t)room_of(g) * g->batch_max;
}

/* Its first waiter would be gone before its turn comes. */
static bool comes_too_late(const struct gate *g, const struct flight *f)
{
    if (f->wait_until_ms == 0 || room_of(g) > 0)
        return false;
    int64_t wait_ms = foreground_wait_ms(g);
    return wait_ms > 0 && clock_ms() + wait_ms >= f->wait_until_ms;
}

/* ---- admission ---- */

static bool prefetches_are_full(const struct gate *g)
{
    uint32_t room = g->prefetching < g->max_prefetching ? g->max_prefetching - g->prefetching : 0;
    return g->counts[CLASS_PREFETCH] >= (uint64_t)g->max_prefetch_queue + room;
}

/* It is left to its end. */
static void skip_prefetch(struct seat *seat)
{
    struct gate *g = seat->gate;
    struct err err;
    err_set(&err, ERR_OVERLOADED, "loader %s: prefetch_max_queue is reached", g->conf->pattern);
    metrics_inc(loader_of(g)->metrics, M_PREFETCH_SKIPPED);
    loader_count(&g->counters->prefetch_skipped, 1);
    gate_refuse(seat, &err);
}

static enum load_class class_of(const struct flight *f)
{
    if (f->background && !f->urgent)
        return f->reason == REASON_PREFETCH ? CLASS_PREFETCH : CLASS_REFRESH;
    return f->bulk ? CLASS_BULK : CLASS_SINGLE;
}

void gate_admit(struct gate *g, struct flight *f)
{
    struct seat *seat = seat_new(g, f);
    struct err err;
    if (!seat) {
        err_set(&err, ERR_NOMEM, "no memory for a load");
        loader_refuse_flight(loader_of(g), f, &err);
        return;
    }
    enum load_class class = class_of(f);
    if (class == CLASS_PREFETCH && prefetches_are_full(g)) {
        skip_prefetch(seat);
    } else if (is_full(g) && !shed(g, class) && !sweep(g)) {
        refuse_overloaded(seat, "");
    } else if (class <= CLASS_BULK && comes_too_late(g, f)) {
        refuse_overloaded(seat, "; its turn would come too late");
    } else {
        enqueue(seat, class);
        open_window(g);
    }
    publish(g);
}

void gate_promote(struct seat *seat)
{
    if (seat->load || seat->class <= CLASS_BULK)
        return;
    struct gate *g = seat->gate;
    bool ready = g->ready;
    dequeue(seat);
    enqueue(seat, CLASS_SINGLE);
    g->ready = ready;
    open_window(g);
}

/* ---- beginning ---- */

enum load_class gate_first_class(const struct gate *g)
{
    bool single = g->counts[CLASS_SINGLE] > 0, bulk = g->counts[CLASS_BULK] > 0;
    if (single || bulk)
        return bulk && (g->bulk_next || !single) ? CLASS_BULK : CLASS_SINGLE;
    if (g->counts[CLASS_REFRESH] > 0)
        return CLASS_REFRESH;
    bool may = g->counts[CLASS_PREFETCH] > 0 && g->prefetching < g->max_prefetching;
    return may ? CLASS_PREFETCH : CLASS_COUNT;
}

static struct seat *pop_next(struct gate *g)
{
    enum load_class class = gate_first_class(g);
    if (class == CLASS_COUNT)
        return NULL;
    if (class <= CLASS_BULK)
        g->bulk_next = class == CLASS_SINGLE;
    struct seat *seat = first_of(g, class);
    dequeue(seat);
    return seat;
}

static bool breaker_lets(struct gate *g)
{
    struct breaker_rule rule = {g->conf->policy.breaker_failures, g->conf->policy.breaker_open_ms};
    int64_t now_ms = clock_ms();
    if (breaker_admits(&g->breaker, &rule, now_ms))
        return true;
    struct seat *seat = gate_pop_queued(g);
    struct err err;
    err_set(&err, ERR_BREAKER_OPEN, "loader %s: its source was unwell for %lld loads in a row",
            g->conf->pattern, (long long)g->conf->policy.breaker_failures);
    err.retry_after_ms = (int32_t)breaker_retry_after_ms(&g->breaker, now_ms);
    count_refusal(g, M_BREAKER_REFUSED);
    gate_refuse(seat, &err);
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
static bool begin_flight(struct seat *seat, int64_t now_ms, struct begun *begun)
{
    struct gate *g = seat->gate;
    struct loader *l = loader_of(g);
    struct beginning b = {
        .generation = g->set->snapshot->generation,
        .now_ms = now_ms,
        .queued = l->turn > seat->turn && l->turn > g->ready_turn,
    };
    flights_begin(l->options.flights, seat->flight, &b, begun);
    if (begun->wanted)
        return true;
    flight_unref(seat_take_flight(seat));
    seat_free(seat);
    return false;
}

/* Moves up to batch_max seats into ld; how many. */
static uint32_t fill(struct gate *g, struct load *ld)
{
    struct list taken, later, *link;
    struct seat *seat;
    uint32_t n = 0;
    int64_t now_ms = clock_ms();
    bool detached = false, primary = false;
    list_init(&taken);
    list_init(&later);
    while (n < g->batch_max && (seat = pop_next(g))) {
        struct begun begun;
        if (!begin_flight(seat, now_ms, &begun))
            continue;
        detached = detached || begun.detached;
        if (detached && has_key_of(&taken, seat->flight)) {
            list_push_back(&later, &seat->link);
            continue;
        }
        list_push_back(&taken, &seat->link);
        g->prefetching += seat->class == CLASS_PREFETCH;
        primary = primary || begun.primary;
        n++;
    }
    while ((link = list_pop_front(&taken)))
        load_take(ld, container_of(link, struct seat, link), primary);
    while ((link = list_pop_front(&later)))
        enqueue(container_of(link, struct seat, link), CLASS_SINGLE);
    if (g->queued > 0)
        become_ready(g);
    return n;
}

void gate_start(struct gate *g)
{
    if (!breaker_lets(g))
        return;
    struct load *ld = load_new(g);
    if (!ld) {
        struct err err;
        err_set(&err, ERR_NOMEM, "no memory for a load");
        breaker_gave_up(&g->breaker);
        gate_refuse(gate_pop_queued(g), &err);
        return;
    }
    g->in_flight++;
    g->turns->in_flight++;
    if (fill(g, ld) > 0) {
        publish(g);
        load_begin(ld);
        return;
    }
    breaker_gave_up(&g->breaker);
    load_free(ld);
    g->in_flight--;
    g->turns->in_flight--;
    publish(g);
}

void gate_left(struct gate *g, uint32_t n, uint32_t prefetched)
{
    g->in_flight--;
    g->turns->in_flight--;
    g->prefetching -= prefetched;
    if (g->queued > 0)
        pace_left(&g->pace, n, clock_ms());
    else
        pace_empty(&g->pace, clock_ms());
    publish(g);
    turns_mark(g);
}
