/*
 * gather: the items of one request, which come in any order and are answered in theirs.
 *
 *   items: | head of the answer | item | item | ...      in the order in which they came
 *
 * Shape: one buffer of packed items, and where each of them lies. It waits for so many items and
 * calls its end then, once. Thread: the connection's. Errors: rc, of what has failed first; nothing
 * of it is to be answered then, and its items are gone. Limits: max_output bytes, beside those that
 * wait.
 */
#ifndef RTCACHE_NET_GATHER_H
#define RTCACHE_NET_GATHER_H

#include "net/conn.h"
#include "net/target.h"

#define GATHER_UNTOLD ((size_t)64 * 1024) /* bytes of items that are gathered within a turn */

struct gather {
    struct target target;
    struct buf items;   /* the answer's head, then packed items, in the order in which they came */
    size_t head;        /* bytes; 0: nothing of it will be answered */
    struct buf ordered; /* the same in their order, as far as that is done */
    void (*end)(struct gather *g); /* all of its items are there: answers, and frees it */
    struct ticket ticket;          /* once it waits to be sent */
    struct list link;              /* conn->ready */
    struct slice_work ordering;
    uint32_t count, pending, came, placed;
    bool in_order; /* they came in the order of their keys so far */
    bool refused;  /* for client_memory */
    int rc;
    size_t held;  /* bytes that are written down (held.h); 0: it does not wait yet */
    size_t watch; /* the capacity of items up to which nothing needs to be written down */
    struct {
        size_t offset, size;
    } at[];
};

/* NULL: no memory. It waits for count items. What stands before these in the answer is packed into
 * g->items by who makes it, and g->head says how much that is. */
struct gather *gather_new(const struct target *t, uint32_t count, void (*end)(struct gather *g));
void gather_free(struct gather *g);
/* From before the first item is asked for until after the last: keeps it from ending in between. */
void gather_hold(struct gather *g);
void gather_release(struct gather *g);
/* It will wait: what it holds is written down from now on. */
void gather_account(struct gather *g);
void gather_client_left(struct gather *g);
/* So many of its items will not be asked for any more: its client has left. */
void gather_cut(struct gather *g, uint32_t count);
/* Its bytes are not gathered for the connection any more. */
void gather_let_go(struct gather *g);

/* Whether it will be refused, whatever else comes. */
static inline bool gather_has_failed(const struct gather *g)
{
    return g->rc != 0;
}
/* Whether it has gathered so much that its keys are read in slices. */
static inline bool gather_is_large(const struct gather *g)
{
    return g->items.size > GATHER_UNTOLD;
}
/* An item is packed, behind those before it: from offset to the end. rc: whether it is whole. */
void gather_item_done(struct gather *g, uint32_t index, size_t offset, int rc);

#endif
