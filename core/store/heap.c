#include "store/heap.h"

#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif
#ifdef POISONS
#include <sanitizer/asan_interface.h>
#define POISON(at, n)   ASAN_POISON_MEMORY_REGION(at, n)
#define UNPOISON(at, n) ASAN_UNPOISON_MEMORY_REGION(at, n)
#else
#define POISON(at, n)   ((void)(at), (void)(n))
#define UNPOISON(at, n) ((void)(at), (void)(n))
#endif

#define STEP_UNITS  ((1u << 20) / HEAP_UNIT) /* had from the system at a time */
#define KEPT_UNITS  ((1u << 16) / HEAP_UNIT) /* above the top, that are not given back at once */
#define PAGE_UNITS  (HEAP_PAGE / HEAP_UNIT)
#define EXACT       64 /* classes below it hold holes of one size each */
#define PARTS_BITS  3  /* those above it, eight to each power of two */
#define LEAST_ENTRY (sizeof(struct entry) / HEAP_UNIT)
#define PROBES      4
#define SIZE_MOST   ((1u << 24) - 1)

/* The first and the last 4 bytes of a hole, which may be the same: ENTRY_HOLE in the byte that is
 * an entry's `life`, and the size in the others; 0: it is in the 4 bytes next to them, inwards. */
struct hole {
    uint8_t life;
    uint8_t size[3];
    uint32_t long_size;
    struct near_list link; /* of a hole of at least LISTED_LEAST units */
};

#define LISTED_LEAST (sizeof(struct hole) / HEAP_UNIT + 2)

_Static_assert(offsetof(struct hole, life) == offsetof(struct entry, life), "tells them apart");

static uint32_t up_to_page(uint32_t units)
{
    return (units + PAGE_UNITS - 1) / PAGE_UNITS * PAGE_UNITS;
}

static void *units_at(const struct heap *a, uint32_t at)
{
    return (char *)a + (size_t)at * HEAP_UNIT;
}

static struct hole *hole_at(const struct heap *a, uint32_t at)
{
    return units_at(a, at);
}

static uint32_t load_word(const struct heap *a, uint32_t at)
{
    uint32_t word;
    memcpy(&word, units_at(a, at), sizeof word);
    return word;
}

static void store_word(struct heap *a, uint32_t at, uint32_t word)
{
    memcpy(units_at(a, at), &word, sizeof word);
}

static uint32_t size_in(const struct heap *a, uint32_t at, uint32_t inwards)
{
    struct hole mark;
    memcpy(&mark, units_at(a, at), HEAP_UNIT);
    uint32_t size = mark.size[0] | (uint32_t)mark.size[1] << 8 | (uint32_t)mark.size[2] << 16;
    return size ? size : load_word(a, inwards);
}

static void write_size(struct heap *a, uint32_t at, uint32_t inwards, uint32_t units)
{
    uint32_t shown = units <= SIZE_MOST ? units : 0;
    struct hole mark = {.life = ENTRY_HOLE,
                        .size = {(uint8_t)shown, (uint8_t)(shown >> 8), (uint8_t)(shown >> 16)}};
    memcpy(units_at(a, at), &mark, HEAP_UNIT);
    if (!shown)
        store_word(a, inwards, units);
}

static bool is_hole(const struct heap *a, uint32_t at)
{
    return at < a->top && heap_at(a, at)->life & ENTRY_HOLE;
}

static unsigned class_of(uint32_t units)
{
    if (units < EXACT)
        return units;
    unsigned power = 31 - (unsigned)__builtin_clz(units), first = 31 - __builtin_clz(EXACT);
    unsigned part = (units >> (power - PARTS_BITS)) & ((1u << PARTS_BITS) - 1);
    return EXACT + ((power - first) << PARTS_BITS) + part;
}

/* The least of the class above the one in which only some are looked at. */
uint32_t heap_surely(uint32_t units)
{
    if (units < EXACT)
        return units;
    uint32_t step = 1u << (31 - (unsigned)__builtin_clz(units) - PARTS_BITS);
    return (units / step + 1) * step;
}

static void list_hole(struct heap *a, uint32_t at, uint32_t units)
{
    if (units < LISTED_LEAST)
        return;
    unsigned class = class_of(units);
    near_list_push_front(&a->holes[class], &hole_at(a, at)->link);
    a->busy[class / 64] |= UINT64_C(1) << class % 64;
}

