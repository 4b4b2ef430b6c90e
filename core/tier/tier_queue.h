/*
 * tier_queue: what waits to be written to the table by one loader thread, the last of each key.
 *
 *   any thread --put--> waiting, oldest first --take--> in the air --settle--> gone, or waits again
 *                          `-- by hash: whether a key waits or is in the air
 *
 * Shape: lists under one lock, every operation O(1). Thread: put: any; the rest its loader loop's.
 * Limits: max_bytes; what does not fit is not taken, and what it would have replaced goes as well,
 * for it is known to be old.
 */
#ifndef RTCACHE_TIER_TIER_QUEUE_H
#define RTCACHE_TIER_TIER_QUEUE_H

#include "tier/tier_item.h"
#include "tier/tier_slots.h"

#include <pthread.h>

#define TIER_QUEUE_LISTS 4096

struct tier_queue {
    pthread_mutex_t lock;
    struct list waiting;
    struct list *lists; /* TIER_QUEUE_LISTS of them */
    size_t count;       /* that wait */
    size_t bytes, max_bytes;
};

enum tier_queued {
    TIER_QUEUED,
    TIER_OVERTAKEN, /* its key was changed since its load began, or a newer version waits */
    TIER_FULL,
};

int tier_queue_init(struct tier_queue *q, size_t max_bytes, struct err *e) MUST_USE;
void tier_queue_fini(struct tier_queue *q); /* what is in it is lost */

/* Takes the item over, whatever comes of it. A change of a key stamps its slot before it puts its
 * mark; so a value that comes from another thread at the same moment is refused here, or replaced
 * by the mark. *count: how many wait now. */
enum tier_queued tier_queue_put(struct tier_queue *q, const struct tier_slots *slots,
                                struct tier_item *i, size_t *count) MUST_USE;

/* The oldest, up to `most`, to the end of out: in the air until they are settled. How many. */
size_t tier_queue_take(struct tier_queue *q, size_t most, struct list *out);
/* Each of the list waits again, ahead of the others, unless there is a newer one of its key; again
 * false: it is done with. */
void tier_queue_settle(struct tier_queue *q, struct list *items, bool again);
/* One of them, which is in a list of its taker, is done with. */
void tier_queue_drop(struct tier_queue *q, struct tier_item *i);

/* Whether something of the key waits, or is in the air. */
bool tier_queue_has(struct tier_queue *q, struct slice key, uint64_t hash);
void tier_queue_read(struct tier_queue *q, size_t *count, size_t *bytes);

#endif
