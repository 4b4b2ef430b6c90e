#include "base/chains.h"

#include <stdlib.h>

static unsigned highest_bit(size_t n)
{
    return 63 - (unsigned)__builtin_clzll(n);
}

static size_t segment_of(size_t bucket)
{
    return bucket < CHAINS_FIRST ? 0 : highest_bit(bucket) - highest_bit(CHAINS_FIRST) + 1;
}

static size_t segment_start(size_t segment)
{
    return segment == 0 ? 0 : (size_t)CHAINS_FIRST << (segment - 1);
}

static struct chain_link **bucket_at(const struct chains *c, size_t bucket)
{
    size_t segment = segment_of(bucket);
    return &c->segments[segment][bucket - segment_start(segment)];
}

/* Buckets above the last power of two are split ones: the others still hold their twins' links. */
static struct chain_link **bucket_of(const struct chains *c, uint64_t hash)
{
    size_t half = (size_t)1 << highest_bit(c->buckets), bucket = hash & (2 * half - 1);
    return bucket_at(c, bucket < c->buckets ? bucket : bucket - half);
}

int chains_init(struct chains *c)
{
    *c = (struct chains){.buckets = CHAINS_FIRST};
    c->segments[0] = calloc(CHAINS_FIRST, sizeof *c->segments[0]);
    return c->segments[0] ? 0 : ERR_NOMEM;
}

void chains_fini(struct chains *c)
{
    for (size_t i = 0; i < CHAINS_SEGMENTS; i++)
        free(c->segments[i]);
    *c = (struct chains){.count = 0};
}

/* The next bucket comes into use, with its part of its twin's links. */
static void split(struct chains *c)
{
    size_t bucket = c->buckets, half = (size_t)1 << highest_bit(bucket);
    size_t segment = segment_of(bucket);
    if (segment >= CHAINS_SEGMENTS)
        return;
    if (!c->segments[segment]) /* above the first; as large as all before it */
        c->segments[segment] = calloc(bucket, sizeof *c->segments[segment]);
    if (!c->segments[segment])
        return;
    struct chain_link **stay = bucket_at(c, bucket - half), **go = bucket_at(c, bucket);
    c->buckets++;
    while (*stay) {
        struct chain_link *link = *stay;
        if (!(link->hash & half)) {
            stay = &link->next;
            continue;
        }
        *stay = link->next;
        link->next = NULL;
        *go = link;
        go = &link->next;
    }
}

void chains_add(struct chains *c, struct chain_link *link)
{
    if (++c->count > c->buckets)
        split(c);
    struct chain_link **first = bucket_of(c, link->hash);
    link->next = *first;
    *first = link;
}

void chains_remove(struct chains *c, struct chain_link *link)
{
    struct chain_link **at = bucket_of(c, link->hash);
    while (*at && *at != link)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = link->next;
    c->count--;
}

static struct chain_link *from(struct chain_link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct chain_link *chains_first(const struct chains *c, uint64_t hash)
{
    return from(*bucket_of(c, hash), hash);
}

struct chain_link *chains_next(const struct chain_link *link)
{
    return from(link->next, link->hash);
}
