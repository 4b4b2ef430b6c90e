#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/jitter.h"

#define DRAWS 20000

static void a_spread_time_is_within_its_share_and_never_longer(void **state)
{
    (void)state;
    static const double jitters[] = {0.01, 0.1, 0.5, 1};
    struct rng rng = {.state = 1};
    for (size_t j = 0; j < sizeof jitters / sizeof *jitters; j++) {
        int64_t least = INT64_MAX, most = 0;
        for (int i = 0; i < DRAWS; i++) {
            int64_t ms = jitter_ms(60000, jitters[j], &rng);
            assert_true((double)ms > 60000 * (1 - jitters[j]) && ms <= 60000);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        /* All of the share is used. */
        assert_true((double)least < 60000 * (1 - 0.99 * jitters[j]));
        assert_true((double)most > 60000 * (1 - 0.01 * jitters[j]));
    }
}

static void times_that_are_none_stay_and_none_becomes_for_ever(void **state)
{
    (void)state;
    struct rng rng = {.state = 2};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(jitter_ms(0, 0.5, &rng), 0); /* for ever */
        assert_int_equal(jitter_ms(-1, 0.5, &rng), -1);
        assert_int_equal(jitter_ms(60000, 0, &rng), 60000);
        assert_int_equal(jitter_ms(1, 1, &rng), 1);
        assert_in_range(jitter_ms(2, 1, &rng), 1, 2);
        assert_true(jitter_ms(INT64_MAX, 1, &rng) > 0);
    }
}

static void the_same_seed_spreads_alike(void **state)
{
    (void)state;
    struct rng a = {.state = 3}, b = {.state = 3};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(jitter_ms(60000, 0.1, &a), jitter_ms(60000, 0.1, &b));
        assert_int_equal(jitter_backoff_ms(3, 200, 30000, &a),
                         jitter_backoff_ms(3, 200, 30000, &b));
    }
}

/* The longest wait there may be before attempt n + 1, and that it is used from 1 on. */
static void backs_off_up_to(unsigned n, int64_t base_ms, int64_t cap_ms, int64_t want)
{
    struct rng rng = {.state = n};
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < DRAWS; i++) {
        int64_t ms = jitter_backoff_ms(n, base_ms, cap_ms, &rng);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_in_range(least, 1, want / 1000 + 1);
    assert_in_range(most, want - want / 1000, want);
}

static void a_backoff_doubles_from_its_base_to_its_cap(void **state)
{
    (void)state;
    backs_off_up_to(0, 200, 30000, 200);
    backs_off_up_to(1, 200, 30000, 200);
    backs_off_up_to(2, 200, 30000, 400);
    backs_off_up_to(3, 200, 30000, 800);
    backs_off_up_to(8, 200, 30000, 25600);
    backs_off_up_to(9, 200, 30000, 30000);
    backs_off_up_to(10, 200, 30000, 30000);
    /* It meets the cap exactly, or starts past it. */
    backs_off_up_to(5, 200, 3200, 3200);
    backs_off_up_to(6, 200, 3200, 3200);
    backs_off_up_to(1, 500, 300, 300);
}

static void a_backoff_after_very_many_failures_is_the_cap(void **state)
{
    (void)state;
    static const unsigned many[] = {30, 31, 32, 33, 63, 64, 65, 1000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        backs_off_up_to(many[i], 1, 30000, 30000);
        backs_off_up_to(many[i], 3600000, 86400000, 86400000);
    }
    backs_off_up_to(29, INT64_C(1) << 40, INT64_C(1) << 41, INT64_C(1) << 41);
    backs_off_up_to(33, 1, INT64_C(1) << 40, INT64_C(1) << 32);
}

static void a_backoff_is_never_nothing(void **state)
{
    (void)state;
    struct rng rng = {.state = 4};
    for (unsigned n = 0; n < 100; n++) {
        assert_int_equal(jitter_backoff_ms(n, 0, 1000, &rng), 1);
        assert_int_equal(jitter_backoff_ms(n, 1000, 0, &rng), 1);
        assert_int_equal(jitter_backoff_ms(n, 1, 1, &rng), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spread_time_is_within_its_share_and_never_longer),
        cmocka_unit_test(times_that_are_none_stay_and_none_becomes_for_ever),
        cmocka_unit_test(the_same_seed_spreads_alike),
        cmocka_unit_test(a_backoff_doubles_from_its_base_to_its_cap),
        cmocka_unit_test(a_backoff_after_very_many_failures_is_the_cap),
        cmocka_unit_test(a_backoff_is_never_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
