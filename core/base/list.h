/*
 * list: an intrusive, circular, doubly linked list.
 *
 * Shape: a head and links of 16 bytes each, embedded in their owners; every operation is O(1).
 * Thread: its owner's, or under its owner's lock. A link that is in no list points at itself.
 */
#ifndef RTCACHE_BASE_LIST_H
#define RTCACHE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert(struct list *prev, struct list *link)
{
    link->prev = prev;
    link->next = prev->next;
    prev->next->prev = link;
    prev->next = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
    list_insert(head->prev, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_insert(head, link);
}

/* Leaves the link pointing at itself, so that a second removal does nothing. */
static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* NULL where the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *link = head->next;
    list_remove(link);
    return link;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* A walk over a list that changes between its steps. Whoever takes a link out says so first, with
 * list_walk_passes, and whoever ends the list, with list_walk_ends. What is added at the end is
 * met. {0} is over. */
struct list_walk {
    struct list *head, *next;
};

static inline void list_walk_begin(struct list_walk *w, struct list *head)
{
    w->head = head;
    w->next = head->next;
}

/* NULL: it is over. */
static inline struct list *list_walk_next(struct list_walk *w)
{
    struct list *link = w->next;
    if (!w->head || link == w->head) {
        w->head = w->next = NULL;
        return NULL;
    }
    w->next = link->next;
    return link;
}

static inline void list_walk_passes(struct list_walk *w, const struct list *link)
{
    if (w->next == link)
        w->next = link->next;
}

static inline void list_walk_ends(struct list_walk *w, const struct list *head)
{
    if (w->head == head)
        w->head = w->next = NULL;
}

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define list_for_each_safe(it, tmp, head)                                                          \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
