#include "histogram.h"

#include <string.h>

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 64)
        return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    return (power - 5) * 64 + (unsigned)((ns >> (power - 6)) & 63);
}

/* The middle of a bucket. */
static uint64_t bucket_value(unsigned bucket)
{
    if (bucket < 64)
        return bucket;
    unsigned shift = bucket / 64 - 1;
    return ((64 + (uint64_t)(bucket % 64)) << shift) + ((uint64_t)1 << shift) / 2;
}

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->counts[bucket_of(ns)]++;
    h->total++;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    uint64_t wanted = (uint64_t)((double)h->total * q), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (h->counts[i] && seen >= wanted)
            return bucket_value(i);
    }
    return 0;
}
