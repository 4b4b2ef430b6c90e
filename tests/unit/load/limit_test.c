#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/limit.h"

enum { LEAST = 8, MOST = 1000 };

/* Loads of `us` each, `wide` at once, for `ms`; the time goes on with them. */
static void run(struct limit *l, int64_t *now_us, uint64_t us, uint32_t wide, int ms)
{
    int64_t end_us = *now_us + (int64_t)ms * 1000;
    while (*now_us < end_us) {
        *now_us += 1000;
        for (int i = 0; i < 20; i++)
            limit_ended(l, us, false, wide, *now_us);
    }
}

static void a_steady_source_is_not_limited(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, LEAST, MOST);
    run(&l, &now_us, 2000, 100, 5000);
    assert_int_equal(limit_now(&l), MOST);
}

static void noise_below_twice_the_usual_changes_nothing(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, LEAST, MOST);
    for (int i = 0; i < 50; i++)
        run(&l, &now_us, i % 2 ? 1500 : 2500, 100, 100);
    assert_int_equal(limit_now(&l), MOST);
}

/* One window: so many loads of `us` each, the last one at its end. */
static void window(struct limit *l, int64_t *now_us, int loads, uint64_t us)
{
    for (int i = 0; i < loads; i++) {
        *now_us += i + 1 == loads ? 100000 : 0;
        limit_ended(l, us, false, 100, *now_us);
    }
}

/* Twice the usual is borne, and no more: both sides of it, of the first loads in so many windows.
 */
static void the_first_hundred_loads_tell_what_is_usual(void **state)
{
    (void)state;
    static const struct {
        int loads; /* of each window */
        uint64_t us[9], usual_us;
    } cases[] = {
        {200, {2000}, 2000},
        {49, {2000, 4000}, 3000},
        {50, {2000, 4000}, 2040}, /* after the hundredth it moves by little */
        {11, {2000, 2000, 2000, 2000, 2000, 2000, 2000, 2000, 2000}, 2000},
        {11, {2000, 2000, 2000, 2000, 2000, 2000, 2000, 2000, 10000}, 6000},
        {11, {2000, 2000, 2000, 2000, 2000, 2000, 2000, 10000, 2000}, 4000},
        {11, {258000, 2000, 2000, 2000, 2000, 2000, 2000, 2000, 2000}, 3000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int past = 0; past < 2; past++) {
            struct limit l;
            int64_t now_us = 1000000;
            limit_init(&l, LEAST, MOST);
            for (int w = 0; w < 9 && cases[i].us[w] > 0; w++)
                window(&l, &now_us, cases[i].loads, cases[i].us[w]);
            window(&l, &now_us, 20, 2 * cases[i].usual_us + (past ? 100 : 0));
            if (l.lowered != (uint64_t)past)
                fail_msg("case %zu: %s", i, past ? "not lowered" : "lowered");
        }
    }
}

static void a_source_that_slows_down_is_asked_less_and_less(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, LEAST, MOST);
    run(&l, &now_us, 2000, 100, 5000);
    run(&l, &now_us, 20000, 100, 200);
    assert_in_range(limit_now(&l), LEAST, 99); /* from what was in the air, not from MOST */
    run(&l, &now_us, 20000, LEAST, 1000);
    assert_in_range(limit_now(&l), LEAST, LEAST + 4);
    assert_true(l.lowered > 0);
}

static void it_rises_again_within_two_seconds(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, LEAST, MOST);
    run(&l, &now_us, 2000, 100, 5000);
    run(&l, &now_us, 20000, LEAST, 2000);
    assert_int_equal(limit_now(&l), LEAST);
    int64_t well_us = now_us;
    while (limit_now(&l) < 100 && now_us < well_us + 2000000)
        run(&l, &now_us, 2000, limit_now(&l), 100);
    assert_in_range(limit_now(&l), 100, MOST);
}

static void it_does_not_rise_by_what_is_never_used(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, LEAST, MOST);
    run(&l, &now_us, 2000, 100, 5000);
    run(&l, &now_us, 40000, 100, 1000);
    uint32_t low = limit_now(&l);
    run(&l, &now_us, 2000, 2, 3000);
    assert_int_equal(limit_now(&l), low);
}

static void loads_that_time_out_are_a_slowdown(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, LEAST, MOST);
    run(&l, &now_us, 2000, 100, 2000);
    for (int i = 0; i < 20; i++) {
        now_us += 20000;
        limit_ended(&l, 2000, true, 100, now_us);
    }
    assert_in_range(limit_now(&l), LEAST, 99);
}

static void equal_bounds_do_not_adapt(void **state)
{
    (void)state;
    struct limit l;
    int64_t now_us = 1000000;
    limit_init(&l, 50, 50);
    run(&l, &now_us, 2000, 50, 2000);
    run(&l, &now_us, 900000, 50, 2000);
    assert_int_equal(limit_now(&l), 50);
}

static void the_least_gives_way_to_the_most(void **state)
{
    (void)state;
    struct limit l;
    limit_init(&l, 32, 4);
    assert_int_equal(limit_now(&l), 4);
    assert_int_equal(l.least, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_source_is_not_limited),
        cmocka_unit_test(noise_below_twice_the_usual_changes_nothing),
        cmocka_unit_test(the_first_hundred_loads_tell_what_is_usual),
        cmocka_unit_test(a_source_that_slows_down_is_asked_less_and_less),
        cmocka_unit_test(it_rises_again_within_two_seconds),
        cmocka_unit_test(it_does_not_rise_by_what_is_never_used),
        cmocka_unit_test(loads_that_time_out_are_a_slowdown),
        cmocka_unit_test(equal_bounds_do_not_adapt),
        cmocka_unit_test(the_least_gives_way_to_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
