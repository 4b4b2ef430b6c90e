#include "admin/metric_own.h"

#include "base/clock.h"
#include "metrics/metrics.h"
#include "sys/process.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void one(struct metric_text *t, const char *name, const char *type, double value,
                const char *help)
{
    metric_text_family(t, name, type, help);
    metric_text_number(t, name, "", value);
}

static double seconds_of(const struct timeval *v)
{
    return (double)v->tv_sec + (double)v->tv_usec / 1e6;
}

/* The names are those that Prometheus' own client libraries give. */
static void write_process(struct metric_text *t)
{
    struct rusage used;
    struct rlimit files;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        one(t, "process_cpu_seconds_total", "counter",
            seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime), "CPU time of all threads.");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        one(t, "process_max_fds", "gauge", (double)files.rlim_cur, "Descriptors there may be.");
    one(t, "process_resident_memory_bytes", "gauge", (double)process_resident(),
        "Resident memory.");
}

static void write_counters(struct metric_text *t)
{
    char name[96];
    for (int i = 0; i < M_COUNT; i++) {
        enum metric_counter id = (enum metric_counter)i;
        const char *short_name = metrics_counter_name(id);
        size_t size = strlen(short_name);
        bool total = size > 6 && strcmp(short_name + size - 6, "_total") == 0;
        snprintf(name, sizeof name, "rtcache_%s%s", short_name, total ? "" : "_total");
        metric_text_family(t, name, "counter", metrics_counter_text(id));
        metric_text_count(t, name, "", metrics_sum(id), 1);
    }
}

/* Times are kept in whole microseconds, rounded down: what is kept as below 2^n was below it, and
 * what is kept as 2^n was not below. */
static void write_histogram(struct metric_text *t, const char *name, enum metric_histogram id,
                            unsigned first, unsigned last, double unit, const char *help)
{
    struct metrics_below b;
    char part[96], label[64];
    metrics_read_below(id, &b);
    metric_text_family(t, name, "histogram", help);
    snprintf(part, sizeof part, "%s_bucket", name);
    for (unsigned power = first; power <= last; power += 2) {
        double edge = (double)((uint64_t)1 << power) / unit;
        /* Of whole numbers, those below an edge are those up to the one before it. */
        snprintf(label, sizeof label, "le=\"%.9g\"", unit > 1 ? edge : edge - 1);
        metric_text_count(t, part, label, b.below[power], 1);
    }
    metric_text_count(t, part, "le=\"+Inf\"", b.count, 1);
    snprintf(part, sizeof part, "%s_sum", name);
    metric_text_number(t, part, "", (double)b.sum / unit);
    snprintf(part, sizeof part, "%s_count", name);
    metric_text_count(t, part, "", b.count, 1);
}

void metric_own_write(struct metric_text *t, bool ready)
{
    metric_text_family(t, "rtcache_build_info", "gauge", "1, with the version as a label.");
    metric_text_count(t, "rtcache_build_info", "version=\"" RTCACHE_VERSION "\"", 1, 1);
    one(t, "rtcache_ready", "gauge", ready, "1: clients are served.");
    write_process(t);
    write_counters(t);
    write_histogram(t, "rtcache_load_duration_seconds", H_LOAD_US, 7, 25, 1e6,
                    "Time of a load, from its start to its end.");
    write_histogram(t, "rtcache_queue_wait_seconds", H_QUEUE_US, 7, 25, 1e6,
                    "Time of a load in its loader's queue.");
    write_histogram(t, "rtcache_wait_seconds", H_WAIT_US, 7, 25, 1e6,
                    "Time that a request waited for a load.");
    write_histogram(t, "rtcache_batch_keys", H_BATCH_KEYS, 1, 13, 1, "Keys of a load_many.");
}
