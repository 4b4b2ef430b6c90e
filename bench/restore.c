/*
 * restore: a store of small entries as records, and back into another one, without a file.
 *
 *   bench_restore [MILLIONS [SHARDS]]
 *
 * CPU time of one thread for an entry, on the way out and on the way in, where both stores have one
 * seed, and where the second has another one and twice the shards. Pieces are of 64 KiB, as a
 * snapshot's; the longest of them is the longest hold of a lock.
 */
#include "store/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MILLION 1000000
#define PIECE   65536

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void must(bool ok)
{
    if (ok)
        return;
    fputs("bench_restore: no memory\n", stderr);
    exit(1);
}

static struct store *new_store(unsigned shards, uint64_t seed)
{
    size_t memory = (size_t)(shards < 16 ? shards : 16) << 30;
    struct store_options o = {.memory_bytes = memory, .shards = shards, .seed = seed};
    struct store *s;
    must(store_new(&s, &o, NULL) == 0);
    return s;
}

static void fill(struct store *s, unsigned count)
{
    static const char value[32];
    char text[16];
    for (unsigned i = 0; i < count; i++) {
        struct slice key = slice_of(text, (size_t)snprintf(text, sizeof text, "bench:%08u", i));
        struct put p = {.key = key,
                        .hash = store_hash(s, key),
                        .value = slice_of(value, sizeof value),
                        .ttl_ms = 3600000,
                        .has_version = true,
                        .version = i,
                        .load_us = 1000};
        must(store_put(s, &p, 0, NULL) == 0);
    }
}

static size_t take_in(struct store *s, struct slice records)
{
    static const struct restore how = {.as = RESTORED_PROVEN, .passed_ms = 1000};
    struct record r;
    size_t sum = 0;
    while (records.size > 0) {
        bool stored;
        must(record_read(&records, &r, NULL) == 0);
        must(store_restore(s, &r, &how, 0, &stored, NULL) == 0);
        sum += stored;
    }
    return sum;
}

static void run(struct store *from, unsigned shards, uint64_t seed, const char *name)
{
    struct store *into = new_store(shards, seed);
    struct dump_cursor cursor = {0};
    struct buf out;
    int64_t out_ns = 0, in_ns = 0, longest_ns = 0;
    size_t bytes = 0, pieces = 0, sum = 0, over = 0;
    buf_init(&out, 0);
    for (; !cursor.done; pieces++) {
        size_t count;
        buf_clear(&out);
        int64_t begin = cpu_ns();
        must(store_dump(from, &cursor, 0, PIECE, &out, &count) == 0);
        int64_t dumped = cpu_ns();
        sum += take_in(into, buf_slice(&out));
        in_ns += cpu_ns() - dumped;
        out_ns += dumped - begin;
        over += dumped - begin > 1000000;
        longest_ns = dumped - begin > longest_ns ? dumped - begin : longest_ns;
        bytes += out.size;
    }
    printf("%-14s entries=%zu bytes=%zu pieces=%zu out_ns=%.0f in_ns=%.0f out_s=%.2f in_s=%.2f "
           "longest_us=%.0f over_1ms=%zu\n",
           name, sum, bytes, pieces, (double)out_ns / (double)sum, (double)in_ns / (double)sum,
           (double)out_ns / 1e9, (double)in_ns / 1e9, (double)longest_ns / 1e3, over);
    buf_fini(&out);
    store_free(into);
}

int main(int argc, char **argv)
{
    double millions = argc > 1 ? strtod(argv[1], NULL) : 10;
    unsigned shards = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 16;
    struct store *from = new_store(shards, 1);
    fill(from, (unsigned)(millions * MILLION));
    run(from, shards, 1, "same seed");
    run(from, 2 * shards, 2, "another seed");
    store_free(from);
    return 0;
}
