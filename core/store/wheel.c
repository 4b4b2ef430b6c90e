#include "store/wheel.h"

#define FIRST_BITS 8
#define OTHER_BITS 6
#define TICK_MAX   ((UINT64_C(1) << (FIRST_BITS + OTHER_BITS * (WHEEL_LEVELS - 1))) - 1)

#define PLACES      30 /* of a chunk */
#define SPOT_BITS   5  /* a spot: the chunk's number above, its index in these */
#define CHUNK_LINES (sizeof(struct chunk) / LINE_BYTES)
#define PLACE_UNIT  4
#define FREE        WHEEL_SLOTS
#define FREE_SHARE  2 /* one chunk in so many may be free */

/* Numbers of chunks begin with 1; 0: there is none. */
struct chunk {
    uint64_t next : 24, prev : 24, slot : 10, count : 6;
    uint32_t places[PLACES]; /* of timers, in PLACE_UNITs from the base */
};

_Static_assert(WHEEL_FIRST == 1 << FIRST_BITS && WHEEL_OTHERS == 1 << OTHER_BITS, "bits of slots");
_Static_assert(sizeof(struct chunk) == 2 * LINE_BYTES, "two cache lines");
_Static_assert(PLACES <= 1 << SPOT_BITS, "bits of an index");
_Static_assert(LINE_ARRAY_MOST / 2 < 1 << 24 && FREE < 1 << 10, "bits of a chunk");

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

/* ---- chunks ---- */

static struct chunk *chunk_at(const struct wheel *w, uint32_t number)
{
    return line_array_at(&w->lines, (number - 1) * CHUNK_LINES);
}

static uint32_t last_chunk(const struct wheel *w)
{
    return (uint32_t)(w->lines.count / CHUNK_LINES);
}

static struct timer *timer_at(const struct wheel *w, uint32_t place)
{
    return (struct timer *)(w->base + (size_t)place * PLACE_UNIT);
}

static uint32_t place_of(const struct wheel *w, const struct timer *timer)
{
    return (uint32_t)(((const char *)timer - w->base) / PLACE_UNIT);
}

static uint32_t spot_of(uint32_t number, unsigned i)
{
    return number << SPOT_BITS | i;
}

/* One after the other in a slot's list; 0 is its begin, and its end. */
static void tie(struct wheel *w, unsigned slot, uint32_t prev, uint32_t next)
{
    if (prev)
        chunk_at(w, prev)->next = next;
    else
        w->slots[slot] = next;
    if (next)
        chunk_at(w, next)->prev = prev;
}

static void push_chunk(struct wheel *w, unsigned slot, uint32_t number)
{
    struct chunk *c = chunk_at(w, number);
    c->slot = slot;
    tie(w, slot, number, w->slots[slot]);
    tie(w, slot, 0, number);
    w->free_chunks += slot == FREE;
}

static void unlink_chunk(struct wheel *w, const struct chunk *c)
{
    tie(w, c->slot, c->prev, c->next);
    w->free_chunks -= c->slot == FREE;
}

/* The memory was made sure of. */
static struct chunk *new_chunk(struct wheel *w, unsigned slot)
{
    uint32_t number = w->slots[FREE];
    if (number) {
        unlink_chunk(w, chunk_at(w, number));
    } else {
        for (size_t i = 0; i < CHUNK_LINES; i++)
            line_array_push(&w->lines);
        number = last_chunk(w);
    }
    push_chunk(w, slot, number);
    return chunk_at(w, number);
}

/* The slot's first chunk has so many timers less, its last ones. */
static void shorten(struct wheel *w, unsigned slot, unsigned n)
{
    uint32_t number = w->slots[slot];
    struct chunk *c = chunk_at(w, number);
    c->count -= n;
    if (c->count == 0) {
        unlink_chunk(w, c);
        push_chunk(w, FREE, number);
    }
}

/* What is in the last chunk goes to one that is free; how many timers. */
static unsigned move_last(struct wheel *w)
{
    uint32_t number = w->slots[FREE];
    struct chunk *last = chunk_at(w, last_chunk(w)), *to = chunk_at(w, number);
    unlink_chunk(w, to);
    *to = *last;
    tie(w, to->slot, to->prev, number);
    tie(w, to->slot, number, to->next);
    for (unsigned i = 0; i < to->count; i++)
        timer_at(w, to->places[i])->spot = spot_of(number, i);
    return to->count;
}

void wheel_settle(struct wheel *w, unsigned most)
{
    while (most > 0 && w->free_chunks > last_chunk(w) / FREE_SHARE) {
        const struct chunk *last = chunk_at(w, last_chunk(w));
        unsigned steps = 1;
        if (last->slot == FREE)
            unlink_chunk(w, last);
        else
            steps += move_last(w);
        for (size_t i = 0; i < CHUNK_LINES; i++)
            line_array_pop(&w->lines);
        most -= steps < most ? steps : most;
    }
}

size_t wheel_bytes(const struct wheel *w)
{
    return line_array_bytes(&w->lines);
}

size_t wheel_growth(const struct wheel *w)
{
    return w->lines.count == 0 || w->free_chunks > 0 ? 0 : line_array_growth(&w->lines);
}

