/* The heap of a shard, and its compaction, against an array of what was put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "heap_world.h"
#include "store/compact.h"

#include <stdlib.h>
#include <sys/resource.h>

#define KEYS 3000
#define SEED 3

struct world {
    struct heap heap; /* has to come first */
    struct near_list queue;
    struct table table;
    struct wheel wheel;
    struct rng rng;
    char fill[KEYS];
    unsigned size[KEYS]; /* of what is stored; 0: nothing */
};

static unsigned number_of(const struct entry *e)
{
    unsigned i;
    memcpy(&i, entry_key(e).data, sizeof i);
    return i;
}

static int64_t due_ms(const struct timer *timer)
{
    return (int64_t)number_of(container_of(timer, struct entry, timer)) * 50;
}

static int setup(void **state)
{
    struct world *w = heap_world(sizeof *w);
    assert_int_equal(table_init(&w->table, &w->heap, SEED), 0);
    assert_int_equal(wheel_init(&w->wheel, w, 0, due_ms), 0);
    assert_int_equal(wheel_reserve(&w->wheel, KEYS), 0);
    w->rng.state = 1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    table_fini(&w->table);
    wheel_fini(&w->wheel);
    heap_world_end(&w->heap);
    return 0;
}

static struct slice key_of(const unsigned *i)
{
    return slice_of((const char *)i, sizeof *i);
}

static struct entry *find(struct world *w, unsigned i)
{
    return table_find(&w->table, key_of(&i), hash_slice(key_of(&i), SEED));
}

static void add(struct world *w, unsigned i, unsigned size)
{
    static char text[1 << 20];
    w->size[i] = size;
    w->fill[i] = (char)rng_next(&w->rng);
    memset(text, w->fill[i], size);
    struct entry *e =
        heap_entry(&w->heap, &(struct put){.key = key_of(&i), .value = slice_of(text, size)});
    e->life |= ENTRY_STORED;
    assert_int_equal(table_reserve(&w->table), 0);
    table_add(&w->table, e, hash_slice(key_of(&i), SEED));
    near_list_push_back(&w->queue, &e->queue);
    if (i % 3)
        wheel_add(&w->wheel, &e->timer);
}

static void drop(struct world *w, unsigned i)
{
    struct entry *e = find(w, i);
    table_remove(&w->table, e, hash_slice(key_of(&i), SEED));
    near_list_remove(&e->queue);
    wheel_remove(&w->wheel, &e->timer);
    e->life &= (uint8_t)~ENTRY_STORED;
    w->size[i] = 0;
    heap_unref(&w->heap, e);
}

static void check_entry(const struct world *w, const struct entry *e, unsigned i)
{
    assert_non_null(e);
    struct slice value = entry_value(e);
    assert_int_equal(value.size, w->size[i]);
    for (size_t n = 0; n < value.size; n++)
        assert_true(value.data[n] == w->fill[i]);
}

static size_t length_of(const struct near_list *head)
{
    size_t n = 0;
    for (const struct near_list *l = near_list_next(head); l != head; l = near_list_next(l)) {
        assert_ptr_equal(near_list_prev(near_list_next(l)), l);
        n++;
    }
    return n;
}

/* The blocks cover all, no two holes touch, and everything that was put in is there. */
static void check(struct world *w)
{
    const struct heap *h = &w->heap;
    uint32_t holes = 0, at = h->first;
    bool after_hole = false;
    while (at < h->top) {
        const struct entry *e = heap_at(h, at);
        uint32_t units = heap_block_units(h, at);
        assert_true(units > 0);
        if (e->life & ENTRY_HOLE) {
            assert_false(after_hole);
            holes += units;
        } else {
            assert_int_equal((e->life & ENTRY_AFTER_HOLE) != 0, after_hole);
        }
        after_hole = e->life & ENTRY_HOLE;
        at += units;
    }
    assert_int_equal(at, h->top);
    assert_false(after_hole);
    assert_int_equal(holes, h->hole_units);
    assert_true(h->touched >= h->top);
    size_t there = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        if (!w->size[i])
            continue;
        there++;
        check_entry(w, find(w, i), i);
    }
    assert_int_equal(length_of(&w->queue), there);
}

/* The wheel knows where they are now. */
static void check_timers(struct world *w)
{
    struct timer *due[KEYS];
    size_t count, timed = 0;
    for (unsigned i = 0; i < KEYS; i++)
        timed += w->size[i] && i % 3;
    assert_true(wheel_expire(&w->wheel, KEYS * 50, SIZE_MAX, due, &count));
    assert_int_equal(count, timed);
    for (size_t n = 0; n < count; n++) {
        const struct entry *e = container_of(due[n], struct entry, timer);
        assert_true(number_of(e) < KEYS && number_of(e) % 3);
        assert_ptr_equal(find(w, number_of(e)), e);
    }
}

