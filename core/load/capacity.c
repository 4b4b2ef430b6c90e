#include "load/capacity.h"

void capacity_init(struct capacity *c, struct list *startable, uint32_t least, uint32_t most)
{
    c->startable = startable;
    list_init(&c->link);
    list_init(&c->waiting);
    limit_init(&c->limit, least, most);
    c->in_flight = 0;
}

void capacity_fini(struct capacity *c)
{
    list_remove(&c->link);
}

uint32_t capacity_room(const struct capacity *c)
{
    uint32_t most = limit_now(&c->limit);
    return c->in_flight < most ? most - c->in_flight : 0;
}

void capacity_mark(struct capacity *c, struct list *turn)
{
    if (turn)
        list_push_back(&c->waiting, turn);
    if (!list_empty(&c->waiting) && list_empty(&c->link))
        list_push_back(c->startable, &c->link);
}

void capacity_turn(struct capacity *c, struct list *turn)
{
    list_remove(turn);
    list_push_back(&c->waiting, turn);
    list_remove(&c->link);
    list_push_back(c->startable, &c->link);
}

void capacity_began(struct capacity *c)
{
    c->in_flight++;
}

void capacity_left(struct capacity *c)
{
    c->in_flight--;
}

void capacity_ended(struct capacity *c, int64_t us, bool dropped, int64_t now_us)
{
    limit_ended(&c->limit, (uint64_t)(us > 0 ? us : 0), dropped, c->in_flight, now_us);
}
