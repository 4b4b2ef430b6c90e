#include "load/load_queue.h"

void load_queue_init(struct load_queue *q)
{
    *q = (struct load_queue){.count = 0};
    for (int class = 0; class < CLASS_COUNT; class ++)
        list_init(&q->seats[class]);
}

void load_queue_push(struct load_queue *q, struct seat *seat, enum load_class class)
{
    seat->class = class;
    list_push_back(&q->seats[class], &seat->link);
    q->counts[class]++;
    q->count++;
}

void load_queue_remove(struct load_queue *q, struct seat *seat)
{
    list_remove(&seat->link);
    q->counts[seat->class]--;
    q->count--;
}

struct seat *load_queue_first(const struct load_queue *q, enum load_class class)
{
    const struct list *seats = &q->seats[class];
    return list_empty(seats) ? NULL : container_of(seats->next, struct seat, link);
}

struct seat *load_queue_last(const struct load_queue *q, enum load_class class)
{
    const struct list *seats = &q->seats[class];
    return list_empty(seats) ? NULL : container_of(seats->prev, struct seat, link);
}

enum load_class load_queue_next_class(const struct load_queue *q, bool prefetch)
{
    bool single = q->counts[CLASS_SINGLE] > 0, bulk = q->counts[CLASS_BULK] > 0;
    if (single || bulk)
        return bulk && (q->bulk_next || !single) ? CLASS_BULK : CLASS_SINGLE;
    if (q->counts[CLASS_REFRESH] > 0)
        return CLASS_REFRESH;
    return prefetch && q->counts[CLASS_PREFETCH] > 0 ? CLASS_PREFETCH : CLASS_COUNT;
}

void load_queue_took(struct load_queue *q, enum load_class class)
{
    if (class <= CLASS_BULK)
        q->bulk_next = class == CLASS_SINGLE;
}
