#include "store/wheel.h"

#define FIRST_BITS 8
#define OTHER_BITS 6
#define TICK_MAX   ((UINT64_C(1) << (FIRST_BITS + OTHER_BITS * (WHEEL_LEVELS - 1))) - 1)

_Static_assert(WHEEL_FIRST == 1 << FIRST_BITS && WHEEL_OTHERS == 1 << OTHER_BITS, "bits of slots");

/* tick: of the slot's begin. */
struct event {
    unsigned level, slot;
    uint64_t tick;
};

static uint64_t tick_of(int64_t ms)
{
    uint64_t tick = ms > 0 ? (uint64_t)ms / WHEEL_TICK_MS : 0;
    return tick < TICK_MAX ? tick : TICK_MAX;
}

static unsigned level_of_bit(unsigned bit)
{
    return bit < FIRST_BITS ? 0 : (bit - FIRST_BITS) / OTHER_BITS + 1;
}

/* The bits of a tick below the level's digit. */
static unsigned shift_of(unsigned level)
{
    return level == 0 ? 0 : FIRST_BITS + (level - 1) * OTHER_BITS;
}

static unsigned first_slot(unsigned level)
{
    return level == 0 ? 0 : WHEEL_FIRST + (level - 1) * WHEEL_OTHERS;
}

static unsigned slots_of(unsigned level)
{
    return level == 0 ? WHEEL_FIRST : WHEEL_OTHERS;
}

/* The slot of a tick on a level. */
static unsigned slot_of(uint64_t tick, unsigned level)
{
    return first_slot(level) + ((unsigned)(tick >> shift_of(level)) & (slots_of(level) - 1));
}

static void set_busy(struct wheel *w, unsigned slot, bool busy)
{
    uint64_t bit = UINT64_C(1) << slot % 64;
    w->busy[slot / 64] = busy ? w->busy[slot / 64] | bit : w->busy[slot / 64] & ~bit;
}

void wheel_init(struct wheel *w, int64_t now_ms, wheel_due_fn due)
{
    *w = (struct wheel){.tick = tick_of(now_ms), .due = due};
    for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
        near_init(&w->slots[slot]);
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
    unsigned slot =
        slot_of(tick, differs ? level_of_bit(63 - (unsigned)__builtin_clzll(differs)) : 0);
    near_push_back(&w->slots[slot], link);
    set_busy(w, slot, true);
}

/* The first slot of a level that may hold links; WHEEL_SLOTS: there is none. */
static unsigned first_busy(const struct wheel *w, unsigned level)
{
    unsigned first = first_slot(level) / 64, end = first + slots_of(level) / 64;
    for (unsigned word = first; word < end; word++)
        if (w->busy[word])
            return word * 64 + (unsigned)__builtin_ctzll(w->busy[word]);
    return WHEEL_SLOTS;
}

/* The earliest slot that may hold links. */
static bool next_event(const struct wheel *w, struct event *ev)
{
    /* One whose time has come, whose links were not all moved down when the steps ran out. */
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        unsigned slot = slot_of(w->tick, level);
        if (w->busy[slot / 64] >> slot % 64 & 1) {
            *ev = (struct event){.level = level, .slot = slot, .tick = w->tick};
            return true;
        }
    }
    /* All of a level lies before all of the next. */
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned slot = first_busy(w, level);
        if (slot == WHEEL_SLOTS)
            continue;
        uint64_t round = (uint64_t)slots_of(level) << shift_of(level);
        uint64_t digit = (uint64_t)(slot - first_slot(level)) << shift_of(level);
        *ev = (struct event){.level = level, .slot = slot, .tick = w->tick / round * round + digit};
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
        struct near *slot = &w->slots[ev.slot];
        w->tick = ev.tick;
        size_t n = ev.level > 0 ? move_down(w, slot, steps) : hand_out(slot, steps, out + *count);
        *count += ev.level > 0 ? 0 : n;
        steps -= n;
        if (steps-- == 0)
            return false;
        set_busy(w, ev.slot, false);
    }
    w->tick = now;
    return true;
}
