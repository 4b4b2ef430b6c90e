/*
 * metric_rows: which number of a report is which metric.
 *
 * Shape: a table by the number's way in the report, a star for a name of the configuration, which
 * is then the label of the row's first word:
 *
 *   "backends.*.queries" {backend="main"} -> rtcache_backend_queries_total{backend="main"}
 *
 * Rows of one metric stand one behind the other. Thread: any, it is constant.
 */
#ifndef RTCACHE_ADMIN_METRIC_ROWS_H
#define RTCACHE_ADMIN_METRIC_ROWS_H

#include <stddef.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric_row {
    const char *path;
    const char *name; /* of the metric; a counter's ends in _total */
    enum metric_type type;
    double unit;       /* what the number is divided by; 1: nothing */
    const char *label; /* `word="text"` that tells it from other rows of the metric; or NULL */
    const char *help;
};

extern const struct metric_row metric_rows[];
extern const size_t metric_rows_count;

#endif
