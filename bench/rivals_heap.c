/* The policies that order all that is stored: Belady's, and GreedyDual-Size-Frequency. */
#include "rivals.h"

#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define NOWHERE UINT32_MAX

/* A binary heap of keys: the least rank is at the top. */
struct heap {
    uint32_t *keys; /* owned */
    uint32_t *at;   /* owned: by key; NOWHERE: it is not in the heap */
    double *rank;   /* owned: by key */
    uint32_t count;
};

static void heap_init(struct heap *h, size_t keys)
{
    *h = (struct heap){.keys = calloc(keys, sizeof *h->keys),
                       .at = calloc(keys, sizeof *h->at),
                       .rank = calloc(keys, sizeof *h->rank)};
    if (!h->keys || !h->at || !h->rank)
        errx(2, "no memory for %zu keys", keys);
    for (size_t i = 0; i < keys; i++)
        h->at[i] = NOWHERE;
}

static void heap_fini(struct heap *h)
{
    free(h->keys);
    free(h->at);
    free(h->rank);
}

static void heap_set(struct heap *h, uint32_t i, uint32_t key)
{
    h->keys[i] = key;
    h->at[key] = i;
}

static void heap_up(struct heap *h, uint32_t i)
{
    uint32_t key = h->keys[i];
    for (; i > 0 && h->rank[h->keys[(i - 1) / 2]] > h->rank[key]; i = (i - 1) / 2)
        heap_set(h, i, h->keys[(i - 1) / 2]);
    heap_set(h, i, key);
}

static void heap_down(struct heap *h, uint32_t i)
{
    uint32_t key = h->keys[i];
    for (uint32_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && h->rank[h->keys[child + 1]] < h->rank[h->keys[child]])
            child++;
        if (h->rank[h->keys[child]] >= h->rank[key])
            break;
        heap_set(h, i, h->keys[child]);
    }
    heap_set(h, i, key);
}

/* Also of a key that is in the heap with another rank. */
static void heap_put(struct heap *h, uint32_t key, double rank)
{
    if (h->at[key] == NOWHERE)
        heap_set(h, h->count++, key);
    h->rank[key] = rank;
    heap_up(h, h->at[key]);
    heap_down(h, h->at[key]);
}

static void heap_pop(struct heap *h)
{
    uint32_t last = h->keys[--h->count];
    h->at[h->keys[0]] = NOWHERE;
    if (h->count == 0)
        return;
    heap_set(h, 0, last);
    heap_down(h, 0);
}

/* For each request, minus the number of its key's next one; what never comes again has the least.
 */
static double *next_reads(const struct trace *t)
{
    double *next = calloc(t->count, sizeof *next), *seen = calloc(t->distinct, sizeof *seen);
    if (!next || !seen)
        errx(2, "no memory for %zu requests", t->count);
    for (size_t i = 0; i < t->distinct; i++)
        seen[i] = -(double)t->count;
    for (size_t i = t->count; i-- > 0;) {
        next[i] = seen[t->requests[i]];
        seen[t->requests[i]] = -(double)i;
    }
    free(seen);
    return next;
}

size_t rival_opt(const struct trace *t, size_t room)
{
    struct heap h;
    double *next = next_reads(t);
    size_t misses = 0;
    heap_init(&h, t->distinct);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        bool stored = h.at[key] != NOWHERE;
        misses += !stored;
        if (!stored && h.count == room) {
            if (h.rank[h.keys[0]] >= next[i])
                continue; /* all that is there is read before it */
            heap_pop(&h);
        }
        heap_put(&h, key, next[i]);
    }
    heap_fini(&h);
    free(next);
    return misses;
}

size_t rival_gdsf(const struct trace *t, const size_t *costs, size_t capacity_bytes)
{
    struct heap h;
    double *reads = calloc(t->distinct, sizeof *reads), age = 0;
    size_t misses = 0, used = 0;
    if (!reads)
        errx(2, "no memory for %zu keys", t->distinct);
    heap_init(&h, t->distinct);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        size_t cost = costs[key];
        bool stored = h.at[key] != NOWHERE;
        misses += !stored;
        if (cost > capacity_bytes)
            continue;
        while (!stored && used + cost > capacity_bytes) {
            uint32_t victim = h.keys[0];
            age = h.rank[victim];
            used -= costs[victim];
            heap_pop(&h);
        }
        used += stored ? 0 : cost;
        reads[key] = stored ? reads[key] + 1 : 1;
        heap_put(&h, key, age + reads[key] / (double)cost);
    }
    heap_fini(&h);
    free(reads);
    return misses;
}