static void unlist_hole(struct heap *a, uint32_t at, uint32_t units)
{
    if (units < LISTED_LEAST)
        return;
    unsigned class = class_of(units);
    near_list_remove(&hole_at(a, at)->link);
    if (near_list_empty(&a->holes[class]))
        a->busy[class / 64] &= ~(UINT64_C(1) << class % 64);
}

/* Its neighbours are entries; or it reaches the top, which then sinks. */
static void add_hole(struct heap *a, uint32_t at, uint32_t units)
{
    if (at + units == a->top) {
        a->top = at;
        if (a->cursor > at)
            a->cursor = at;
        POISON(units_at(a, at), (size_t)units * HEAP_UNIT);
        return;
    }
    write_size(a, at, at + 1, units);
    write_size(a, at + units - 1, at + units - 2, units);
    if (units >= LISTED_LEAST)
        near_list_init(&hole_at(a, at)->link);
    list_hole(a, at, units);
    a->hole_units += units;
    heap_at(a, at + units)->life |= ENTRY_AFTER_HOLE;
    if (units > LISTED_LEAST)
        POISON(hole_at(a, at) + 1, (units - LISTED_LEAST) * HEAP_UNIT);
}

/* What follows it still says that it follows one. */
static uint32_t take_hole(struct heap *a, uint32_t at)
{
    uint32_t units = size_in(a, at, at + 1);
    unlist_hole(a, at, units);
    a->hole_units -= units;
    UNPOISON(units_at(a, at), (size_t)units * HEAP_UNIT);
    return units;
}

void *heaps_reserve(size_t count)
{
    size_t size = count * HEAP_RANGE;
    char *all = mmap(NULL, size + HEAP_RANGE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)all & (HEAP_RANGE - 1);
    if (before)
        munmap(all, before);
    munmap(all + before + size, HEAP_RANGE - before);
    madvise(all + before, size, MADV_NOHUGEPAGE);
    return all + before;
}

void heaps_release(void *ranges, size_t count)
{
    munmap(ranges, count * HEAP_RANGE);
}

/* Makes all below `end` usable. */
static bool make_usable(struct heap *a, uint32_t end)
{
    if (end <= a->usable)
        return true;
    uint32_t to = (end + STEP_UNITS - 1) / STEP_UNITS * STEP_UNITS;
    size_t more = (size_t)(to - a->usable) * HEAP_UNIT;
    a->denied = mprotect(units_at(a, a->usable), more, PROT_READ | PROT_WRITE) != 0;
    if (a->denied)
        return false;
    a->usable = to;
    return true;
}

int heap_open(void *at, size_t head_bytes)
{
    size_t step = (size_t)STEP_UNITS * HEAP_UNIT;
    if (mprotect(at, step, PROT_READ | PROT_WRITE) != 0)
        return ERR_NOMEM;
    struct heap *a = at; /* of zeros, which is an empty list */
    a->usable = STEP_UNITS;
    a->first = (uint32_t)((head_bytes + HEAP_UNIT - 1) / HEAP_UNIT);
    a->top = a->cursor = a->first;
    a->touched = up_to_page(a->top);
    POISON(units_at(a, a->top), (size_t)(a->usable - a->top) * HEAP_UNIT);
    return 0;
}

void heap_close(struct heap *a)
{
    UNPOISON(a, (size_t)a->usable * HEAP_UNIT);
}

/* The first hole of a class at or above this one; 0: none. */
static uint32_t first_from(const struct heap *a, unsigned class)
{
    for (unsigned word = class / 64; word < HEAP_CLASSES / 64; word++) {
        uint64_t busy = a->busy[word];
        if (word == class / 64)
            busy &= ~UINT64_C(0) << class % 64;
        if (!busy)
            continue;
        const struct near_list *head = &a->holes[word * 64 + (unsigned)__builtin_ctzll(busy)];
        const char *link = (const char *)near_list_next(head);
        return heap_offset(a, (const struct entry *)(link - offsetof(struct hole, link)));
    }
    return 0;
}

/* One that holds `units`, of the class in which they may lie. */
static uint32_t probe(const struct heap *a, uint32_t units)
{
    const struct near_list *head = &a->holes[class_of(units)], *link = near_list_next(head);
    for (int i = 0; i < PROBES && link != head; i++, link = near_list_next(link)) {
        const char *at = (const char *)link - offsetof(struct hole, link);
        uint32_t hole = heap_offset(a, (const struct entry *)at);
        if (size_in(a, hole, hole + 1) >= units)
            return hole;
    }
    return 0;
}

