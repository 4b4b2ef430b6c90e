#include "tier/tier_preload.h"

#include "wire/mpw.h"

#define AGAIN_S 1.

static void next_page(struct tier_preload *p);

static void end(struct tier_preload *p)
{
    p->done = true;
    ev_timer_stop(p->link->loop, &p->again);
    tier_preload_fini(p);
}

static int keep_place(struct tier_preload *p, const struct tier_row *row)
{
    buf_clear(&p->at);
    buf_clear(&p->key);
    int rc = buf_append(&p->at, row->at.data, row->at.size);
    return rc | buf_append(&p->key, row->key.data, row->key.size);
}

/* The page that failed, a little later. */
static void try_again(struct tier_preload *p)
{
    if (++p->failures == TIER_PRELOAD_TRIES) {
        end(p);
        return;
    }
    ev_now_update(p->link->loop);
    ev_timer_set(&p->again, AGAIN_S, 0.);
    ev_timer_start(p->link->loop, &p->again);
}

static void preload_on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_preload *p = timer->data;
    if (tier_link_admits(p->link))
        next_page(p);
    else
        try_again(p);
}

/* How many rows there were; -1: no memory, or no rows at all. */
static int64_t take_page(struct tier_preload *p, struct slice answer)
{
    struct tier *t = p->link->tier;
    struct mp_reader at;
    struct tier_row row;
    int64_t count = tier_row_begin(&at, answer);
    for (int64_t i = 0; i < count; i++) {
        if (!tier_row_next(&at, &row))
            return -1;
        if (row.whole && row.key.size > 0 && p->taken(p->arg, &row))
            tier_count(&t->numbers.preloaded, 1);
        if (i + 1 == count && keep_place(p, &row) != 0)
            return -1;
    }
    return count;
}

static void preload_on_done(struct call *q)
{
    struct tier_preload *p = container_of(q, struct tier_preload, call);
    p->busy = false;
    ev_timer_stop(p->link->loop, &p->timeout);
    if (q->code != 0) {
        tier_link_failed(p->link, &q->err);
        buf_fini(&q->result);
        try_again(p);
        return;
    }
    tier_link_well(p->link);
    int64_t count = take_page(p, buf_slice(&q->result));
    buf_fini(&q->result);
    p->left -= count;
    if (count < TIER_PRELOAD_ROWS || p->left <= 0)
        end(p);
    else
        next_page(p);
}

static void give_up(struct tier_preload *p)
{
    if (!p->busy)
        return;
    p->busy = false;
    ev_timer_stop(p->link->loop, &p->timeout);
    backend_cancel(p->link->backend, &p->call);
    buf_fini(&p->call.result);
}

static void preload_on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_preload *p = timer->data;
    give_up(p);
    try_again(p);
    tier_link_late(p->link, "page of the preload", TIER_PRELOAD_MS);
}

static void next_page(struct tier_preload *p)
{
    struct tier_link *link = p->link;
    bool first = p->at.size == 0;
    int64_t most = p->left < TIER_PRELOAD_ROWS ? p->left : TIER_PRELOAD_ROWS;
    buf_clear(&p->params);
    int rc = mpw_array(&p->params, first ? 1 : 3) | mpw_int(&p->params, most);
    if (!first)
        rc |= mpw_str(&p->params, buf_slice(&p->at)) | mpw_str(&p->params, buf_slice(&p->key));
    if (rc != 0) {
        end(p);
        return;
    }
    p->busy = true;
    ev_now_update(link->loop);
    ev_timer_set(&p->timeout, TIER_PRELOAD_MS / 1e3, 0.);
    ev_timer_start(link->loop, &p->timeout);
    tier_link_submit(link, &p->call, SQL_PACKED_ROWS,
                     buf_slice(first ? &link->sql.first : &link->sql.next), buf_slice(&p->params),
                     preload_on_done);
}

void tier_preload_init(struct tier_preload *p, struct tier_link *link,
                       bool (*taken)(void *arg, const struct tier_row *row), void *arg)
{
    *p = (struct tier_preload){
        .link = link, .taken = taken, .arg = arg, .left = link->tier->conf.preload};
    buf_init(&p->at, 0);
    buf_init(&p->key, 0);
    buf_init(&p->params, 0);
    ev_timer_init(&p->timeout, preload_on_timeout, 0., 0.);
    ev_timer_init(&p->again, preload_on_again, 0., 0.);
    p->timeout.data = p->again.data = p;
}

void tier_preload_fini(struct tier_preload *p)
{
    buf_fini(&p->at);
    buf_fini(&p->key);
    buf_fini(&p->params);
}

void tier_preload_start(struct tier_preload *p)
{
    if (p->busy || p->done || p->left <= 0 || !p->link->backend)
        return;
    next_page(p);
}

void tier_preload_pause(struct tier_preload *p)
{
    give_up(p);
    ev_timer_stop(p->link->loop, &p->again);
}

void tier_preload_stop(struct tier_preload *p)
{
    give_up(p);
    end(p);
}
