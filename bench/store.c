/*
 * store: what the store does while it grows and while much expires at once, without a server.
 *
 *   bench_store [MILLIONS]
 *
 * The longest single put while it grows to that many entries (10 million by default), by wall clock
 * and by the thread's CPU time, which an interrupted thread does not spend; and the CPU time of the
 * ticks that expire a million entries stored within one second, with ttls of a second.
 */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MILLION 1000000

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct store *new_store(void)
{
    struct store_options o = {.memory_bytes = (size_t)16 << 30, .shards = 4, .seed = 1};
    struct store *s;
    struct err e;
    if (store_new(&s, &o, &e) == 0)
        return s;
    fprintf(stderr, "bench_store: %s\n", e.text);
    exit(1);
}

static void put(struct store *s, unsigned i, int64_t now_ms, int64_t ttl_ms)
{
    static const char value[100];
    char text[16];
    struct slice key = slice_of(text, (size_t)snprintf(text, sizeof text, "bench:%08u", i));
    struct put p = {.key = key,
                    .hash = store_hash(s, key),
                    .value = slice_of(value, sizeof value),
                    .ttl_ms = ttl_ms};
    if (store_put(s, &p, now_ms, NULL) != 0) {
        fputs("bench_store: no memory\n", stderr);
        exit(1);
    }
}

static void grow(unsigned count)
{
    struct store *s = new_store();
    int64_t longest = 0, longest_cpu = 0, over = 0, start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t before = clock_ns(CLOCK_MONOTONIC), cpu = start;
    for (unsigned i = 0; i < count; i++) {
        put(s, i, 0, 0);
        int64_t now = clock_ns(CLOCK_MONOTONIC), now_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        longest = now - before > longest ? now - before : longest;
        longest_cpu = now_cpu - cpu > longest_cpu ? now_cpu - cpu : longest_cpu;
        over += now_cpu - cpu > 1000000;
        before = now;
        cpu = now_cpu;
    }
    printf("growth to %u entries: longest put %.0f us, by CPU time %.0f us, %" PRId64
           " over 1 ms; %.0f ns a put\n",
           count, (double)longest / 1e3, (double)longest_cpu / 1e3, over,
           (double)(cpu - start) / count);
    store_free(s);
}

static void expire(void)
{
    struct store *s = new_store();
    for (unsigned i = 0; i < MILLION; i++)
        put(s, i, i / 1000, 1000);
    int64_t cpu = 0, ms = 1000;
    size_t gone = 0;
    for (; gone < MILLION; ms += STORE_TICK_MS) {
        int64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        gone += store_tick(s, ms, SIZE_MAX, NULL);
        cpu += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
    }
    printf("expiry of %d entries: all gone %" PRId64 " ms after the last was due, %.1f ms of CPU, "
           "%.0f ns each\n",
           MILLION, ms - STORE_TICK_MS - 1999, (double)cpu / 1e6, (double)cpu / MILLION);
    store_free(s);
}

int main(int argc, char **argv)
{
    grow((argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10) * MILLION);
    expire();
    return 0;
}