static void drop_all(struct world *w)
{
    check_timers(w);
    for (unsigned i = 0; i < KEYS; i++)
        if (w->size[i])
            drop(w, i);
    assert_int_equal(w->heap.hole_units, 0);
    assert_int_equal(w->heap.top, w->heap.first);
}

static void what_is_stored_stays_whole_while_it_is_moved(void **state)
{
    struct world *w = *state;
    for (int n = 0; n < 60000; n++) {
        unsigned i = (unsigned)rng_below(&w->rng, KEYS);
        if (w->size[i])
            drop(w, i);
        else
            add(w, i, 1 + (unsigned)(rng_next(&w->rng) >> (50 + rng_below(&w->rng, 14))));
        if (n % 50 == 0)
            compact(&w->heap, &w->table, &w->wheel, 1 + (uint32_t)rng_below(&w->rng, 9000), 5000);
        if (n % 3000 == 0)
            check(w);
    }
    check(w);
    drop_all(w);
}

static void a_pass_leaves_no_hole_but_before_what_is_held(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < KEYS; i++)
        add(w, i, 1 + (unsigned)rng_below(&w->rng, 300));
    for (unsigned i = 0; i < KEYS; i += 2)
        drop(w, i);
    struct entry *held[] = {entry_ref(find(w, 301)), entry_ref(find(w, 2001))};
    while (compact(&w->heap, &w->table, &w->wheel, UINT32_MAX, UINT32_MAX) > 0 &&
           w->heap.cursor != w->heap.first) {
    }
    check(w);
    assert_ptr_equal(find(w, 301), held[0]);
    assert_ptr_equal(find(w, 2001), held[1]);
    assert_true(w->heap.hole_units > 0);
    entry_unref(held[0]);
    entry_unref(held[1]);
    while (w->heap.hole_units > 0)
        compact(&w->heap, &w->table, &w->wheel, UINT32_MAX, UINT32_MAX);
    check(w);
    drop_all(w);
}

/* Sizes grow: what small ones leave behind has to become room for large ones. */
static void holes_of_small_ones_become_room_for_a_large_one(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < KEYS; i++)
        add(w, i, 100);
    uint32_t full = w->heap.top;
    for (unsigned i = 1; i < KEYS; i += 2)
        drop(w, i);
    uint32_t wanted = w->heap.hole_units / 2;
    assert_null(heap_alloc(&w->heap, wanted, full));
    struct entry *e = NULL;
    while (!e && compact(&w->heap, &w->table, &w->wheel, wanted, 1000) > 0)
        e = heap_alloc(&w->heap, wanted, full);
    assert_non_null(e);
    heap_free(&w->heap, e, wanted);
    check(w);
    drop_all(w);
}

/* More holes that are a little too small than are looked at, before the one that fits. */
static void what_was_gathered_is_found(void **state)
{
    struct world *w = *state;
    for (unsigned units = 64; units < 3000; units = units * 5 / 4) {
        struct entry *blocks[41];
        for (int i = 0; i < 41; i++) {
            blocks[i] = heap_alloc(&w->heap, i == 1 ? units + 1 : units, UINT32_MAX);
            assert_non_null(blocks[i]);
            entry_shape(blocks[i], &(struct put){.key = slice_str("x")});
            blocks[i]->short_value_size =
                (uint32_t)(((i == 1) + units) * 4 - offsetof(struct entry, data) - 1) & 0xffffff;
        }
        for (int i = 1; i < 41; i += 2)
            heap_free(&w->heap, blocks[i], i == 1 ? units + 1 : units);
        w->heap.cursor = heap_offset(&w->heap, blocks[1]);
        uint32_t before = w->heap.cursor;
        struct entry *e = heap_alloc(&w->heap, units + 1, w->heap.top);
        if (!e) { /* nothing here may move, so it has to go on */
            assert_true(
                compact(&w->heap, &w->table, &w->wheel, heap_surely(units + 1), UINT32_MAX) > 0);
            assert_true(w->heap.cursor != before);
        } else {
            heap_free(&w->heap, e, units + 1);
        }
        for (int i = 0; i < 41; i += 2)
            heap_free(&w->heap, blocks[i], units);
        assert_int_equal(w->heap.hole_units, 0);
    }
}

