/* Of the loaders that have something to begin, one after the other has its turn, foreground before
 * refreshes before prefetches. One whose script had more of the thread than others waits until they
 * have had as much, or have nothing to do: bind/run_turns.h. */
#include "load/schedule.h"

#include "base/clock.h"
#include "load/admission.h"
#include "load/capacity.h"
#include "load/tiered.h"

#define HOLD_PART 16 /* of what a slow one took, it and its like wait for others */

/* Singles and bulks are one rank: their admission lets them take turns. */
static int rank_of(enum load_class class)
{
    return class == CLASS_BULK ? CLASS_SINGLE : (int)class;
}

/* What may go on: a load that may begin, or a run that waits for its turn. */
struct choice {
    struct admission *admission; /* or */
    struct runtime *runtime;
    int64_t ahead_us; /* runtime_ahead_us of its script */
    int rank;
};

static bool is_before(const struct choice *a, const struct choice *b)
{
    return a->ahead_us != b->ahead_us ? a->ahead_us < b->ahead_us : a->rank < b->rank;
}

/* None is before it. */
static bool is_first(const struct choice *c)
{
    return c->ahead_us == 0 && c->rank <= CLASS_SINGLE;
}

static void choose_admission(struct capacity *c, struct choice *best)
{
    list_for_each_safe (link, next, &c->waiting) {
        struct admission *a = container_of(link, struct admission, turn);
        if (!admission_has_work(a)) {
            list_remove(&a->turn);
            continue;
        }
        struct choice its = {.admission = a, .rank = rank_of(admission_next_class(a))};
        its.ahead_us = runtime_ahead_us(a->binding.edition->runtime, a->binding.script);
        if (its.rank < CLASS_COUNT && is_before(&its, best))
            *best = its;
        if (is_first(best))
            return;
    }
}

/* Of all capacities that have room, in the order in which they were marked. Where nothing may
 * begin, none is marked any more. */
static void choose_load(struct schedule *s, struct choice *best)
{
    list_for_each_safe (link, next, &s->startable) {
        struct capacity *c = container_of(link, struct capacity, link);
        if (is_first(best))
            return;
        if (capacity_room(c) > 0)
            choose_admission(c, best);
        if (capacity_room(c) == 0 || list_empty(&c->waiting))
            list_remove(&c->link);
    }
    while (!best->admission && list_pop_front(&s->startable)) {
    }
}

/* What began goes on before something else begins. */
static void choose_run(struct runtime *rt, struct choice *best)
{
    struct choice its = {.runtime = rt, .rank = -1};
    if (rt && runtime_waits(rt, &its.ahead_us) && is_before(&its, best))
        *best = its;
}

static bool choose(struct schedule *s, struct choice *best)
{
    *best = (struct choice){.ahead_us = INT64_MAX, .rank = CLASS_COUNT};
    choose_load(s, best);
    list_for_each (link, &s->editions) {
        struct edition *edition = container_of(link, struct edition, link);
        choose_run(edition->runtime, best);
        choose_run(edition->ending, best);
    }
    return best->admission || best->runtime;
}

static void begin(struct admission *a)
{
    struct edition *edition = edition_ref(a->binding.edition);
    capacity_turn(a->binding.capacity, &a->turn);
    admission_begin(a);
    edition_unref(edition);
}

static void go_on(const struct choice *c)
{
    if (c->admission) {
        begin(c->admission);
        return;
    }
    struct runtime *rt = runtime_ref(c->runtime);
    runtime_go_on(rt);
    runtime_unref(rt);
}

static void begin_turn(const struct schedule *s)
{
    list_for_each (link, &s->editions) {
        const struct edition *edition = container_of(link, struct edition, link);
        runtime_turn(edition->runtime, SCHEDULE_TURN_US);
        if (edition->ending)
            runtime_turn(edition->ending, SCHEDULE_TURN_US);
    }
}

/* One of a script that had more of the thread than others was slow: before the next of such, those
 * whose queries are answered meanwhile have theirs. */
static bool is_held(struct schedule *s, const struct choice *c, int64_t now_us)
{
    if (c->ahead_us == 0 || now_us >= s->hold_until_us)
        return false;
    ev_now_update(s->thread->loop);
    ev_timer_stop(s->thread->loop, &s->holding);
    ev_timer_set(&s->holding, (double)(s->hold_until_us - now_us) / 1e6, 0.);
    ev_timer_start(s->thread->loop, &s->holding);
    return true;
}

/* Whether something is left that may go on now. */
static bool take_turn(struct schedule *s)
{
    struct choice c;
    int64_t now_us = clock_us(), until_us = now_us + SCHEDULE_TURN_US;
    for (unsigned n = 0; n < SCHEDULE_STARTS && now_us < until_us; n++) {
        if (!choose(s, &c) || is_held(s, &c, now_us))
            return false;
        int64_t began_us = now_us;
        go_on(&c);
        now_us = clock_us();
        if (now_us - began_us > SCHEDULE_TURN_US)
            s->hold_until_us = now_us + (now_us - began_us) / HOLD_PART;
    }
    return true;
}

void schedule_run(struct schedule *s)
{
    begin_turn(s);
    bool left = take_turn(s);
    if (s->thread->tiered)
        tier_reader_flush(&s->thread->tiered->lane.reader);
    s->thread->turn++;
    s->thread->came_us = 0;
    if (left)
        ev_idle_start(s->thread->loop, &s->unfinished);
    else
        ev_idle_stop(s->thread->loop, &s->unfinished);
}

/* ---- the loop ---- */

/* The loop is about to sleep: what arrived or ended in this turn is known. */
static void schedule_on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    schedule_run(watcher->data);
}

/* Keeps the loop from sleeping. */
static void schedule_on_unfinished(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
}

/* The turn that follows looks at what was held. */
static void schedule_on_held(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

void schedule_init(struct schedule *s, struct thread_state *t)
{
    *s = (struct schedule){.thread = t};
    list_init(&s->editions);
    list_init(&s->startable);
}

void schedule_start(struct schedule *s)
{
    ev_prepare_init(&s->starting, schedule_on_turn);
    s->starting.data = s;
    ev_prepare_start(s->thread->loop, &s->starting);
    ev_idle_init(&s->unfinished, schedule_on_unfinished);
    ev_timer_init(&s->holding, schedule_on_held, 0., 0.);
}

void schedule_stop(struct schedule *s)
{
    ev_prepare_stop(s->thread->loop, &s->starting);
    ev_idle_stop(s->thread->loop, &s->unfinished);
    ev_timer_stop(s->thread->loop, &s->holding);
}
