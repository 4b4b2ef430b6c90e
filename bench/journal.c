/*
 * journal: what a change costs in the journal, alone and in batches, by 1, 2, ... threads.
 *
 *   bench_journal FOLDER THREADS SECONDS
 *   sync=0 batch=64 threads=1 rate=15234567 cpu_ns=61.2 wall_ns=65.6          (a line each)
 *
 * A record is that of an invalidated key of 16 bytes with a version. cpu_ns and wall_ns are those
 * of one record in one thread. The folder is made, and left empty.
 */
#include "base/clock.h"
#include "state/journal.h"

#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 64
#define TICK_US     20000

struct writer {
    struct journal *journal;
    const atomic_bool *over;
    unsigned batch;
    uint64_t records;
    int64_t cpu_us;
    pthread_t thread;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    struct journal_lane lane;
    char key[17] = "bench:0123456789";
    struct journal_record r = {
        .kind = JOURNAL_KEY, .text = slice_of(key, 16), .has_version = true, .left_ms = 600000};
    journal_lane_init(&lane, w->journal);
    int64_t before = clock_thread_cpu_us();
    while (!atomic_load_explicit(w->over, memory_order_relaxed)) {
        for (unsigned i = 0; i < w->batch; i++) {
            r.version++;
            journal_note(&lane, &r);
        }
        journal_flush(&lane);
        w->records += w->batch;
    }
    w->cpu_us = clock_thread_cpu_us() - before;
    journal_lane_fini(&lane);
    return NULL;
}

static struct journal *open_journal(struct state_dir *d, bool sync)
{
    struct err e;
    struct journal *j;
    struct journal_options o = {
        .dir = d,
        .boot_id = "bench",
        .incarnation = 1,
        .now_ms = clock_ms(),
        .wall_ms = clock_wall_ms(),
        .keep_ms = 100,
        .max_bytes = (uint64_t)4 << 30,
        .sync = sync,
    };
    if (journal_open(&j, &o, &e) != 0)
        errx(2, "%s", e.text);
    return j;
}

static void measure(struct state_dir *d, bool sync, unsigned batch, unsigned threads,
                    double seconds)
{
    static struct writer writers[THREADS_MAX];
    atomic_bool over = false;
    struct journal *j = open_journal(d, sync);
    struct journal_stats stats;
    uint64_t records = 0;
    int64_t cpu_us = 0, start = clock_us(), end = start + (int64_t)(seconds * 1e6);
    for (unsigned i = 0; i < threads; i++) {
        writers[i] = (struct writer){.journal = j, .over = &over, .batch = batch};
        if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]))
            errx(2, "no thread");
    }
    while (clock_us() < end) { /* as the server does, more often: files do not pile up */
        usleep(TICK_US);
        journal_tick(j, clock_ms(), clock_wall_ms());
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(writers[i].thread, NULL);
        records += writers[i].records;
        cpu_us += writers[i].cpu_us;
    }
    double wall_us = (double)(clock_us() - start);
    journal_read_stats(j, &stats);
    if (stats.broken)
        errx(2, "the journal broke");
    journal_close(j);
    printf("sync=%d batch=%u threads=%u rate=%.0f cpu_ns=%.1f wall_ns=%.1f\n", sync, batch, threads,
           (double)records * 1e6 / wall_us, (double)cpu_us * 1e3 / (double)records,
           wall_us * 1e3 * threads / (double)records);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned most = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    struct state_dir *d;
    struct err e;
    if (most < 1 || most > THREADS_MAX)
        errx(2, "usage: bench_journal FOLDER THREADS SECONDS, 1 to %d threads", THREADS_MAX);
    if (state_dir_open(&d, argv[1], &e) != 0)
        errx(2, "%s", e.text);
    for (int sync = 0; sync < 2; sync++)
        for (unsigned batch = 1; batch <= 64; batch *= 64)
            for (unsigned threads = 1; threads <= most; threads *= 2)
                measure(d, sync, batch, threads, strtod(argv[3], NULL));
    journal_close(open_journal(d, false)); /* which removes what they have written */
    state_dir_close(d);
    return 0;
}
