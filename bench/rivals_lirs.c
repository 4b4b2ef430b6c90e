/* LIRS (Jiang and Zhang, SIGMETRICS 2002): the keys of low inter-reference recency stay. */
#include "queues.h"
#include "rivals.h"

#include <stdbool.h>

#define GHOSTS 2 /* keys that are remembered, over the room */

enum lirs_state { LIRS_UNKNOWN, LIRS_LOW, LIRS_HIGH, LIRS_GONE };

/* The stack has keys of every state, the queue those of HIGH, `gone` those of GONE in the order in
 * which they left. */
struct lirs {
    struct queues stack, queue, gone;
    uint8_t *state; /* owned */
    size_t room, low_most, low;
};

static void lirs_prune(struct lirs *l)
{
    while (l->stack.size[1] > 0) {
        uint32_t key = queues_oldest(&l->stack, 1);
        if (l->state[key] == LIRS_LOW)
            return;
        queues_remove(&l->stack, key);
        if (l->state[key] != LIRS_GONE)
            continue;
        queues_remove(&l->gone, key);
        l->state[key] = LIRS_UNKNOWN;
    }
}

/* Of one too many of low recency. */
static void lirs_demote(struct lirs *l)
{
    uint32_t key = queues_oldest(&l->stack, 1);
    queues_remove(&l->stack, key);
    l->state[key] = LIRS_HIGH;
    l->low--;
    queues_push(&l->queue, 1, key);
    lirs_prune(l);
}

static void lirs_promote(struct lirs *l, uint32_t key)
{
    queues_move(&l->stack, 1, key);
    l->state[key] = LIRS_LOW;
    if (++l->low > l->low_most)
        lirs_demote(l);
}

static void lirs_evict(struct lirs *l)
{
    uint32_t key = queues_oldest(&l->queue, 1);
    queues_remove(&l->queue, key);
    l->state[key] = LIRS_UNKNOWN;
    if (!l->stack.in[key])
        return;
    l->state[key] = LIRS_GONE;
    queues_push(&l->gone, 1, key);
    if (l->gone.size[1] <= GHOSTS * l->room)
        return;
    key = queues_oldest(&l->gone, 1);
    queues_remove(&l->gone, key);
    queues_remove(&l->stack, key);
    l->state[key] = LIRS_UNKNOWN;
}

static void lirs_read(struct lirs *l, uint32_t key)
{
    if (l->state[key] == LIRS_LOW) {
        queues_move(&l->stack, 1, key);
        lirs_prune(l);
    } else if (l->stack.in[key]) {
        queues_remove(&l->queue, key);
        lirs_promote(l, key);
    } else {
        queues_push(&l->stack, 1, key);
        queues_move(&l->queue, 1, key);
    }
}

static void lirs_store(struct lirs *l, uint32_t key)
{
    bool known = l->state[key] == LIRS_GONE;
    if (!known && l->low < l->low_most) {
        queues_push(&l->stack, 1, key);
        l->state[key] = LIRS_LOW;
        l->low++;
        return;
    }
    if (l->low + l->queue.size[1] >= l->room)
        lirs_evict(l);
    known = l->state[key] == LIRS_GONE; /* it may just have been forgotten */
    if (known) {
        queues_remove(&l->gone, key);
        lirs_promote(l, key);
        return;
    }
    l->state[key] = LIRS_HIGH;
    queues_push(&l->stack, 1, key);
    queues_push(&l->queue, 1, key);
}

size_t rival_lirs(const struct trace *t, size_t room, double part)
{
    size_t high = (size_t)((double)room * part), misses = 0;
    high = high > 0 ? high : 1;
    struct lirs l = {.room = room, .low_most = room > high ? room - high : 0};
    queues_init(&l.stack, t->distinct);
    queues_init(&l.queue, t->distinct);
    queues_init(&l.gone, t->distinct);
    l.state = calloc(t->distinct, sizeof *l.state);
    if (!l.state)
        errx(2, "no memory for %zu keys", t->distinct);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        if (l.state[key] == LIRS_LOW || l.state[key] == LIRS_HIGH) {
            lirs_read(&l, key);
            continue;
        }
        misses++;
        lirs_store(&l, key);
    }
    queues_fini(&l.stack);
    queues_fini(&l.queue);
    queues_fini(&l.gone);
    free(l.state);
    return misses;
}
