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
    struct ghost_past past;
    ghost_add(&g, hash_of(1), 1, false);
    assert_false(ghost_take(&g, hash_of(1), &past));
    assert_int_equal(ghost_bytes(&g), 0);
    ghost_fini(&g);
}

static void remembers_lately_and_forgets(void **state)
{
    (void)state;
    struct ghost g;
    struct ghost_past past;
    ghost_init(&g);
    ghost_fit(&g, 1000);
    for (unsigned i = 0; i < 20000; i++)
        ghost_add(&g, hash_of(i), 1, false);
    unsigned lately = 0, long_ago = 0, again = 0;
    for (unsigned i = 19500; i < 20000; i++)
        lately += ghost_take(&g, hash_of(i), &past);
    for (unsigned i = 19500; i < 20000; i++)
        again += ghost_take(&g, hash_of(i), &past);
    for (unsigned i = 0; i < 10000; i++)
        long_ago += ghost_take(&g, hash_of(i), &past);
    assert_true(lately >= 490);
    assert_true(again <= 10);
    assert_true(long_ago <= 60);
    ghost_fini(&g);
}

static void a_taken_key_leaves_its_neighbours(void **state)
{
    (void)state;
    struct ghost g;
    struct ghost_past past;
    ghost_init(&g);
    ghost_fit(&g, GHOST_WAYS);
    for (uint64_t i = 1; i <= GHOST_WAYS; i++)
        ghost_add(&g, i << 32, 1, false);
    assert_true(ghost_take(&g, UINT64_C(5) << 32, &past));
    assert_false(ghost_take(&g, UINT64_C(5) << 32, &past));
    ghost_add(&g, UINT64_C(99) << 32, 1, false);
    ghost_add(&g, UINT64_C(100) << 32, 1, false); /* now the oldest falls out */
    assert_false(ghost_take(&g, UINT64_C(1) << 32, &past));
    for (uint64_t i = 2; i <= GHOST_WAYS; i++)
        assert_int_equal(ghost_take(&g, i << 32, &past), i != 5);
    assert_true(ghost_take(&g, UINT64_C(99) << 32, &past));
    assert_true(ghost_take(&g, UINT64_C(100) << 32, &past));
    ghost_fini(&g);
}

static struct ghost_past take(struct ghost *g, uint64_t key)
{
    struct ghost_past past;
    assert_true(ghost_take(g, key << 32, &past));
    return past;
}

static void tells_the_score_and_the_queue(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_fit(&g, GHOST_WAYS);
    ghost_add(&g, UINT64_C(1) << 32, 0, false);
    ghost_add(&g, UINT64_C(2) << 32, 5, true);
    ghost_add(&g, UINT64_C(3) << 32, 99, false);
    struct ghost_past one = take(&g, 1), two = take(&g, 2), three = take(&g, 3);
    assert_int_equal(one.score, 1);
    assert_false(one.from_main);
    assert_int_equal(two.score, 5);
    assert_true(two.from_main);
    assert_int_equal(three.score, GHOST_SCORE_MAX);
    assert_false(three.from_main);
    ghost_fini(&g);
}

static void tells_who_left_last_in_each_way(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_fit(&g, GHOST_WAYS);
    ghost_add(&g, UINT64_C(1) << 32, 2, false); /* familiar by its score, and of the small queue */
    ghost_add(&g, UINT64_C(2) << 32, 1, true);  /* familiar by its queue */
    ghost_add(&g, UINT64_C(3) << 32, 1, false);
    struct ghost_past one = take(&g, 1), two = take(&g, 2), three = take(&g, 3);
    assert_false(one.last_of_small || one.last_of_familiar);
    assert_true(!two.last_of_small && two.last_of_familiar);
    assert_true(three.last_of_small && !three.last_of_familiar);
    ghost_add(&g, UINT64_C(4) << 32, 2, false);
    struct ghost_past both = take(&g, 4);
    assert_true(both.last_of_small && both.last_of_familiar);
    ghost_fini(&g);
}

static void lately_is_a_quarter(void **state)
{
    (void)state;
    struct ghost g;
    ghost_init(&g);
    ghost_fit(&g, GHOST_WAYS);
    for (uint64_t i = 1; i <= GHOST_WAYS; i++)
        ghost_add(&g, i << 32, 1, false);
    for (uint64_t i = 1; i <= GHOST_WAYS; i++) /* the oldest first, so that the others stay put */
        assert_int_equal(take(&g, i).lately, i > GHOST_WAYS - GHOST_WAYS / 4);
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

/* One bucket has 32 places of 2 bytes; there is a power of two of them. */
static void has_room_for_what_it_is_told_and_less_than_twice_that(void **state)
{
    static const struct {
        size_t before, keys, buckets;
    } cases[] = {
        {0, 1, 1},      {0, 32, 1},       {0, 33, 2}, {0, 64, 2}, {0, 65, 4},
        {0, 1000, 32},  {33, 64, 2},      {33, 8, 1}, {33, 9, 2}, {1024, 129, 32},
        {1024, 128, 4}, {1024, 1025, 64}, {33, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ghost g;
        ghost_init(&g);
        ghost_fit(&g, cases[i].before);
        ghost_fit(&g, cases[i].keys);
        assert_int_equal(g.buckets, cases[i].buckets);
        assert_int_equal(ghost_bytes(&g), cases[i].buckets * 64 + 16); /* and the allocator's own */
        ghost_fini(&g);
        assert_int_equal(ghost_bytes(&g), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_it_remembers_nothing),
        cmocka_unit_test(remembers_lately_and_forgets),
        cmocka_unit_test(a_taken_key_leaves_its_neighbours),
        cmocka_unit_test(tells_the_score_and_the_queue),
        cmocka_unit_test(tells_who_left_last_in_each_way),
        cmocka_unit_test(lately_is_a_quarter),
        cmocka_unit_test(grows_and_gives_back),
        cmocka_unit_test(has_room_for_what_it_is_told_and_less_than_twice_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
