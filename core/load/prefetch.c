#include "load/prefetch.h"

#include "metrics/metrics.h"

enum prefetch prefetch_decide(const struct policy *p, unsigned reads, uint32_t in_air)
{
    if (p->refresh_ahead <= 0 || p->refresh_ahead >= 1)
        return PREFETCH_OFF;
    if ((int64_t)reads < p->prefetch_min_reads)
        return PREFETCH_COLD;
    return in_air < p->prefetch_max_concurrent + p->prefetch_max_queue ? PREFETCH_LOAD
                                                                       : PREFETCH_FULL;
}

static bool start(const struct prefetcher *p, const struct snapshot *s, const struct ahead *a,
                  int64_t now_ms)
{
    int loader;
    struct slice key = entry_key_of(a->entry);
    const struct policy *policy = snapshot_policy(s, key, &loader);
    if (loader < 0 || snapshot_is_cut(s, loader))
        return false;
    uint16_t owner = snapshot_owner(s, loader);
    enum prefetch what = prefetch_decide(policy, a->reads, flights_prefetching(p->flights, owner));
    if (what == PREFETCH_FULL) {
        metrics_inc(metrics_mine(), M_PREFETCH_SKIPPED);
        loader_count(&snapshot_counters(s, 0, (size_t)loader)->prefetch_skipped, 1);
    }
    if (what != PREFETCH_LOAD)
        return false;
    struct join_request q = {
        .key = key,
        .hash = a->hash,
        .now_ms = now_ms,
        .generation = s->generation,
        .loader = loader,
        .reason = REASON_PREFETCH,
        .replaces = true,
        .owner = owner,
        .ahead = a->share,
    };
    struct join_result joined = {0};
    if (flights_join(p->flights, &q, &joined) != JOIN_STARTED)
        return false; /* it is being loaded, or its last load failed a moment ago */
    loader_thread_submit(loader_thread_for(p->loaders, p->loader_count, a->hash), joined.flight,
                         NULL);
    return true;
}

size_t prefetch_run(const struct prefetcher *p, const struct snapshot *s, struct aheads *due,
                    int64_t now_ms)
{
    size_t begun = 0;
    for (size_t i = 0; i < due->count; i++) {
        begun += start(p, s, &due->items[i], now_ms);
        entry_unref(due->items[i].entry);
    }
    due->count = 0;
    return begun;
}
