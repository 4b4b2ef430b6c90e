/*
 * load_queue: the seats of one loader that wait to be loaded, by class.
 *
 *   SINGLE <-> BULK (they take turns)  before  REFRESH  before  PREFETCH
 *
 * Pure. Shape: intrusive lists; O(1) for each function. Thread: the loader thread's.
 * Limits: its admission's.
 */
#ifndef RTCACHE_LOAD_LOAD_QUEUE_H
#define RTCACHE_LOAD_LOAD_QUEUE_H

#include "load/seat.h"

struct load_queue {
    struct list seats[CLASS_COUNT];
    uint32_t counts[CLASS_COUNT];
    uint32_t count; /* their sum */
    bool bulk_next; /* whose turn it is where singles and bulk wait */
};

void load_queue_init(struct load_queue *q);
/* Behind those of its class. */
void load_queue_push(struct load_queue *q, struct seat *seat, enum load_class class);
void load_queue_remove(struct load_queue *q, struct seat *seat);
/* The first and the last of a class; NULL: there is none. */
struct seat *load_queue_first(const struct load_queue *q, enum load_class class);
struct seat *load_queue_last(const struct load_queue *q, enum load_class class);
/* Whose turn it is; CLASS_COUNT: nobody's. prefetch: one of CLASS_PREFETCH may begin. */
enum load_class load_queue_next_class(const struct load_queue *q, bool prefetch);
/* The class had its turn. */
void load_queue_took(struct load_queue *q, enum load_class class);
/* Those that somebody waits for. */
static inline uint64_t load_queue_foreground(const struct load_queue *q)
{
    return (uint64_t)q->counts[CLASS_SINGLE] + q->counts[CLASS_BULK];
}

#endif
