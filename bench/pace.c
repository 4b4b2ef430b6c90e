#include "pace.h"

static uint64_t due_ns(const struct pace *p)
{
    const struct workload *w = p->clients->work;
    return p->start_ns + (uint64_t)((double)w->started * 1e9 / w->rate);
}

static bool ask_next(struct pace *p, uint64_t due)
{
    for (unsigned tried = 0; tried < p->count; tried++) {
        struct client *c = &p->clients[p->next];
        p->next = (p->next + 1) % p->count;
        if (client_ask(c, due))
            return true;
    }
    return false;
}

uint64_t pace_ask(struct pace *p, uint64_t now_ns)
{
    uint64_t due;
    while ((due = due_ns(p)) <= now_ns) {
        if (!ask_next(p, due))
            return PACE_LONGEST_NS;
    }
    return due - now_ns < PACE_LONGEST_NS ? due - now_ns : PACE_LONGEST_NS;
}
