#include "store/ghost.h"

#include <stdlib.h>
#include <string.h>

#define BUCKET_BYTES (GHOST_WAYS * sizeof(uint16_t))

void ghost_init(struct ghost *g)
{
    *g = (struct ghost){.places = NULL};
}

void ghost_fini(struct ghost *g)
{
    free(g->places);
    ghost_init(g);
}

void ghost_fit(struct ghost *g, size_t n)
{
    size_t places = g->buckets * GHOST_WAYS;
    if (n <= places && n > places / 8)
        return;
    size_t buckets = 1;
    while (buckets * GHOST_WAYS < n)
        buckets *= 2;
    if (buckets == g->buckets)
        return;
    uint16_t *fresh = calloc(buckets, BUCKET_BYTES);
    if (!fresh)
        return;
    free(g->places);
    g->places = fresh;
    g->buckets = buckets;
}

static uint16_t *bucket_of(const struct ghost *g, uint64_t hash)
{
    return g->places + (hash & (g->buckets - 1)) * GHOST_WAYS;
}

/* Bits that the bucket's number does not use; 0 is an empty place. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 32);
    return print ? print : 1;
}

void ghost_add(struct ghost *g, uint64_t hash)
{
    if (!g->buckets)
        return;
    uint16_t *bucket = bucket_of(g, hash);
    memmove(bucket + 1, bucket, BUCKET_BYTES - sizeof(*bucket));
    bucket[0] = print_of(hash);
}

bool ghost_take(struct ghost *g, uint64_t hash)
{
    if (!g->buckets)
        return false;
    uint16_t *bucket = bucket_of(g, hash), print = print_of(hash);
    for (size_t i = 0; i < GHOST_WAYS && bucket[i]; i++) {
        if (bucket[i] != print)
            continue;
        memmove(bucket + i, bucket + i + 1, (GHOST_WAYS - 1 - i) * sizeof(*bucket));
        bucket[GHOST_WAYS - 1] = 0;
        return true;
    }
    return false;
}

size_t ghost_bytes(const struct ghost *g)
{
    return g->buckets ? g->buckets * BUCKET_BYTES + 2 * sizeof(size_t) : 0;
}