/* ---- timers ---- */

int wheel_init(struct wheel *w, void *base, int64_t now_ms, wheel_due_fn due)
{
    *w = (struct wheel){.tick = tick_of(now_ms), .due = due, .base = base};
    return line_array_init(&w->lines);
}

void wheel_fini(struct wheel *w)
{
    line_array_fini(&w->lines);
}

int wheel_reserve(struct wheel *w, size_t timers)
{
    return line_array_reserve(&w->lines, (timers / PLACES + WHEEL_SLOTS + 1) * CHUNK_LINES);
}

void wheel_add(struct wheel *w, struct timer *timer)
{
    int64_t due_ms = w->due(timer);
    /* Rounded up, for nothing may go early. */
    uint64_t tick =
        tick_of(due_ms < INT64_MAX - WHEEL_TICK_MS ? due_ms + WHEEL_TICK_MS - 1 : INT64_MAX);
    if (tick < w->tick)
        tick = w->tick;
    uint64_t differs = tick ^ w->tick;
    unsigned slot =
        slot_of(tick, differs ? level_of_bit(63 - (unsigned)__builtin_clzll(differs)) : 0);
    struct chunk *c = w->slots[slot] ? chunk_at(w, w->slots[slot]) : NULL;
    if (!c || c->count == PLACES)
        c = new_chunk(w, slot);
    timer->spot = spot_of(w->slots[slot], c->count);
    c->places[c->count] = place_of(w, timer);
    c->count++;
    set_busy(w, slot, true);
}

void wheel_follow(struct wheel *w, const struct timer *timer)
{
    if (timer->spot)
        chunk_at(w, timer->spot >> SPOT_BITS)->places[timer->spot % (1u << SPOT_BITS)] =
            place_of(w, timer);
}

/* The last one of the slot's first chunk takes its spot. */
void wheel_remove(struct wheel *w, struct timer *timer)
{
    if (!timer->spot)
        return;
    struct chunk *c = chunk_at(w, timer->spot >> SPOT_BITS);
    unsigned slot = c->slot;
    const struct chunk *first = chunk_at(w, w->slots[slot]);
    uint32_t place = first->places[first->count - 1];
    c->places[timer->spot % (1u << SPOT_BITS)] = place;
    timer_at(w, place)->spot = timer->spot;
    timer->spot = 0;
    shorten(w, slot, 1);
}

/* The first slot of a level that may hold timers; WHEEL_SLOTS: there is none. */
static unsigned first_busy(const struct wheel *w, unsigned level)
{
    unsigned first = first_slot(level) / 64, end = first + slots_of(level) / 64;
    for (unsigned word = first; word < end; word++)
        if (w->busy[word])
            return word * 64 + (unsigned)__builtin_ctzll(w->busy[word]);
    return WHEEL_SLOTS;
}

/* The earliest slot that may hold timers. */
static bool next_event(const struct wheel *w, struct event *ev)
{
    /* One whose time has come, whose timers were not all moved down when the steps ran out. */
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

/* At most `most` of a slot, and no more than a chunk of them. */
static size_t take_some(struct wheel *w, unsigned slot, size_t most, struct timer **out)
{
    if (!w->slots[slot])
        return 0;
    const struct chunk *c = chunk_at(w, w->slots[slot]);
    size_t n = c->count < most ? c->count : most;
    const uint32_t *places = c->places + (c->count - n);
    if (c->next)
        for (size_t i = 0; i < CHUNK_LINES; i++)
            __builtin_prefetch((const char *)chunk_at(w, c->next) + i * LINE_BYTES, 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = timer_at(w, places[i]);
        __builtin_prefetch(out[i], 1);
    }
    if (n > 0)
        shorten(w, slot, (unsigned)n);
    return n;
}

static size_t hand_out(struct wheel *w, unsigned slot, size_t most, struct timer **out)
{
    size_t all = 0;
    for (size_t n = 1; n > 0; all += n)
        n = take_some(w, slot, most - all, out + all);
    for (size_t i = 0; i < all; i++)
        out[i]->spot = 0;
    return all;
}

static size_t move_down(struct wheel *w, unsigned slot, size_t most)
{
    struct timer *some[PLACES];
    size_t all = 0;
    for (size_t n = 1; n > 0; all += n) {
        n = take_some(w, slot, most - all, some);
        for (size_t i = 0; i < n; i++)
            wheel_add(w, some[i]);
    }
    return all;
}

bool wheel_expire(struct wheel *w, int64_t now_ms, size_t steps, struct timer **out, size_t *count)
{
    uint64_t now = tick_of(now_ms);
    if (now < w->tick)
        now = w->tick;
    struct event ev;
    *count = 0;
    while (next_event(w, &ev) && ev.tick <= now) {
        w->tick = ev.tick;
        size_t n =
            ev.level > 0 ? move_down(w, ev.slot, steps) : hand_out(w, ev.slot, steps, out + *count);
        *count += ev.level > 0 ? 0 : n;
        steps -= n;
        if (steps-- == 0)
            return false;
        set_busy(w, ev.slot, false);
    }
    w->tick = now;
    return true;
}
