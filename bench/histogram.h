/*
 * histogram: latencies in nanoseconds, counted in buckets 1/64 wide.
 *
 * Shape: 64 buckets for each power of two, 30 KB; adding is O(1), a quantile O(buckets).
 * Thread: one. Limits: a quantile is right to 1.6 %.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (59 * 64)

struct histogram {
    uint64_t total;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t ns);
/* q: 0..1. Nanoseconds; 0 where nothing was counted. */
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif
