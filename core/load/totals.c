#include "load/totals.h"

#define READ(word) atomic_load_explicit(&(word), memory_order_relaxed)

struct loader_totals totals_of_loader(const struct snapshot *s, size_t loader)
{
    struct loader_totals sum = {.breaker = BREAKER_CLOSED};
    for (size_t t = 0; t < s->loaders[loader]->threads; t++) {
        struct loader_counters *c = snapshot_counters(s, t, loader);
        size_t i = 0;
#define ADD_TOTAL(name) sum.of[i++] += READ(c->name);
        LOADER_TOTALS(ADD_TOTAL)
#undef ADD_TOTAL
        for (int r = 0; r < REASON_COUNT; r++)
            sum.by_reason[r] += READ(c->by_reason[r]);
        for (int code = 0; code < ERR_COUNT; code++)
            sum.failures[code] += READ(c->failures[code]);
        sum.in_flight += READ(c->in_flight);
        sum.queued += READ(c->queued);
        enum breaker_state breaker = (enum breaker_state)READ(c->breaker);
        if (breaker == BREAKER_OPEN || sum.breaker == BREAKER_CLOSED)
            sum.breaker = breaker;
    }
    return sum;
}

struct feed_totals totals_of_feed(const struct live_feed *f)
{
    return (struct feed_totals){.connected = READ(f->connected),
                                .cut = READ(f->cut),
                                .events = READ(f->events),
                                .bad = READ(f->bad),
                                .gaps = READ(f->gaps),
                                .lag_ms = READ(f->lag_ms)};
}
