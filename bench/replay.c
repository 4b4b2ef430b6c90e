/*
 * replay: a trace through the real store, beside LRU and FIFO of as many bytes.
 *
 *   replay FORMAT FILE SHARDS PERCENT...
 *   requests=914145 keys=186880 sized=0 percent=1 room=1868 lru=0.583742 fifo=0.634016
 *   rtcache=0.535276 stored=1868 refused=0                     (a line for each percent)
 *
 * With one shard it also says what others would have missed (rivals.h), some of them with several
 * settings: s3fifo, arc, lirs_PERCENT, wtlfu_PERCENT, opt; gdsf where the trace has sizes.
 *
 * Every request is a get, and a put where that misses. The store's limit follows its overhead (the
 * tables, the ghost), so that the entries alone have just PERCENT of the bytes of all keys, as LRU
 * and FIFO have; `room` is how many keys of the mean size that is.
 */
#include "base/hash.h"
#include "reference.h"
#include "rivals.h"
#include "store/heap.h"
#include "store/shard.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 7
#define SHARD_ROOM                                                                                 \
    65536 /* bytes of entries that a shard has at least, where all are of one size                 \
           */
#define LEAST_VALUE  40
#define PERCENT_MAX  100
#define LEAST_STORED 16 /* entries in a shard, for a figure that means anything */

struct replay {
    const struct trace *trace;
    uint32_t *values; /* owned: the bytes of the value, by key */
    size_t *costs;    /* owned: the bytes of the entry, by key */
    size_t total;     /* of all keys */
    char *zeros;      /* owned: the longest value */
    bool sized;
};

struct outcome {
    size_t misses;
    struct store_stats stats;
};

static struct put put_of(const struct replay *r, const struct store *s, const uint32_t *key)
{
    struct slice name = slice_of((const char *)key, sizeof *key);
    return (struct put){
        .key = name,
        .hash = s ? store_hash(s, name) : 0,
        .value = slice_of(r->zeros, r->values[*key]),
    };
}

/* `unit`: the size of all values where the trace has no sizes. */
static void measure_keys(struct replay *r, uint32_t unit)
{
    const struct trace *t = r->trace;
    uint32_t longest = unit;
    if (t->distinct == 0)
        errx(2, "no keys");
    r->values = calloc(t->distinct, sizeof *r->values);
    r->costs = calloc(t->distinct, sizeof *r->costs);
    if (!r->values || !r->costs)
        errx(2, "no memory for %zu keys", t->distinct);
    for (size_t i = 0; i < t->distinct; i++) {
        r->values[i] = r->sized ? t->sizes[i] : unit;
        longest = r->values[i] > longest ? r->values[i] : longest;
    }
    r->zeros = calloc(1, longest + 1);
    for (uint32_t i = 0; r->zeros && i < t->distinct; i++) {
        struct put p = put_of(r, NULL, &i);
        struct entry *e = entry_new(&p);
        if (!e)
            errx(2, "no memory for a value of %u bytes", r->values[i]);
        r->costs[i] = entry_bytes(e);
        r->total += r->costs[i];
        entry_unref(e);
    }
}

static void forget_keys(struct replay *r)
{
    free(r->values);
    free(r->costs);
    free(r->zeros);
    r->total = 0;
}

static struct outcome through_store(const struct replay *r, size_t capacity, unsigned shards)
{
    const struct trace *t = r->trace;
    struct outcome o = {.misses = 0};
    struct err e;
    struct store *s;
    struct store_options options = {
        .memory_bytes = capacity + shards * (size_t)SHARD_LEAST_BYTES,
        .shards = shards,
        .seed = SEED,
    };
    if (store_new(&s, &options, &e) != 0)
        errx(2, "%s", e.text);
    size_t limit = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct put p = put_of(r, s, &t->requests[i]);
        struct hit hit;
        if (store_get(s, p.key, p.hash, 0, 0, NULL, &hit) == LOOKUP_FRESH) {
            entry_unref(hit.entry);
            continue;
        }
        o.misses++;
        if (store_put(s, &p, 0, &e) == ERR_NOMEM)
            errx(2, "%s", e.text);
        store_read_stats(s, &o.stats);
        size_t wanted = o.stats.bytes - o.stats.entry_bytes + capacity;
        if (wanted != limit)
            store_set_memory(s, limit = wanted, 0);
    }
    store_free(s);
    return o;
}

