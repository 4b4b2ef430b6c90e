/* Admission of loads: bounds, queue and breaker of one loader on one thread. */
#include "load/loader_priv.h"

#include "base/clock.h"
#include "base/log.h"

static uint32_t share_of(int64_t total, int64_t threads)
{
    int64_t share = (total + threads - 1) / threads;
    return share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

void gate_init(struct gate *g, struct loader_set *set, size_t index)
{
    const struct conf *conf = set->snapshot->conf;
    *g = (struct gate){.set = set, .conf = &conf->loaders[index]};
    list_init(&g->foreground);
    list_init(&g->background);
    list_init(&g->writes);
    g->max_loads = share_of(g->conf->policy.max_loads, conf->loader_threads);
    g->max_queue = share_of(g->conf->policy.max_queue, conf->loader_threads);
    g->max_writes = share_of(g->conf->policy.max_writes, conf->loader_threads);
    g->max_write_queue = share_of(g->conf->policy.max_write_queue, conf->loader_threads);
    g->counters = snapshot_counters(set->snapshot, set->loader->options.index, index);
    g->backend = g->conf->backend ? conf_backend_index(conf, g->conf->backend) : -1;
    const char *primary = g->backend >= 0 ? conf->backends[g->backend].primary : NULL;
    g->primary = primary ? conf_backend_index(conf, primary) : -1;
    g->feed = snapshot_feed_of(conf, g->conf);
    g->script = -1;
}

bool gate_is_cut(const struct gate *g)
{
    return g->feed >= 0 &&
           atomic_load_explicit(&g->set->snapshot->feeds[g->feed].cut, memory_order_acquire);
}

static void publish(struct gate *g)
{
    atomic_store_explicit(&g->counters->in_flight, g->in_flight, memory_order_relaxed);
    atomic_store_explicit(&g->counters->queued, g->queued, memory_order_relaxed);
    atomic_store_explicit(&g->counters->breaker, (int)g->breaker.state, memory_order_relaxed);
}

static void count_refusal(struct gate *g, enum metric_counter id)
{
    metrics_inc(g->set->loader->metrics, id);
    atomic_fetch_add_explicit(&g->counters->refused, 1, memory_order_relaxed);
}

static bool breaker_lets(struct gate *g, struct load *ld)
{
    struct breaker_rule rule = {g->conf->policy.breaker_failures, g->conf->policy.breaker_open_ms};
    int64_t now_ms = clock_ms();
    if (breaker_admits(&g->breaker, &rule, now_ms))
        return true;
    struct err err;
    err_set(&err, ERR_BREAKER_OPEN, "loader %s: its breaker is open after %lld failures in a row",
            g->conf->pattern, (long long)g->conf->policy.breaker_failures);
    err.retry_after_ms = (int32_t)breaker_retry_after_ms(&g->breaker, now_ms);
    count_refusal(g, M_BREAKER_REFUSED);
    load_refuse(ld, &err);
    return false;
}

struct load *gate_pop_queued(struct gate *g)
{
    struct list *link = list_pop_front(&g->foreground);
    if (!link)
        link = list_pop_front(&g->background);
    if (!link)
        return NULL;
    g->queued--;
    publish(g);
    return container_of(link, struct load, link);
}

static void begin(struct gate *g, struct load *ld)
{
    if (!breaker_lets(g, ld))
        return;
    g->in_flight++;
    publish(g);
    load_begin(ld);
}

/* A load may end inside load_begin, which comes back here: the flag keeps that from nesting. */
void gate_pump(struct gate *g)
{
    if (g->pumping)
        return;
    g->pumping = true;
    struct loader_set *set = loader_set_ref(g->set);
    while (g->in_flight < g->max_loads && g->queued > 0) {
        begin(g, gate_pop_queued(g));
    }
    g->pumping = false;
    loader_set_unref(set);
}

void gate_admit(struct gate *g, struct load *ld)
{
    if (g->queued >= g->max_queue && g->in_flight >= g->max_loads) {
        struct err err;
        err_set(&err, ERR_OVERLOADED, "loader %s: %u loads in the air and %u queued",
                g->conf->pattern, g->in_flight, g->queued);
        count_refusal(g, M_LOADS_REFUSED);
        load_refuse(ld, &err);
        return;
    }
    ld->waited = g->queued > 0 || g->in_flight >= g->max_loads;
    list_push_back(ld->flight->background ? &g->background : &g->foreground, &ld->link);
    g->queued++;
    publish(g);
    gate_pump(g);
}

void gate_left(struct gate *g)
{
    g->in_flight--;
    publish(g);
}
