#include "tier/tier_clean.h"

#include "base/clock.h"
#include "wire/mp.h"
#include "wire/mpw.h"

static void clean_on_done(struct call *q);

static void submit(struct tier_cleaner *c, int work, int verb, struct buf *sql)
{
    struct ev_loop *loop = c->link->loop;
    c->work = work;
    ev_now_update(loop);
    ev_timer_set(&c->timeout, TIER_CLEAN_MS / 1e3, 0.);
    ev_timer_start(loop, &c->timeout);
    tier_link_submit(c->link, &c->call, verb, buf_slice(sql), buf_slice(&c->params), clean_on_done);
}

static void look_at_size(struct tier_cleaner *c)
{
    buf_clear(&c->params);
    submit(c, CLEAN_SIZING, SQL_VALUE, &c->link->sql.size);
}

static void delete_some(struct tier_cleaner *c)
{
    buf_clear(&c->params);
    int rc = mpw_array(&c->params, 1) | mpw_int(&c->params, clock_wall_ms() - c->keep_ms);
    if (rc == 0)
        submit(c, CLEAN_DELETING, SQL_EXEC, &c->link->sql.clean);
}

static bool is_number(const struct call *q, int64_t *out)
{
    struct mp_reader at = mp_reader_of(buf_slice(&q->result));
    struct mp_token t;
    if (mp_next(&at, &t) != MP_OK || t.type != MP_INT)
        return false;
    *out = t.i;
    return true;
}

static void took_out(struct tier_cleaner *c, int64_t rows)
{
    tier_cleaned(c->link->tier, rows);
    if (rows == TIER_SQL_CLEAN)
        delete_some(c);
    else
        look_at_size(c);
}

static void clean_on_done(struct call *q)
{
    struct tier_cleaner *c = container_of(q, struct tier_cleaner, call);
    int64_t number = 0;
    int work = c->work;
    bool told = q->code == 0 && is_number(q, &number);
    c->work = CLEAN_IDLE;
    ev_timer_stop(c->link->loop, &c->timeout);
    buf_fini(&q->result);
    if (q->code != 0) {
        tier_link_failed(c->link, &q->err);
        return;
    }
    tier_link_well(c->link);
    if (told && work == CLEAN_DELETING)
        took_out(c, number);
    else if (told)
        tier_sized(c->link->tier, number);
}

void tier_cleaner_give_up(struct tier_cleaner *c)
{
    if (c->work == CLEAN_IDLE)
        return;
    c->work = CLEAN_IDLE;
    ev_timer_stop(c->link->loop, &c->timeout);
    backend_cancel(c->link->backend, &c->call);
    buf_fini(&c->call.result);
}

static void clean_on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_cleaner *c = timer->data;
    tier_cleaner_give_up(c);
    tier_link_late(c->link, "cleaning", TIER_CLEAN_MS);
}

static void clean_on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_cleaner *c = timer->data;
    if (c->work == CLEAN_IDLE && tier_link_admits(c->link))
        delete_some(c);
}

void tier_cleaner_init(struct tier_cleaner *c, struct tier_link *link)
{
    double every_s = (double)link->tier->conf.clean_every_ms / 1e3;
    *c = (struct tier_cleaner){.link = link};
    buf_init(&c->params, 0);
    /* The first one soon: the table may be full of what a server before this one left. */
    ev_timer_init(&c->tick, clean_on_tick, every_s < 1. ? every_s : 1., every_s);
    ev_timer_init(&c->timeout, clean_on_timeout, 0., 0.);
    c->tick.data = c->timeout.data = c;
}

void tier_cleaner_fini(struct tier_cleaner *c)
{
    buf_fini(&c->params);
}

void tier_cleaner_start(struct tier_cleaner *c)
{
    ev_timer_start(c->link->loop, &c->tick);
}

void tier_cleaner_stop(struct tier_cleaner *c)
{
    tier_cleaner_give_up(c);
    ev_timer_stop(c->link->loop, &c->tick);
}
