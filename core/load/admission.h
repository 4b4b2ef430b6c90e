/*
 * admission: the bounds, the queue and the breaker of one loader on one thread.
 *
 *   flight --> admission_admit --> queue, by class --> admission_begin --> load
 *                    `--> OVERLOADED                        ^  `--> BREAKER_OPEN
 *                                             schedule (whose turn it is)
 *
 * Thread: the loader thread's. Limits: max_loads in the air, max_queue that wait, and of prefetches
 * prefetch_max_concurrent and prefetch_max_queue, each divided evenly among loader threads.
 */
#ifndef RTCACHE_LOAD_ADMISSION_H
#define RTCACHE_LOAD_ADMISSION_H

#include "load/binding.h"
#include "load/breaker.h"
#include "load/load_queue.h"
#include "load/queue_rate.h"

/* Writes of a loader; see writes.h. */
struct write_bounds {
    struct list queue; /* that wait for a place in the air */
    uint32_t in_air, max, max_queue;
    bool pumping;
};

struct admission {
    struct binding binding;
    struct list turn; /* the capacity's waiting, or alone */
    struct breaker breaker;
    struct load_queue queue;
    struct queue_rate rate; /* at which the queue moves */
    bool ready;             /* what is queued may begin: it has waited for company long enough */
    uint64_t ready_turn;
    ev_timer window;
    uint32_t in_flight, prefetching;      /* loads; seats of CLASS_PREFETCH */
    uint32_t told_in_flight, told_queued; /* its part of the counters' gauges */
    bool retired; /* its edition is not the current one any more: its breaker is not shown */
    uint32_t max_loads, max_queue;                /* this thread's share */
    uint32_t max_prefetching, max_prefetch_queue; /* this thread's share */
    struct write_bounds writes;
};

/* The loader at that index of the edition's configuration; the edition has its capacities. */
void admission_init(struct admission *a, struct edition *edition, size_t index);
void admission_fini(struct admission *a); /* nothing is queued */
/* What is known of the source's health goes on over a reload. Then admission_publish. */
void admission_carry_breaker(struct admission *to, const struct admission *from);
/* Takes over the flight's reference. */
void admission_admit(struct admission *a, struct flight *f);
/* Takes over a seat that was popped from another edition's queue; that takes no memory. */
void admission_readmit(struct admission *a, struct seat *seat);
/* Somebody waits for a flight that came for nobody. */
void admission_promote(struct seat *seat);
/* The next queued seat, out of its queue; NULL where there is none. */
struct seat *admission_pop_queued(struct admission *a);
/* Of what may begin now; CLASS_COUNT: nothing may. */
enum load_class admission_next_class(const struct admission *a);
/* A load may begin, as far as its own bounds go. */
static inline bool admission_has_work(const struct admission *a)
{
    return a->ready && a->queue.count > 0 && a->in_flight < a->max_loads;
}

/* ---- admission_begin.c ---- */

/* Begins a load of those whose turn it is, or, where its breaker is open, refuses one of them. */
void admission_begin(struct admission *a);

/* ---- for admission_begin.c ---- */

/* The seat whose turn it is, out of its queue; NULL: no one's. */
struct seat *admission_pop_next(struct admission *a);
void admission_enqueue(struct admission *a, struct seat *seat, enum load_class class);
/* What is queued may begin. */
void admission_become_ready(struct admission *a);
/* Something of it may begin, perhaps: its capacity knows it. */
void admission_mark(struct admission *a);
/* Its counters, to those who read them. */
void admission_publish(struct admission *a);
void admission_count_refusal(struct admission *a, enum metric_counter id);

#endif
