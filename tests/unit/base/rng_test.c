#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

#include <stdbool.h>
#include <string.h>

static void the_sequence_is_that_of_splitmix64(void **state)
{
    (void)state;
    /* The published test values for the seed 1234567. */
    static const uint64_t first[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                     UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                     UINT64_C(16408922859458223821)};
    struct rng r = {.state = 1234567};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        assert_int_equal(rng_next(&r), first[i]);
}

static void the_same_seed_gives_the_same_numbers_and_another_others(void **state)
{
    (void)state;
    struct rng a = {.state = 7}, b = {.state = 7}, c = {.state = 8};
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t n = rng_next(&a);
        assert_int_equal(n, rng_next(&b));
        equal += n == rng_next(&c);
    }
    assert_int_equal(equal, 0);
}

static void below_stays_below_and_reaches_both_ends(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 7, 100, 1000};
    struct rng r = {.state = 1};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        bool least = false, most = false;
        for (int n = 0; n < 20000; n++) {
            uint64_t got = rng_below(&r, bounds[i]);
            assert_true(got < bounds[i]);
            least = least || got == 0;
            most = most || got == bounds[i] - 1;
        }
        assert_true(least && most);
    }
}

static void below_takes_any_bound(void **state)
{
    (void)state;
    struct rng r = {.state = 2};
    uint64_t seen = 0;
    for (int n = 0; n < 1000; n++) {
        assert_int_equal(rng_below(&r, 0), 0);
        assert_true(rng_below(&r, UINT64_C(1) << 33) < UINT64_C(1) << 33);
        uint64_t got = rng_below(&r, UINT64_MAX);
        assert_true(got < UINT64_MAX);
        seen |= got;
    }
    assert_int_equal(seen, UINT64_MAX); /* every bit moves */
}

static void every_number_below_comes_as_often(void **state)
{
    (void)state;
    enum { SIDES = 6, THROWS = 60000 };
    struct rng r = {.state = 3};
    int count[SIDES] = {0};
    for (int n = 0; n < THROWS; n++)
        count[rng_below(&r, SIDES)]++;
    for (int i = 0; i < SIDES; i++)
        assert_in_range(count[i], THROWS / SIDES * 95 / 100, THROWS / SIDES * 105 / 100);
}

static void a_unit_is_at_least_0_and_below_1(void **state)
{
    (void)state;
    struct rng r = {.state = 4};
    double sum = 0, least = 1, most = 0;
    for (int n = 0; n < 100000; n++) {
        double u = rng_unit(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
        least = u < least ? u : least;
        most = u > most ? u : most;
    }
    assert_true(sum > 49000 && sum < 51000);
    assert_true(least < 0.001 && most > 0.999);
}

static void the_operating_system_gives_other_bytes_each_time(void **state)
{
    (void)state;
    assert_int_not_equal(rng_os(), rng_os());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_that_of_splitmix64),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers_and_another_others),
        cmocka_unit_test(below_stays_below_and_reaches_both_ends),
        cmocka_unit_test(below_takes_any_bound),
        cmocka_unit_test(every_number_below_comes_as_often),
        cmocka_unit_test(a_unit_is_at_least_0_and_below_1),
        cmocka_unit_test(the_operating_system_gives_other_bytes_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
