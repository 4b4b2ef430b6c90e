#include "tier/tier_lane.h"

static void finish(struct tier_lane *l)
{
    void (*finished)(void *arg) = l->finished;
    l->finished = NULL;
    ev_timer_stop(l->link.loop, &l->finishing);
    tier_writer_stop(&l->writer);
    tier_link_detach(&l->link);
    if (finished)
        finished(l->finished_arg);
}

static void lane_on_emptied(void *arg)
{
    struct tier_lane *l = arg;
    if (l->finished)
        finish(l);
}

static void lane_on_finishing(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    finish(timer->data);
}

void tier_lane_init(struct tier_lane *l, const struct tier_lane_options *o)
{
    *l = (struct tier_lane){
        .index = o->index,
        .link = {.tier = o->tier, .loop = o->loop},
    };
    tier_reader_init(&l->reader, &l->link);
    tier_writer_init(&l->writer, &l->link, &o->tier->queues[o->index], o->wants, o->arg);
    tier_cleaner_init(&l->cleaner, &l->link);
    tier_preload_init(&l->preload, &l->link, o->taken, o->arg);
    ev_timer_init(&l->finishing, lane_on_finishing, TIER_FINISH_MS / 1e3, 0.);
    l->finishing.data = l;
}

void tier_lane_fini(struct tier_lane *l)
{
    tier_writer_fini(&l->writer);
    tier_cleaner_fini(&l->cleaner);
    tier_preload_fini(&l->preload);
}

static void give_up(struct tier_lane *l)
{
    tier_reader_stop(&l->reader);
    if (l->link.backend) {
        tier_writer_stop(&l->writer);
        tier_cleaner_stop(&l->cleaner);
        ev_timer_stop(l->link.loop, &l->writer.tick);
    }
}

int tier_lane_attach(struct tier_lane *l, struct backend *b, enum tier_dialect d, int64_t keep_ms,
                     struct err *e)
{
    l->cleaner.keep_ms = keep_ms;
    if (b == l->link.backend)
        return 0;
    give_up(l);
    tier_preload_pause(&l->preload);
    tier_link_detach(&l->link);
    int rc = b ? tier_link_attach(&l->link, b, d, e) : 0;
    if (rc != 0 || !b)
        return rc;
    tier_writer_start(&l->writer);
    if (l->index > 0)
        return 0;
    tier_cleaner_start(&l->cleaner);
    tier_preload_start(&l->preload);
    return 0;
}

void tier_lane_finish(struct tier_lane *l, void (*done)(void *arg), void *arg)
{
    l->finished = done;
    l->finished_arg = arg;
    tier_reader_stop(&l->reader);
    tier_cleaner_stop(&l->cleaner);
    tier_preload_stop(&l->preload);
    ev_timer_stop(l->link.loop, &l->writer.tick);
    if (!l->link.backend) {
        finish(l);
        return;
    }
    ev_now_update(l->link.loop);
    ev_timer_start(l->link.loop, &l->finishing);
    tier_writer_empty(&l->writer, lane_on_emptied, l);
}
