#include "store/ghost.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define BUCKET_BYTES (GHOST_WAYS * sizeof(uint16_t)) /* a cache line, aligned to it */

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
    uint16_t *fresh = aligned_alloc(BUCKET_BYTES, buckets * BUCKET_BYTES);
    if (!fresh)
        return;
    memset(fresh, 0, buckets * BUCKET_BYTES);
    free(g->places);
    g->places = fresh;
    g->buckets = buckets;
}

static uint16_t *bucket_of(const struct ghost *g, uint64_t hash)
{
    return g->places + hash_ghosts(hash, g->buckets - 1) * GHOST_WAYS;
}

/* 0 is an empty place: the score of one that is taken is at least 1. */
static uint16_t pack(unsigned print, unsigned score, bool from_main)
{
    return (uint16_t)(print << 4 | score << 1 | from_main);
}

static unsigned score_of(uint16_t place)
{
    return place >> 1 & GHOST_SCORE_MAX;
}

static bool is_from_main(uint16_t place)
{
    return place & 1;
}

static bool is_familiar(uint16_t place)
{
    return is_from_main(place) || score_of(place) > 1;
}

void ghost_add(struct ghost *g, uint64_t hash, unsigned score, bool from_main)
{
    if (!g->buckets)
        return;
    uint16_t *bucket = bucket_of(g, hash);
    memmove(bucket + 1, bucket, BUCKET_BYTES - sizeof(*bucket));
    score = score < 1 ? 1 : score > GHOST_SCORE_MAX ? GHOST_SCORE_MAX : score;
    bucket[0] = pack(hash_print(hash), score, from_main);
}

bool ghost_take(struct ghost *g, uint64_t hash, struct ghost_past *out)
{
    if (!g->buckets)
        return false;
    uint16_t *bucket = bucket_of(g, hash);
    unsigned print = hash_print(hash);
    bool small_since = false, familiar_since = false;
    for (size_t i = 0; i < GHOST_WAYS && bucket[i]; i++) {
        uint16_t place = bucket[i];
        if (place >> 4 != print) {
            small_since |= !is_from_main(place);
            familiar_since |= is_familiar(place);
            continue;
        }
        *out = (struct ghost_past){
            .score = score_of(place),
            .from_main = is_from_main(place),
            .lately = i < GHOST_WAYS / 4,
            .last_of_small = !is_from_main(place) && !small_since,
            .last_of_familiar = is_familiar(place) && !familiar_since,
        };
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
