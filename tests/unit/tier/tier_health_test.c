#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tier/tier_health.h"

static void three_failures_in_a_row_are_a_pause_and_told_once(void **state)
{
    (void)state;
    struct tier_health h = {.down = false};
    assert_false(tier_health_failed(&h, false, 1000));
    assert_false(tier_health_failed(&h, false, 1000));
    assert_false(tier_health_well(&h));
    assert_false(tier_health_failed(&h, false, 1000));
    assert_false(tier_health_failed(&h, false, 1000));
    assert_true(tier_health_admits(&h, 1000));
    assert_true(tier_health_failed(&h, false, 1000));
    assert_false(tier_health_failed(&h, false, 1000));
    assert_false(tier_health_admits(&h, 1000 + TIER_PAUSE_MS - 1));
}

static void who_cannot_be_reached_is_left_alone_at_once(void **state)
{
    (void)state;
    struct tier_health h = {.down = false};
    assert_true(tier_health_failed(&h, true, 1000));
    assert_false(tier_health_admits(&h, 1000));
}

static void a_pause_that_is_over_lets_one_through_and_the_next_is_longer(void **state)
{
    (void)state;
    struct tier_health h = {.down = false};
    int64_t now = 1000, pause = TIER_PAUSE_MS;
    assert_true(tier_health_failed(&h, true, now));
    for (int i = 0; i < 10; i++) {
        now += pause;
        assert_false(tier_health_admits(&h, now - 1));
        assert_true(tier_health_admits(&h, now));
        assert_false(tier_health_admits(&h, now));
        assert_false(tier_health_failed(&h, true, now));
        pause = 2 * pause < TIER_PAUSE_MOST_MS ? 2 * pause : TIER_PAUSE_MOST_MS;
    }
    assert_true(tier_health_well(&h));
    assert_true(tier_health_admits(&h, now));
    assert_true(tier_health_failed(&h, true, now));
    assert_true(tier_health_admits(&h, now + TIER_PAUSE_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_failures_in_a_row_are_a_pause_and_told_once),
        cmocka_unit_test(who_cannot_be_reached_is_left_alone_at_once),
        cmocka_unit_test(a_pause_that_is_over_lets_one_through_and_the_next_is_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
