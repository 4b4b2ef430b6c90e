#include "store/policy.h"

#define SMALL_SHARE 10 /* the small queue's part of the bytes is one in this */
#define READ_ENOUGH 2  /* reads in the small queue that earn a place in the main one */

void policy_init(struct policy *p, size_t capacity_bytes)
{
    *p = (struct policy){.capacity_bytes = capacity_bytes};
    near_init(&p->small);
    near_init(&p->main);
    ghost_init(&p->ghost);
}

void policy_fini(struct policy *p)
{
    ghost_fini(&p->ghost);
}

void policy_set_capacity(struct policy *p, size_t capacity_bytes)
{
    p->capacity_bytes = capacity_bytes;
    if (p->ghost.buckets)
        ghost_fit(&p->ghost, p->count);
}

static void set_frequency(struct entry *e, unsigned frequency)
{
    e->state = (uint8_t)((e->state & ~ENTRY_FREQUENCY) | frequency);
}

static struct entry *oldest(const struct near *queue, const struct entry *kept)
{
    const struct near *first = near_next(queue);
    if (kept && first == &kept->queue)
        first = near_next(first);
    return first == queue ? NULL : container_of(first, struct entry, queue);
}

void policy_add(struct policy *p, struct entry *e, uint64_t hash)
{
    p->count++;
    if (ghost_take(&p->ghost, hash)) {
        e->state = ENTRY_IN_MAIN;
        near_push_back(&p->main, &e->queue);
        return;
    }
    e->state = 0;
    p->small_bytes += entry_bytes(e);
    near_push_back(&p->small, &e->queue);
}

void policy_replace(struct policy *p, struct entry *old, struct entry *e)
{
    if (!(old->state & ENTRY_IN_MAIN))
        p->small_bytes += entry_bytes(e) - entry_bytes(old);
    e->state = old->state;
    near_insert(&old->queue, &e->queue);
    near_remove(&old->queue);
}

void policy_remove(struct policy *p, struct entry *e)
{
    if (!(e->state & ENTRY_IN_MAIN))
        p->small_bytes -= entry_bytes(e);
    near_remove(&e->queue);
    p->count--;
}

static void move_to_main(struct policy *p, struct entry *e)
{
    if (!(e->state & ENTRY_IN_MAIN))
        p->small_bytes -= entry_bytes(e);
    near_remove(&e->queue);
    near_push_back(&p->main, &e->queue);
    e->state |= ENTRY_IN_MAIN;
}

struct entry *policy_victim(struct policy *p, const struct entry *kept)
{
    for (int step = 0;; step++) {
        struct entry *young = oldest(&p->small, kept), *settled = oldest(&p->main, kept);
        bool from_small = young && (!settled || p->small_bytes >= p->capacity_bytes / SMALL_SHARE);
        struct entry *e = from_small ? young : settled;
        if (!e)
            return NULL;
        unsigned frequency = e->state & ENTRY_FREQUENCY;
        if (frequency < (from_small ? READ_ENOUGH : 1) || step == POLICY_STEPS)
            return e;
        set_frequency(e, from_small ? 0 : frequency - 1);
        move_to_main(p, e);
    }
}

void policy_evict(struct policy *p, struct entry *e, uint64_t hash)
{
    if (!(e->state & ENTRY_IN_MAIN)) {
        ghost_fit(&p->ghost, p->count);
        ghost_add(&p->ghost, hash);
    }
    policy_remove(p, e);
}

size_t policy_bytes(const struct policy *p)
{
    return ghost_bytes(&p->ghost);
}
