/*
 * metric_text: families and samples in Prometheus' two text formats.
 *
 * Thread: any. Errors: ERR_NOMEM, ERR_TOO_LARGE; the first is kept in rc, what follows is left out.
 */
#ifndef RTCACHE_ADMIN_METRIC_TEXT_H
#define RTCACHE_ADMIN_METRIC_TEXT_H

#include "base/buf.h"

#include <stdbool.h>

struct metric_text {
    struct buf *out;
    bool openmetrics;
    int rc;
};

/* type: "counter" (name ends in _total, which OpenMetrics leaves off the family), "gauge" or
 * "histogram". */
void metric_text_family(struct metric_text *t, const char *name, const char *type,
                        const char *help);
/* labels: as metric_text_label made them; "" for none. unit: what value is divided by. */
void metric_text_count(struct metric_text *t, const char *name, const char *labels, uint64_t value,
                       double unit);
void metric_text_number(struct metric_text *t, const char *name, const char *labels, double value);

/* Appends word="text" to labels, a comma before it where there are some. Bytes that are no UTF-8
 * are shown as \xff. */
int metric_text_label(struct buf *labels, const char *word, const char *text) MUST_USE;

#endif
