/*
 * store: what the store does while it grows and while much expires at once, without a server.
 *
 *   bench_store [MILLIONS]
 *
 * The longest single put while it grows to that many entries (10 million by default), by the
 * thread's CPU time, with its page faults; beside it the longest first write to as many pages
 * without a store, which is the system's alone; and the CPU time of the ticks that expire a million
 * entries stored within one second, with ttls of a second.
 */
#include "store/heap.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define MILLION     1000000
#define ENTRY_BYTES 160 /* about; for the pages of as many */

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

/* What the calling thread has used so far. */
struct usage {
    int64_t wall_ns, cpu_ns;
    long faults, preempted;
};

static struct usage usage_now(void)
{
    struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    return (struct usage){clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_THREAD_CPUTIME_ID),
                          r.ru_minflt + r.ru_majflt, r.ru_nivcsw};
}

/* Steps one after the other: the longest, by CPU time. */
struct steps {
    struct usage start, before, longest;
    int64_t over; /* a millisecond */
};

static void begin_steps(struct steps *s)
{
    *s = (struct steps){.over = 0};
    s->start = s->before = usage_now();
}

static void end_step(struct steps *s)
{
    struct usage now = usage_now(), *b = &s->before;
    struct usage u = {now.wall_ns - b->wall_ns, now.cpu_ns - b->cpu_ns, now.faults - b->faults,
                      now.preempted - b->preempted};
    if (u.cpu_ns > s->longest.cpu_ns)
        s->longest = u;
    s->over += u.cpu_ns > 1000000;
    *b = now;
}

static void print_longest(const char *what, const struct steps *s)
{
    const struct usage *u = &s->longest;
    printf("%s: %.0f us of CPU time (%.0f by the clock, %ld page faults, %ld times preempted); "
           "%" PRId64 " over 1 ms\n",
           what, (double)u->cpu_ns / 1e3, (double)u->wall_ns / 1e3, u->faults, u->preempted,
           s->over);
}

/* How long it took, by the clock. */
static int64_t grow(unsigned count)
{
    struct store *s = new_store();
    struct steps steps;
    begin_steps(&steps);
    for (unsigned i = 0; i < count; i++) {
        put(s, i, 0, 0);
        end_step(&steps);
    }
    printf("growth to %u entries: %.0f ns a put\n", count,
           (double)(steps.before.cpu_ns - steps.start.cpu_ns) / count);
    print_longest("the longest put", &steps);
    store_free(s);
    return steps.before.wall_ns - steps.start.wall_ns;
}

/* The machine's part: what a thread that does nothing is charged at once, interrupts and the time
 * that a hypervisor takes away included. */
static void do_nothing(int64_t ns)
{
    struct steps steps;
    begin_steps(&steps);
    while (steps.before.wall_ns - steps.start.wall_ns < ns)
        end_step(&steps);
    print_longest("the longest step of a thread that does nothing for as long", &steps);
}

/* What of a long put is the system's: so many fresh pages, each written to once. */
static void touch(size_t pages)
{
    char *at =
        mmap(NULL, pages * HEAP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("bench_store: mmap");
        exit(1);
    }
    madvise(at, pages * HEAP_PAGE, MADV_NOHUGEPAGE); /* as the store's */
    struct steps steps;
    begin_steps(&steps);
    for (size_t i = 0; i < pages; i++) {
        at[i * HEAP_PAGE] = 1;
        end_step(&steps);
    }
    print_longest("the longest first write to a page, without a store", &steps);
    munmap(at, pages * HEAP_PAGE);
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
    unsigned count = (argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10) * MILLION;
    do_nothing(grow(count));
    touch((size_t)count * ENTRY_BYTES / HEAP_PAGE);
    expire();
    return 0;
}
