/* Which hole of a heap is taken for so many units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "heap_world.h"

static int setup(void **state)
{
    *state = heap_world(sizeof(struct heap));
    return 0;
}

static int teardown(void **state)
{
    heap_world_end(*state);
    return 0;
}

#define HOLES_MOST 8

/* Holes, with something between them that stays. */
struct holes {
    struct entry *at[HOLES_MOST], *kept[HOLES_MOST];
    int count;
};

static void make_holes(struct heap *heap, struct holes *h, const uint32_t *units, int count)
{
    h->count = count;
    for (int i = 0; i < count; i++) {
        h->at[i] = heap_alloc(heap, units[i], UINT32_MAX);
        h->kept[i] = heap_alloc(heap, 64, UINT32_MAX);
        assert_true(h->at[i] && h->kept[i]);
    }
    for (int i = 0; i < count; i++)
        heap_free(heap, h->at[i], units[i]);
}

static void end_holes(struct heap *heap, struct holes *h)
{
    for (int i = 0; i < h->count; i++)
        heap_free(heap, h->kept[i], 64);
    assert_int_equal(heap->top, heap->first);
}

/* The place of the hole that is taken for so many units; -1: none. */
static int taken_for(struct heap *heap, const struct holes *h, uint32_t units)
{
    struct entry *e = heap_alloc(heap, units, heap->top);
    int i = 0;
    if (!e)
        return -1;
    while (i < h->count && h->at[i] != e)
        i++;
    assert_true(i < h->count);
    heap_free(heap, e, units);
    return i;
}

#define LEAST_HOLE 6 /* smaller ones are in no list */

/* One hole is found for all that fit into it, and for nothing else. */
static void a_hole_is_found_for_what_fits(void **state)
{
    struct heap *heap = *state;
    struct holes h;
    for (uint32_t size = LEAST_HOLE - 1; size < 200; size++) {
        make_holes(heap, &h, &size, 1);
        for (uint32_t units = 4; units < 250; units++)
            if (taken_for(heap, &h, units) != (units <= size && size >= LEAST_HOLE ? 0 : -1))
                fail_msg("%u units in a hole of %u", units, size);
        end_holes(heap, &h);
    }
    for (uint32_t size = 200; size < 1 << 24; size += size / 17) {
        const uint32_t tried[] = {4,    size / 9 * 8,    size / 8 * 7, size - size / 17,
                                  size, size + size / 17};
        make_holes(heap, &h, &size, 1);
        for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
            if (taken_for(heap, &h, tried[i]) != (tried[i] <= size ? 0 : -1))
                fail_msg("%u units in a hole of %u", tried[i], size);
        end_holes(heap, &h);
    }
}

/* The smallest size from there on that is the least of a class. */
static uint32_t least_of_class(uint32_t units)
{
    return units <= 64 ? units : heap_surely(units - 1);
}

/* One of the size asked for, then the smallest whose rest another entry can use, then any. */
static void a_rest_is_left_that_another_entry_can_use(void **state)
{
    enum { LARGER, NEXT, USEFUL, SAME, SIZES };
    static const struct {
        int taken, size_count, sizes[SIZES];
    } cases[] = {
        {SAME, 4, {LARGER, NEXT, USEFUL, SAME}},
        {USEFUL, 3, {LARGER, NEXT, USEFUL}},
        {LARGER, 2, {LARGER, NEXT}},
        {NEXT, 1, {NEXT}},
    };
    struct heap *heap = *state;
    const uint32_t least = sizeof(struct entry) / HEAP_UNIT;
    for (uint32_t units = LEAST_HOLE; units < 3000; units += 1 + units / 50) {
        const uint32_t next = least_of_class(units + 1), useful = least_of_class(units + least);
        const uint32_t sizes[SIZES] = {least_of_class(useful + 1), next, useful, units};
        for (size_t i = 0; i < sizeof cases / sizeof *cases && next != useful; i++) {
            uint32_t there[SIZES];
            struct holes h;
            for (int k = 0; k < cases[i].size_count; k++)
                there[k] = sizes[cases[i].sizes[k]];
            make_holes(heap, &h, there, cases[i].size_count);
            int taken = taken_for(heap, &h, units);
            if (taken < 0 || cases[i].sizes[taken] != cases[i].taken)
                fail_msg("%u units, case %zu: hole %d", units, i, taken);
            end_holes(heap, &h);
        }
    }
}

/* A hole that fits is found behind three of its class that do not; what is looked at is bounded. */
static void four_holes_of_a_class_are_looked_at(void **state)
{
    struct heap *heap = *state;
    const uint32_t units[] = {70, 64, 64, 64, 64, 64, 64}; /* the last one is looked at first */
    for (int count = 1; count <= 7; count++) {
        struct holes h;
        make_holes(heap, &h, units, count);
        assert_int_equal(taken_for(heap, &h, 70), count <= 4 ? 0 : -1);
        end_holes(heap, &h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_is_found_for_what_fits),
        cmocka_unit_test(a_rest_is_left_that_another_entry_can_use),
        cmocka_unit_test(four_holes_of_a_class_are_looked_at),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
