#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "heap_world.h"
#include "store/table.h"

#include <stdio.h>

#define KEYS 20000
#define SEED 42

static struct entry *stored[KEYS];
static struct heap *heap;

static int setup(void **state)
{
    (void)state;
    heap = heap_world(sizeof *heap);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    heap_world_end(heap);
    return 0;
}

static struct slice key_of(unsigned i, char text[16])
{
    return slice_of(text, (size_t)snprintf(text, 16, "key:%u", i));
}

static struct entry *entry_for(unsigned i)
{
    char text[16];
    return heap_entry(heap, &(struct put){.key = key_of(i, text)});
}

static uint64_t hash_for(unsigned i)
{
    char text[16];
    return hash_slice(key_of(i, text), SEED);
}

static void check_all(const struct table *t)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char text[16];
        assert_ptr_equal(table_find(t, key_of(i, text), hash_for(i)), stored[i]);
    }
}

static void change(struct table *t, unsigned i, bool grow)
{
    uint64_t hash = hash_for(i);
    if (!stored[i] && grow) {
        size_t before = table_bytes(t), growth = table_growth(t);
        stored[i] = entry_for(i);
        assert_int_equal(table_reserve(t), 0);
        table_add(t, stored[i], hash);
        assert_true(table_bytes(t) <= before + growth);
    } else if (stored[i] && grow) {
        struct entry *e = entry_for(i);
        table_replace(t, stored[i], e, hash);
        heap_unref(heap, stored[i]);
        stored[i] = e;
    } else if (stored[i]) {
        table_remove(t, stored[i], hash);
        heap_unref(heap, stored[i]);
        stored[i] = NULL;
    }
}

static void finds_what_is_there_while_it_grows_and_shrinks(void **state)
{
    (void)state;
    struct table t;
    struct rng r = {.state = 7};
    assert_int_equal(table_init(&t, heap, SEED), 0);
    size_t first = table_bytes(&t), most = 0;
    for (int wave = 0; wave < 6; wave++) {
        for (int n = 0; n < 3 * KEYS; n++)
            change(&t, (unsigned)rng_below(&r, KEYS), rng_below(&r, 10) < (wave % 2 ? 1 : 9));
        most = table_bytes(&t) > most ? table_bytes(&t) : most;
        check_all(&t);
    }
    assert_true(most > 4 * first);
    for (unsigned i = 0; i < KEYS; i++)
        change(&t, i, false);
    assert_int_equal(t.entries, 0);
    assert_true(table_bytes(&t) <= first + 2 * HEAP_PAGE); /* the page beyond, of both kinds */
    table_fini(&t);
}

static void every_entry_is_in_one_bucket(void **state)
{
    (void)state;
    struct table t;
    assert_int_equal(table_init(&t, heap, SEED), 0);
    for (unsigned i = 0; i < KEYS; i++)
        change(&t, i, true);
    size_t n = 0, longest = 0;
    for (size_t i = 0; i < t.buckets.count; i++) {
        size_t length = 0;
        while (table_at(&t, i, length))
            length++;
        n += length;
        longest = length > longest ? length : longest;
    }
    assert_int_equal(n, KEYS);
    assert_true(longest < 36);
    for (unsigned i = 0; i < KEYS; i++)
        change(&t, i, false);
    table_fini(&t);
}

static void keys_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    enum { ALIKE = 100 }; /* more than some lines of a bucket hold, and no reason to grow */
    struct table t;
    struct rng r = {.state = 3};
    assert_int_equal(table_init(&t, heap, SEED), 0);
    struct entry *e[ALIKE];
    for (unsigned i = 0; i < ALIKE; i++) {
        e[i] = entry_for(i);
        assert_int_equal(table_reserve(&t), 0);
        table_add(&t, e[i], 99);
    }
    for (unsigned left = ALIKE; left > 0; left--) {
        for (unsigned i = 0; i < ALIKE; i++) {
            char text[16];
            assert_ptr_equal(table_find(&t, key_of(i, text), 99), e[i]);
        }
        unsigned out = (unsigned)rng_below(&r, ALIKE);
        while (!e[out])
            out = (out + 1) % ALIKE;
        table_remove(&t, e[out], 99);
        heap_unref(heap, e[out]);
        e[out] = NULL;
    }
    assert_int_equal(t.more_used, 0);
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_what_is_there_while_it_grows_and_shrinks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_entry_is_in_one_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_of_one_hash_are_told_apart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