static uint32_t find_hole(const struct heap *a, uint32_t units)
{
    uint32_t hole = probe(a, units);
    if (!hole)
        hole = first_from(a, class_of(units + LEAST_ENTRY - 1) + 1);
    if (!hole)
        hole = first_from(a, class_of(units) + 1);
    return hole;
}

static struct entry *cut_hole(struct heap *a, uint32_t at, uint32_t units)
{
    uint32_t all = take_hole(a, at);
    if (all > units)
        add_hole(a, at + units, all - units);
    else
        heap_at(a, at + units)->life &= (uint8_t)~ENTRY_AFTER_HOLE;
    struct entry *e = heap_at(a, at);
    e->life = 0;
    return e;
}

struct entry *heap_alloc(struct heap *a, uint32_t units, uint32_t most)
{
    uint32_t hole = find_hole(a, units);
    if (hole)
        return cut_hole(a, hole, units);
    if (most > HEAP_BYTES / HEAP_UNIT)
        most = HEAP_BYTES / HEAP_UNIT;
    if (a->top > most || most - a->top < units || !make_usable(a, a->top + units))
        return NULL;
    struct entry *e = heap_at(a, a->top);
    UNPOISON(e, (size_t)units * HEAP_UNIT);
    a->top += units;
    if (a->top > a->touched)
        a->touched = up_to_page(a->top);
    e->life = 0;
    return e;
}

void heap_trim(struct heap *a)
{
    uint32_t kept = up_to_page(a->top);
    if (kept >= a->touched)
        return;
    size_t size = (size_t)(a->touched - kept) * HEAP_UNIT;
    if (madvise(units_at(a, kept), size, MADV_DONTNEED) == 0)
        a->touched = kept;
}

/* A hole there that touches others becomes one with them. */
static uint32_t free_units(struct heap *a, uint32_t at, uint32_t units, bool after_hole)
{
    uint32_t from = at, end = at + units;
    if (is_hole(a, end))
        end += take_hole(a, end);
    if (after_hole) {
        from -= size_in(a, at - 1, at - 2);
        take_hole(a, from);
    }
    if (a->cursor > from && a->cursor < end)
        a->cursor = from;
    add_hole(a, from, end - from);
    if (a->touched - a->top > KEPT_UNITS && a->touched > a->top)
        heap_trim(a);
    return from;
}

void heap_free(struct heap *a, struct entry *e, uint32_t units)
{
    free_units(a, heap_offset(a, e), units, e->life & ENTRY_AFTER_HOLE);
}

void heap_run_add(struct heap *a, struct heap_run *run, const struct entry *e, uint32_t units)
{
    uint32_t at = heap_offset(a, e);
    if (run->units > 0 && run->at + run->units == at) {
        run->units += units;
        return;
    }
    heap_run_end(a, run);
    *run = (struct heap_run){.at = at, .units = units, .after_hole = e->life & ENTRY_AFTER_HOLE};
}

void heap_run_end(struct heap *a, struct heap_run *run)
{
    if (run->units > 0)
        free_units(a, run->at, run->units, run->after_hole);
    run->units = 0;
}

void heap_return(struct entry *e)
{
    struct heap *a = heap_of(e);
    uint32_t at = heap_offset(a, e),
             last = atomic_load_explicit(&a->returned, memory_order_relaxed);
    do
        e->next = last;
    while (!atomic_compare_exchange_weak_explicit(&a->returned, &last, at, memory_order_release,
                                                  memory_order_relaxed));
}

void heap_collect(struct heap *a)
{
    if (atomic_load_explicit(&a->returned, memory_order_relaxed) == 0)
        return;
    uint32_t at = atomic_exchange_explicit(&a->returned, 0, memory_order_acquire);
    while (at) {
        struct entry *e = heap_at(a, at);
        at = e->next;
        heap_free(a, e, entry_units(e));
    }
}

uint32_t heap_block_units(const struct heap *a, uint32_t at)
{
    return is_hole(a, at) ? size_in(a, at, at + 1) : entry_units(heap_at(a, at));
}

uint32_t heap_shift(struct heap *a, uint32_t hole)
{
    uint32_t size = take_hole(a, hole);
    struct entry *from = heap_at(a, hole + size), *to = heap_at(a, hole);
    uint32_t units = entry_units(from);
    memmove(to, from, (size_t)units * HEAP_UNIT);
    to->life &= (uint8_t)~ENTRY_AFTER_HOLE;
    return free_units(a, hole + units, size, false);
}