/* So that an entry takes whole pages: the heap grows by these, and has as many as there are keys.
 */
static uint32_t unit_value(size_t keys, unsigned shards)
{
    uint32_t key = 0;
    const struct put empty = {.key = slice_of((const char *)&key, sizeof key)};
    size_t pages = SHARD_ROOM * (size_t)shards / keys / HEAP_PAGE + 1;
    return (uint32_t)(pages * HEAP_PAGE - entry_size(&empty));
}

static void print_rivals(const struct replay *r, size_t room, size_t capacity)
{
    static const unsigned lirs[] = {1, 5, 10, 20}, windows[] = {1, 5, 20, 50, 80};
    const struct trace *t = r->trace;
    double requests = (double)t->count;
    if (r->sized) {
        printf(" gdsf=%.6f", (double)rival_gdsf(t, r->costs, capacity) / requests);
        return;
    }
    printf(" s3fifo=%.6f arc=%.6f opt=%.6f", (double)rival_s3fifo(t, room) / requests,
           (double)rival_arc(t, room) / requests, (double)rival_opt(t, room) / requests);
    for (size_t i = 0; i < sizeof lirs / sizeof lirs[0]; i++)
        printf(" lirs_%u=%.6f", lirs[i],
               (double)rival_lirs(t, room, lirs[i] / (double)PERCENT_MAX) / requests);
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        printf(" wtlfu_%u=%.6f", windows[i],
               (double)rival_wtlfu(t, room, windows[i] / (double)PERCENT_MAX) / requests);
}

static void replay(struct replay *r, unsigned percent, unsigned shards)
{
    const struct trace *t = r->trace;
    size_t keys = t->distinct * percent / PERCENT_MAX;
    if (keys == 0)
        errx(2, "%u %% of %zu keys are none", percent, t->distinct);
    measure_keys(r, unit_value(keys, shards));
    size_t capacity = r->sized ? r->total / PERCENT_MAX * percent : r->total / t->distinct * keys;
    size_t room = r->sized ? t->distinct * capacity / r->total : keys;
    if (room / shards < LEAST_STORED / 2) {
        warnx("%zu keys are too few for %u shards", room, shards);
        forget_keys(r);
        return;
    }
    double requests = (double)t->count;
    size_t lru = reference_misses(REFERENCE_LRU, t, r->costs, capacity);
    size_t fifo = reference_misses(REFERENCE_FIFO, t, r->costs, capacity);
    struct outcome o = through_store(r, capacity, shards);
    printf("requests=%zu keys=%zu sized=%d percent=%u room=%zu lru=%.6f fifo=%.6f rtcache=%.6f "
           "stored=%llu refused=%llu",
           t->count, t->distinct, r->sized, percent, room, (double)lru / requests,
           (double)fifo / requests, (double)o.misses / requests,
           (unsigned long long)o.stats.entries, (unsigned long long)o.stats.refused);
    if (shards == 1)
        print_rivals(r, room, capacity);
    putchar('\n');
    forget_keys(r);
}

static unsigned number_of(const char *text, unsigned most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end || n == 0 || n > most)
        errx(2, "%s: a number from 1 to %u is wanted", text, most);
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        errx(2, "FORMAT FILE SHARDS PERCENT... are wanted");
    struct trace t;
    trace_read(&t, argv[1], argv[2]);
    struct replay r = {.trace = &t};
    for (size_t i = 0; i < t.distinct && !r.sized; i++)
        r.sized = t.sizes[i] != 1;
    for (int i = 4; i < argc; i++)
        replay(&r, number_of(argv[i], PERCENT_MAX), number_of(argv[3], UINT16_MAX));
    trace_free(&t);
    return 0;
}
