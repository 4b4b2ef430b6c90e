#include "store/wheel.h"

#define DIGIT    (WHEEL_SLOTS - 1)
#define TICK_MAX ((UINT64_C(1) << (WHEEL_BITS * WHEEL_LEVELS)) - 1)

struct event {
    unsigned level, slot;
    uint64_t tick;
};

static uint64_t tick_of(int64_t ms)
{
    uint64_t tick = ms > 0 ? (uint64_t)ms / WHEEL_TICK_MS : 0;
    return tick < TICK_MAX ? tick : TICK_MAX;
}

static unsigned digit_of(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * WHEEL_BITS)) & DIGIT;
}

void wheel_init(struct wheel *w, int64_t now_ms, wheel_due_fn due)
{
    w->tick = tick_of(now_ms);
    w->due = due;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->busy[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            near_init(&w->slots[level][slot]);
    }
}

void wheel_add(struct wheel *w, struct near *link)
{
    int64_t due_ms = w->due(link);
    /* Rounded up, for nothing may go early. */
    uint64_t tick =
        tick_of(due_ms < INT64_MAX - WHEEL_TICK_MS ? due_ms + WHEEL_TICK_MS - 1 : INT64_MAX);
    if (tick < w->tick)
        tick = w->tick;
    uint64_t differs = tick ^ w->tick;
    unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / WHEEL_BITS : 0;
    unsigned slot = digit_of(tick, level);
    near_push_back(&w->slots[level][slot], link);
    w->busy[level] |= UINT64_C(1) << slot;
}

/* The earliest slot that may hold links. */
static bool next_event(const struct wheel *w, struct event *ev)
{
    /* One whose time has come, whose links were not all moved down when the steps ran out. */
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        unsigned slot = digit_of(w->tick, level);
        if (w->busy[level] >> slot & 1) {
            *ev = (struct event){.level = level, .slot = slot, .tick = w->tick};
            return true;
        }
    }
    /* All of a level lies before all of the next. */
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (!w->busy[level])
            continue;
        unsigned shift = level * WHEEL_BITS;
        unsigned slot = (unsigned)__builtin_ctzll(w->busy[level]);
        uint64_t above = w->tick >> shift >> WHEEL_BITS << WHEEL_BITS << shift;
        *ev = (struct event){.level = level, .slot = slot, .tick = above | (uint64_t)slot << shift};
        return true;
    }
    return false;
}

/* Both take at most `most` from the front of a slot, and write to its head at the end only. */
static size_t hand_out(struct near *slot, size_t most, struct near **out)
{
    struct near *link = near_next(slot);
    size_t n = 0;
    for (struct near *next; n < most && link != slot; link = next) {
        next = near_next(link);
        near_init(link);
        out[n++] = link;
    }
    near_tie(slot, link);
    return n;
}

static size_t move_down(struct wheel *w, struct near *slot, size_t most)
{
    struct near *link = near_next(slot);
    size_t n = 0;
    for (struct near *next; n < most && link != slot; link = next, n++) {
        next = near_next(link);
        wheel_add(w, link);
    }
    near_tie(slot, link);
    return n;
}

bool wheel_expire(struct wheel *w, int64_t now_ms, size_t steps, struct near **out, size_t *count)
{
    uint64_t now = tick_of(now_ms);
    if (now < w->tick)
        now = w->tick;
    struct event ev;
    *count = 0;
    while (next_event(w, &ev) && ev.tick <= now) {
        struct near *slot = &w->slots[ev.level][ev.slot];
        w->tick = ev.tick;
        size_t n = ev.level > 0 ? move_down(w, slot, steps) : hand_out(slot, steps, out + *count);
        *count += ev.level > 0 ? 0 : n;
        steps -= n;
        if (steps-- == 0)
            return false;
        w->busy[ev.level] &= ~(UINT64_C(1) << ev.slot);
    }
    w->tick = now;
    return true;
}
