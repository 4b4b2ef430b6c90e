#include "net/slices.h"

#include "base/clock.h"

static void slices_on_idle(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop, (void)watcher, (void)events; /* that it is there keeps the loop from sleeping */
}

void slices_init(struct slices *s, struct ev_loop *loop)
{
    list_init(&s->waiting);
    s->loop = loop;
    ev_idle_init(&s->awake, slices_on_idle);
}

void slices_stop(struct slices *s)
{
    ev_idle_stop(s->loop, &s->awake);
}

void slices_add(struct slices *s, struct slice_work *w)
{
    if (list_empty(&w->link))
        list_push_back(&s->waiting, &w->link);
    ev_idle_start(s->loop, &s->awake);
}

void slices_remove(struct slices *s, struct slice_work *w)
{
    (void)s;
    list_remove(&w->link);
}

bool slices_may_begin(struct slices *s)
{
    int64_t now_us = clock_us();
    if (s->turn_us == 0)
        s->turn_us = now_us + FIRSTS_US;
    return now_us < s->turn_us;
}

void slices_begin(struct slices *s)
{
    s->end_us = clock_us() + SLICE_US;
}

bool slices_over(const struct slices *s)
{
    return clock_us() >= s->end_us;
}

void slices_run(struct slices *s)
{
    int64_t end_us = list_empty(&s->waiting) ? 0 : clock_us() + SLICES_US;
    struct list *link;
    while ((link = list_pop_front(&s->waiting))) {
        struct slice_work *w = container_of(link, struct slice_work, link);
        slices_begin(s);
        if (w->run(w))
            list_push_back(&s->waiting, &w->link);
        if (clock_us() >= end_us)
            break;
    }
    if (list_empty(&s->waiting))
        ev_idle_stop(s->loop, &s->awake);
}
