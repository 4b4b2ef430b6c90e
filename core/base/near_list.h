/*
 * near_list: as list.h, with links of half the size, for owners that lie near each other.
 *
 *   link.next: the distance to the next link, in units of 4 bytes; 0: itself
 *
 * Shape: a head and links of 8 bytes each; every operation is O(1). A link of zeros is in no list,
 * a head of zeros is empty. Thread: its owner's, or under its owner's lock. Limits: head and links
 * are aligned to 4 bytes and within 8 GiB of each other, as those of one heap (store/heap.h) are.
 */
#ifndef RTCACHE_BASE_NEAR_LIST_H
#define RTCACHE_BASE_NEAR_LIST_H

#include "base/list.h"

#include <stdint.h>

struct near_list {
    int32_t prev, next;
};

static inline struct near_list *near_list_next(const struct near_list *l)
{
    return (struct near_list *)((uintptr_t)l + (uintptr_t)((intptr_t)l->next * 4));
}

static inline struct near_list *near_list_prev(const struct near_list *l)
{
    return (struct near_list *)((uintptr_t)l + (uintptr_t)((intptr_t)l->prev * 4));
}

static inline int32_t near_list_distance(const struct near_list *from, const struct near_list *to)
{
    return (int32_t)(((const char *)to - (const char *)from) / 4);
}

static inline void near_list_tie(struct near_list *prev, struct near_list *next)
{
    prev->next = near_list_distance(prev, next);
    next->prev = -prev->next;
}

static inline void near_list_init(struct near_list *l)
{
    l->prev = l->next = 0;
}

static inline bool near_list_empty(const struct near_list *l)
{
    return l->next == 0;
}

static inline void near_list_insert(struct near_list *prev, struct near_list *link)
{
    near_list_tie(link, near_list_next(prev));
    near_list_tie(prev, link);
}

static inline void near_list_push_back(struct near_list *head, struct near_list *link)
{
    near_list_insert(near_list_prev(head), link);
}

static inline void near_list_push_front(struct near_list *head, struct near_list *link)
{
    near_list_insert(head, link);
}

/* A second removal does nothing. */
static inline void near_list_remove(struct near_list *link)
{
    near_list_tie(near_list_prev(link), near_list_next(link));
    near_list_init(link);
}

/* NULL where the list is empty. */
static inline struct near_list *near_list_pop_front(struct near_list *head)
{
    if (near_list_empty(head))
        return NULL;
    struct near_list *link = near_list_next(head);
    near_list_remove(link);
    return link;
}

#endif
