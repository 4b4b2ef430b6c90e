/*
 * metric_own: the metrics that no report has a place for: the version, counters and histograms of
 * all threads, and what the system says of the process.
 *
 * Thread: any.
 */
#ifndef RTCACHE_ADMIN_METRIC_OWN_H
#define RTCACHE_ADMIN_METRIC_OWN_H

#include "admin/metric_text.h"

void metric_own_write(struct metric_text *t, bool ready);

#endif
