/*
 * queues: lists of keys, each key in one of them at most, as eviction policies keep them.
 *
 * Shape: 12 bytes a key; all O(1). Queues are numbered from 1; 0: the key is in none. Thread: its
 * owner's. Limits: QUEUES_MOST queues.
 */
#ifndef RTCACHE_BENCH_QUEUES_H
#define RTCACHE_BENCH_QUEUES_H

#include <err.h>
#include <stdint.h>
#include <stdlib.h>

#define QUEUES_MOST 4

struct queues {
    uint32_t *before, *after; /* owned; behind those of the keys the heads' */
    uint8_t *in;              /* owned: by key */
    uint32_t keys;
    size_t size[QUEUES_MOST + 1];
};

static inline void queues_init(struct queues *q, size_t keys)
{
    *q = (struct queues){.keys = (uint32_t)keys};
    q->before = calloc(keys + QUEUES_MOST, sizeof *q->before);
    q->after = calloc(keys + QUEUES_MOST, sizeof *q->after);
    q->in = calloc(keys, sizeof *q->in);
    if (!q->before || !q->after || !q->in)
        errx(2, "no memory for %zu keys", keys);
    for (uint32_t head = q->keys; head < q->keys + QUEUES_MOST; head++)
        q->before[head] = q->after[head] = head;
}

static inline void queues_fini(struct queues *q)
{
    free(q->before);
    free(q->after);
    free(q->in);
}

static inline void queues_push(struct queues *q, unsigned queue, uint32_t key)
{
    uint32_t head = q->keys + queue - 1, newest = q->before[head];
    q->before[key] = newest;
    q->after[key] = head;
    q->after[newest] = q->before[head] = key;
    q->in[key] = (uint8_t)queue;
    q->size[queue]++;
}

static inline void queues_remove(struct queues *q, uint32_t key)
{
    q->after[q->before[key]] = q->after[key];
    q->before[q->after[key]] = q->before[key];
    q->size[q->in[key]]--;
    q->in[key] = 0;
}

/* From whichever it is in. */
static inline void queues_move(struct queues *q, unsigned queue, uint32_t key)
{
    queues_remove(q, key);
    queues_push(q, queue, key);
}

/* There is one. */
static inline uint32_t queues_oldest(const struct queues *q, unsigned queue)
{
    return q->after[q->keys + queue - 1];
}

#endif
