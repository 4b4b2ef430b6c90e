/*
 * metric_page: all numbers as Prometheus reads them.
 *
 *   report_walk, report_loader --sink--> a row of the table --> its samples, kept by family
 *   counters, histograms, process ---------------------------> a family each
 *
 * Names follow Prometheus' conventions: rtcache_, seconds and bytes, _total of what only grows.
 * Labels are names of the configuration and words of ours, never keys. Formats: text 0.0.4, and
 * OpenMetrics 1.0.0 (a counter's family has no _total, the end is told). Thread: any that may read
 * the snapshot. Errors: ERR_NOMEM, ERR_TOO_LARGE of the buf.
 */
#ifndef RTCACHE_ADMIN_METRIC_PAGE_H
#define RTCACHE_ADMIN_METRIC_PAGE_H

#include "base/buf.h"
#include "serve/report.h"

enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS };

/* By an Accept header. */
enum metric_format metric_page_format(const char *accept);
const char *metric_page_type(enum metric_format format);
int metric_page_write(const struct report *r, bool ready, enum metric_format format,
                      struct buf *out) MUST_USE;

#endif