static void a_huge_hole_knows_its_size(void **state)
{
    struct world *w = *state;
    uint32_t units = (1u << 24) + 5;
    struct entry *large = heap_alloc(&w->heap, units, UINT32_MAX);
    assert_non_null(large);
    add(w, 1, 10);
    heap_free(&w->heap, large, units);
    assert_int_equal(w->heap.hole_units, units);
    assert_int_equal(heap_block_units(&w->heap, w->heap.first), units);
    struct entry *again = heap_alloc(&w->heap, units - 3, UINT32_MAX);
    assert_ptr_equal(again, large);
    heap_free(&w->heap, again, units - 3);
    check(w);
    drop_all(w);
}

/* Of a page that the system has taken there is nothing left. */
__attribute__((no_sanitize_address)) static bool is_gone(const char *at, size_t size)
{
    size_t i = 0;
    while (i < size && at[i] == 0)
        i++;
    return i == size;
}

static void what_is_given_back_is_no_longer_resident(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < KEYS; i++)
        add(w, i, 1000);
    const uint32_t before = w->heap.touched;
    assert_true(before * HEAP_UNIT > KEYS * 1000);
    drop_all(w);
    heap_trim(&w->heap);
    const uint32_t after = w->heap.touched;
    assert_true((after - w->heap.first) * HEAP_UNIT <= HEAP_PAGE);
    assert_true(is_gone((const char *)heap_at(&w->heap, after), (before - after) * HEAP_UNIT));
    add(w, 5, 100);
    check(w);
    drop_all(w);
}

/* What lies above the top goes back by itself once it is more than 64 KiB. */
static void what_is_far_above_the_top_goes_back_at_once(void **state)
{
    struct world *w = *state;
    struct heap *h = &w->heap;
    const uint32_t kib = 1024 / HEAP_UNIT, page = HEAP_PAGE / HEAP_UNIT;
    struct entry *first = heap_alloc(h, 64 * kib, UINT32_MAX);
    const uint32_t first_top = h->top;
    struct entry *second = heap_alloc(h, 70 * kib, UINT32_MAX);
    assert_true(first && second);
    const uint32_t touched = h->touched;
    assert_true(touched >= h->top && touched < h->top + page);
    heap_free(h, second, 60 * kib); /* a part of it, which leaves a hole below the rest */
    assert_int_equal(h->touched, touched);
    assert_int_equal(h->hole_units, 60 * kib);
    struct entry *rest = heap_at(h, first_top + 60 * kib);
    heap_free(h, rest, 10 * kib);
    assert_int_equal(h->top, first_top);
    assert_true(h->touched >= h->top && h->touched < h->top + page);
    heap_free(h, first, 64 * kib); /* that is not more, but for a page */
    assert_int_equal(h->top, h->first);
    assert_true(h->touched <= h->first + 64 * kib + page);
    for (int i = 0; i < 10; i++) { /* little above the top stays, for it is asked for again */
        struct entry *e = heap_alloc(h, 32 * kib, UINT32_MAX);
        heap_free(h, e, 32 * kib);
        assert_true(h->touched >= h->first + 32 * kib);
    }
}

/* Room below a bound: to the unit, and none where the top is past it. */
static void room_ends_where_it_is_told(void **state)
{
    struct world *w = *state;
    struct heap *h = &w->heap;
    const uint32_t most = h->top + 1000;
    assert_null(heap_alloc(h, 1001, most));
    assert_int_equal(h->top, most - 1000);
    struct entry *e = heap_alloc(h, 1000, most);
    assert_non_null(e);
    assert_int_equal(h->top, most);
    assert_null(heap_alloc(h, 10, most));
    assert_null(heap_alloc(h, 10, most - 1));
    heap_free(h, e, 1000);
    assert_int_equal(h->top, h->first);
}

static void a_system_without_memory_denies_and_nothing_breaks(void **state)
{
    struct world *w = *state;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    none = before;
    none.rlim_cur = 4096; /* 0 does not count */
    add(w, 1, 100);
    assert_int_equal(setrlimit(RLIMIT_DATA, &none), 0);
    struct entry *e = heap_alloc(&w->heap, 4 << 20, UINT32_MAX);
    assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
    assert_null(e);
    assert_true(w->heap.denied);
    e = heap_alloc(&w->heap, 4 << 20, UINT32_MAX);
    assert_non_null(e);
    assert_false(w->heap.denied);
    heap_free(&w->heap, e, 4 << 20);
    check(w);
    drop_all(w);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_stored_stays_whole_while_it_is_moved),
        CASE(a_pass_leaves_no_hole_but_before_what_is_held),
        CASE(holes_of_small_ones_become_room_for_a_large_one),
        CASE(what_was_gathered_is_found),
        CASE(a_huge_hole_knows_its_size),
        CASE(what_is_given_back_is_no_longer_resident),
        CASE(what_is_far_above_the_top_goes_back_at_once),
        CASE(room_ends_where_it_is_told),
        CASE(a_system_without_memory_denies_and_nothing_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
