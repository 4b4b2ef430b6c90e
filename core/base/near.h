/*
 * near: as list.h, with links of half the size, for owners that lie near each other.
 *
 *   link.next: the distance to the next link, in units of 4 bytes; 0: itself
 *
 * Shape: a head and links of 8 bytes each; every operation is O(1). A link of zeros is in no list,
 * a head of zeros is empty. Thread: its owner's, or under its owner's lock. Limits: head and links
 * are aligned to 4 bytes and within 8 GiB of each other, as those of one heap (store/heap.h) are.
 */
#ifndef RTCACHE_BASE_NEAR_H
#define RTCACHE_BASE_NEAR_H

#include "base/list.h"

#include <stdint.h>

struct near {
    int32_t prev, next;
};

static inline struct near *near_next(const struct near *l)
{
    return (struct near *)((uintptr_t)l + (uintptr_t)((intptr_t)l->next * 4));
}

static inline struct near *near_prev(const struct near *l)
{
    return (struct near *)((uintptr_t)l + (uintptr_t)((intptr_t)l->prev * 4));
}

static inline int32_t near_distance(const struct near *from, const struct near *to)
{
    return (int32_t)(((const char *)to - (const char *)from) / 4);
}

static inline void near_tie(struct near *prev, struct near *next)
{
    prev->next = near_distance(prev, next);
    next->prev = -prev->next;
}

static inline void near_init(struct near *l)
{
    l->prev = l->next = 0;
}

static inline bool near_empty(const struct near *l)
{
    return l->next == 0;
}

static inline void near_insert(struct near *prev, struct near *link)
{
    near_tie(link, near_next(prev));
    near_tie(prev, link);
}

static inline void near_push_back(struct near *head, struct near *link)
{
    near_insert(near_prev(head), link);
}

static inline void near_push_front(struct near *head, struct near *link)
{
    near_insert(head, link);
}

/* A second removal does nothing. */
static inline void near_remove(struct near *link)
{
    near_tie(near_prev(link), near_next(link));
    near_init(link);
}

/* NULL where the list is empty. */
static inline struct near *near_pop_front(struct near *head)
{
    if (near_empty(head))
        return NULL;
    struct near *link = near_next(head);
    near_remove(link);
    return link;
}

#endif
