/*
 * shared: hits of one store from several threads, without network: what its locks and the cache
 * lines that threads write in turn cost.
 *
 *   bench_shared THREADS SHARDS SECONDS
 *   keys=10000 zipf=0 threads=2 rate=11234567 wall_ns=178.0 cpu_ns=171.2      (a line each)
 *
 * By 1, 2, 4, ... threads, for 10,000 keys and for a million of them, each as likely and by Zipf's
 * law, and for a single key. wall_ns and cpu_ns are those of one hit in one thread: in a perfect
 * world they do not grow with the threads, as long as there are cores.
 */
#include "base/buf.h"
#include "pick.h"
#include "store/store.h"

#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
#define KEY_BYTES   13 /* "bench:" and seven digits */
#define EACH        64 /* hits between two looks at whether it is over */

struct reader {
    struct store *store;
    const atomic_bool *over;
    struct pick pick;
    uint64_t hits, cpu_ns;
    pthread_t thread;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        err(2, "clock");
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int64_t now_ms(void)
{
    return (int64_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000);
}

static struct slice write_key(char *name, unsigned number)
{
    for (char *digit = name + KEY_BYTES; digit-- > name + KEY_BYTES - 7; number /= 10)
        *digit = (char)('0' + number % 10);
    return slice_of(name, KEY_BYTES);
}

static void fill(struct store *s, unsigned keys)
{
    static const char value[100];
    char name[KEY_BYTES + 1] = "bench:0000000";
    for (unsigned i = 0; i < keys; i++) {
        struct slice key = write_key(name, i);
        struct put p = {.key = key,
                        .hash = store_hash(s, key),
                        .value = slice_of(value, sizeof value),
                        .ttl_ms = 3600000};
        if (store_put(s, &p, now_ms(), NULL) != 0)
            errx(2, "no memory");
    }
}

static void *read_on(void *arg)
{
    struct reader *r = arg;
    char name[KEY_BYTES + 1] = "bench:0000000";
    struct buf out;
    buf_init(&out, 0);
    if (buf_append(&out, name, 1) != 0)
        errx(2, "no memory");
    uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (!atomic_load_explicit(r->over, memory_order_relaxed)) {
        int64_t now = now_ms();
        for (unsigned i = 0; i < EACH; i++) {
            struct slice key = write_key(name, pick_key(&r->pick));
            struct hit hit;
            out.size = 0;
            if (store_get(r->store, key, store_hash(r->store, key), now, 0, &out, &hit) !=
                LOOKUP_FRESH)
                errx(2, "%.*s is not there", KEY_BYTES, name);
        }
        r->hits += EACH;
    }
    r->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
    buf_fini(&out);
    return NULL;
}

static void measure(struct store *s, unsigned keys, bool zipf, unsigned threads, double seconds)
{
    static struct reader readers[THREADS_MAX];
    atomic_bool over = false;
    uint64_t hits = 0, cpu = 0, start = clock_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < threads; i++) {
        readers[i] = (struct reader){.store = s, .over = &over};
        pick_init(&readers[i].pick, keys, zipf);
        readers[i].pick.random += i * UINT64_C(0x9e3779b97f4a7c15);
        if (pthread_create(&readers[i].thread, NULL, read_on, &readers[i]))
            errx(2, "no thread");
    }
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&over, true);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(readers[i].thread, NULL);
        hits += readers[i].hits;
        cpu += readers[i].cpu_ns;
    }
    double wall = (double)(clock_ns(CLOCK_MONOTONIC) - start);
    printf("keys=%u zipf=%d threads=%u rate=%.0f wall_ns=%.1f cpu_ns=%.1f\n", keys, zipf, threads,
           (double)hits * 1e9 / wall, wall * threads / (double)hits, (double)cpu / (double)hits);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned threads = argc == 4 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    if (threads < 1 || threads > THREADS_MAX)
        errx(2, "usage: bench_shared THREADS SHARDS SECONDS, 1 to %d threads", THREADS_MAX);
    struct store_options o = {
        .memory_bytes = (size_t)1 << 30, .shards = (unsigned)strtoul(argv[2], NULL, 10), .seed = 1};
    double seconds = strtod(argv[3], NULL);
    static const struct {
        unsigned keys;
        bool zipf;
    } cases[] = {{10000, false}, {1000000, false}, {1000000, true}, {1, false}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store *s;
        struct err e;
        if (store_new(&s, &o, &e) != 0)
            errx(2, "%s", e.text);
        fill(s, cases[i].keys);
        for (unsigned n = 1; n <= threads; n *= 2)
            measure(s, cases[i].keys, cases[i].zipf, n, seconds);
        store_free(s);
    }
    return 0;
}
