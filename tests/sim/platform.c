/* What core/load stands on, in place of the real one: the clock, the loops of libev as far as they
 * are used here, and the worker. Time is the simulator's; what is ready in one millisecond comes in
 * an order that the seed decides, and in more than one turn of its loop.
 *
 * Timers that repeat never run: the loader thread has one, which tells its numbers. */
#include "sim.h"

#include "base/clock.h"
#include "sys/worker.h"

#include <math.h>
#include <stdlib.h>

#define LOOP_PREPARES 4
#define WAKE_MS       2 /* at most, from a message to its receiver */

struct sim *the_sim;

/* ---- time ---- */

int64_t clock_ms(void)
{
    return the_sim->now_ms;
}

int64_t clock_us(void)
{
    return the_sim->now_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return the_sim->now_ms;
}

int64_t clock_thread_cpu_us(void)
{
    return 0;
}

/* ---- loops ---- */

struct ev_loop {
    ev_prepare *prepares[LOOP_PREPARES]; /* the highest priority first */
    int prepare_count;
    bool idles; /* it does not sleep */
    bool turn_due;
    bool stopped; /* nothing happens on it any more */
};

struct ev_loop *platform_loop(void)
{
    struct ev_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        abort();
    return loop;
}

void platform_loop_free(struct ev_loop *loop)
{
    free(loop);
}

static void on_turn(struct sim *s, void *arg, uint32_t stamp)
{
    (void)s, (void)stamp;
    struct ev_loop *loop = arg;
    loop->turn_due = false;
    if (loop->stopped)
        return;
    for (int i = 0; i < loop->prepare_count; i++)
        loop->prepares[i]->cb(loop, loop->prepares[i], EV_PREPARE);
    if (loop->idles)
        platform_turn(loop);
}

void platform_turn(struct ev_loop *loop)
{
    if (loop->turn_due || loop->stopped || loop->prepare_count == 0)
        return;
    loop->turn_due = true;
    task_in(the_sim, !the_sim->healing && sim_chance(the_sim, 10) ? 1 : 0, on_turn, loop, 0);
}

void ev_prepare_start(struct ev_loop *loop, ev_prepare *w)
{
    int at = loop->prepare_count++;
    if (at == LOOP_PREPARES)
        abort();
    for (; at > 0 && loop->prepares[at - 1]->priority < w->priority; at--)
        loop->prepares[at] = loop->prepares[at - 1];
    loop->prepares[at] = w;
    w->active = 1;
}

void ev_prepare_stop(struct ev_loop *loop, ev_prepare *w)
{
    int left = 0;
    for (int i = 0; i < loop->prepare_count; i++)
        if (loop->prepares[i] != w)
            loop->prepares[left++] = loop->prepares[i];
    loop->prepare_count = left;
    w->active = 0;
}

void ev_idle_start(struct ev_loop *loop, ev_idle *w)
{
    loop->idles = true;
    w->active = 1;
}

void ev_idle_stop(struct ev_loop *loop, ev_idle *w)
{
    loop->idles = false;
    w->active = 0;
}

static void on_timer(struct sim *s, void *arg, uint32_t stamp)
{
    (void)s, (void)stamp;
    struct sim_timer *t = arg;
    ev_timer *w = t->timer;
    if (!w || t->loop->stopped)
        return;
    t->timer = NULL;
    w->active = 0;
    w->cb(t->loop, w, EV_TIMER);
    platform_turn(t->loop);
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w)
{
    struct sim *s = the_sim;
    if (w->active || w->repeat > 0)
        return;
    if (s->timer_count == SIM_TIMERS) {
        fputs("sim: too many timers\n", stderr);
        abort();
    }
    struct sim_timer *t = &s->timers[s->timer_count++];
    *t = (struct sim_timer){.loop = loop, .timer = w};
    w->active = s->timer_count;
    task_in(s, (int64_t)ceil(w->at * 1e3 - 1e-6), on_timer, t, 0);
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w)
{
    (void)loop;
    if (w->active)
        the_sim->timers[w->active - 1].timer = NULL;
    w->active = 0;
}

/* A timer's time is counted from its start, in any case. */
void ev_now_update(struct ev_loop *loop)
{
    (void)loop;
}

/* ---- messages: sys/mailbox.c is the real one, and wakes its loop by these ---- */

static void on_wake(struct sim *s, void *arg, uint32_t stamp)
{
    (void)s, (void)stamp;
    ev_async *w = arg;
    struct ev_loop *loop = container_of(w, struct mailbox, async)->loop;
    w->sent = 0;
    if (loop->stopped)
        return;
    w->cb(loop, w, EV_ASYNC);
    platform_turn(loop);
}

void ev_async_start(struct ev_loop *loop, ev_async *w)
{
    (void)loop;
    w->sent = 0;
    w->active = 1;
}

void ev_async_stop(struct ev_loop *loop, ev_async *w)
{
    (void)loop;
    w->active = 0;
}

void ev_async_send(struct ev_loop *loop, ev_async *w)
{
    (void)loop;
    if (w->sent)
        return;
    w->sent = 1;
    task_in(the_sim, the_sim->healing ? 0 : sim_up_to(the_sim, WAKE_MS), on_wake, w, 0);
}

void ev_ref(struct ev_loop *loop)
{
    (void)loop;
}

void ev_unref(struct ev_loop *loop)
{
    (void)loop;
}

/* ---- the loader thread, which is none ---- */

int worker_init(struct worker *w, const char *name, unsigned index, void *owner, struct err *e)
{
    (void)name, (void)index, (void)e;
    *w = (struct worker){.loop = the_sim->loader_loop = platform_loop()};
    mailbox_init(&w->mailbox, w->loop, owner);
    return 0;
}

int worker_start(struct worker *w, struct err *e)
{
    (void)e;
    w->started = true;
    return 0;
}

void worker_stop(struct worker *w)
{
    w->loop->stopped = true;
}

void worker_join(struct worker *w)
{
    w->started = false;
}

void worker_fini(struct worker *w)
{
    if (!w->loop)
        return;
    mailbox_fini(&w->mailbox);
    platform_loop_free(w->loop);
    w->loop = NULL;
}
