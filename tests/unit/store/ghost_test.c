#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "store/ghost.h"

static uint64_t hash_of(unsigned key)
{
    return hash_bytes(&key, sizeof(key), 1);
}

static void without_room_it_remembers_nothing(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_add(&g, hash_of(1));
    assert_false(ghost_take(&g, hash_of(1)));
    assert_int_equal(ghost_bytes(&g), 0);
    ghost_fini(&g);
}

static void remembers_lately_and_forgets(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_fit(&g, 1000);
    for (unsigned i = 0; i < 20000; i++)
        ghost_add(&g, hash_of(i));
    unsigned lately = 0, long_ago = 0, again = 0;
    for (unsigned i = 19500; i < 20000; i++)
        lately += ghost_take(&g, hash_of(i));
    for (unsigned i = 19500; i < 20000; i++)
        again += ghost_take(&g, hash_of(i));
    for (unsigned i = 0; i < 10000; i++)
        long_ago += ghost_take(&g, hash_of(i));
    assert_true(lately >= 490);
    assert_true(again <= 5);
    assert_true(long_ago <= 20);
    ghost_fini(&g);
}

static void a_taken_key_leaves_its_neighbours(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_fit(&g, GHOST_WAYS);
    for (uint64_t i = 1; i <= GHOST_WAYS; i++)
        ghost_add(&g, i << 32);
    assert_true(ghost_take(&g, UINT64_C(5) << 32));
    assert_false(ghost_take(&g, UINT64_C(5) << 32));
    ghost_add(&g, UINT64_C(99) << 32);
    ghost_add(&g, UINT64_C(100) << 32); /* now the oldest falls out */
    assert_false(ghost_take(&g, UINT64_C(1) << 32));
    for (uint64_t i = 2; i <= GHOST_WAYS; i++)
        assert_int_equal(ghost_take(&g, i << 32), i != 5);
    assert_true(ghost_take(&g, UINT64_C(99) << 32));
    assert_true(ghost_take(&g, UINT64_C(100) << 32));
    ghost_fini(&g);
}

static void grows_and_gives_back(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_fit(&g, 1000);
    size_t bytes = ghost_bytes(&g);
    ghost_fit(&g, 200);
    assert_int_equal(ghost_bytes(&g), bytes);
    ghost_fit(&g, 100000);
    assert_in_range(ghost_bytes(&g), 200000, 400000);
    ghost_fit(&g, 10);
    assert_true(ghost_bytes(&g) < 100);
    ghost_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_it_remembers_nothing),
        cmocka_unit_test(remembers_lately_and_forgets),
        cmocka_unit_test(a_taken_key_leaves_its_neighbours),
        cmocka_unit_test(grows_and_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
