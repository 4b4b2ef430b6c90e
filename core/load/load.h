/*
 * load: one run for one seat, or for many of a batch, from its beginning to the end of each.
 *
 *   load_new -> load_take (seats) -> load_begin -> source -> load_end.c -> ... -> done
 *
 * With done it is gone. Thread: the loader thread's. Limits: batch_max seats, load_timeout,
 * retries, the retry budget.
 */
#ifndef RTCACHE_LOAD_LOAD_H
#define RTCACHE_LOAD_LOAD_H

#include "load/breaker.h"
#include "load/seat.h"

struct load;

/* What a load that ended says to who bounds its loader's. */
struct load_ended {
    uint32_t seats, prefetched; /* altogether; of them, of CLASS_PREFETCH */
    enum breaker_sign sign;
    bool probe;
};

/* done: called when its last seat has ended, before the waiters hear of it, so that who asks for
 * counters then sees them without this load. Not after load_shutdown_all. NULL: no memory. */
struct load *load_new(struct binding *b, void (*done)(const struct load_ended *e, void *arg),
                      void *arg);
void load_take(struct load *ld, struct seat *seat, bool primary);
/* It goes as soon as its last seat has ended, perhaps before this returns. probe: of the breaker.
 */
void load_begin(struct load *ld, bool probe);
void load_free(struct load *ld); /* without seats; before load_begin */
/* Ends every load of the thread with ERR_SHUTDOWN. */
void load_shutdown_all(struct thread_state *t);

#endif
