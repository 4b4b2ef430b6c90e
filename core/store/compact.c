#include "store/compact.h"

static bool may_move(const struct entry *e)
{
    return e->life & ENTRY_STORED && atomic_load_explicit(&e->refs, memory_order_acquire) == 1;
}

/* e, behind the hole, goes to its start, and so does its link in a queue of the policy, in which
 * all are that are stored; where the hole is then. */
static uint32_t move_down(struct heap *a, const struct table *t, struct wheel *w, uint32_t hole,
                          struct entry *e)
{
    uint64_t hash = table_hash(t, e);
    struct near_list *prev = near_list_prev(&e->queue), *next = near_list_next(&e->queue);
    struct entry *to = heap_at(a, hole);
    hole = heap_shift(a, hole);
    table_replace(t, e, to, hash);
    wheel_follow(w, &to->timer);
    near_list_tie(prev, &to->queue);
    near_list_tie(&to->queue, next);
    return hole;
}

uint32_t compact(struct heap *a, const struct table *t, struct wheel *w, uint32_t wanted,
                 uint32_t budget)
{
    uint32_t at = a->cursor, seen = 0;
    while (seen < budget) {
        if (at >= a->top) {
            at = a->first;
            if (a->top == a->first || seen > 0)
                break; /* what reached the top has made room there */
        }
        uint32_t units = heap_block_units(a, at);
        struct entry *e = heap_at(a, at);
        if (!(e->life & ENTRY_HOLE)) {
            seen += units;
            at += units;
            continue;
        }
        if (units >= wanted)
            break;
        e = heap_at(a, at + units);
        uint32_t more = entry_units(e);
        seen += more;
        at = may_move(e) ? move_down(a, t, w, at, e) : at + units + more;
    }
    a->cursor = at < a->top ? at : a->first;
    return seen;
}
