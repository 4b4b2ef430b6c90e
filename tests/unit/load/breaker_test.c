/* The breaker on a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/breaker.h"

static const struct breaker_rule rule = {.failures = 3, .open_ms = 1000};

static void fail_times(struct breaker *b, int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++)
        breaker_ended(b, &rule, SIGN_SICK, false, now_ms);
}

static void opens_after_failures_in_a_row_only(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 2, 0);
    breaker_ended(&b, &rule, SIGN_WELL, false, 0);
    fail_times(&b, 2, 0);
    assert_true(breaker_admits(&b, &rule, 0));
    assert_true(breaker_ended(&b, &rule, SIGN_SICK, false, 0));
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(breaker_admits(&b, &rule, 999));
    assert_int_equal(breaker_retry_after_ms(&b, 400), 600);
}

static void lets_one_probe_through_and_closes_when_it_succeeds(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 3, 0);
    assert_true(breaker_admits(&b, &rule, 1000));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(breaker_admits(&b, &rule, 1000));
    breaker_ended(&b, &rule, SIGN_WELL, false, 1001);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_true(breaker_admits(&b, &rule, 1001));
    assert_true(breaker_admits(&b, &rule, 1001));
}

static void a_failing_probe_opens_it_again_for_the_whole_time(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 3, 0);
    assert_true(breaker_admits(&b, &rule, 1500));
    assert_true(breaker_ended(&b, &rule, SIGN_SICK, false, 1600));
    assert_false(breaker_admits(&b, &rule, 2599));
    assert_true(breaker_admits(&b, &rule, 2600));
}

static void a_probe_that_came_to_nothing_lets_the_next_one_through(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 3, 0);
    assert_true(breaker_admits(&b, &rule, 1000));
    breaker_gave_up(&b);
    assert_true(breaker_admits(&b, &rule, 1000));
}

static void loads_from_before_it_opened_do_not_lengthen_it(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 3, 0);
    assert_false(breaker_ended(&b, &rule, SIGN_SICK, false, 900));
    assert_true(breaker_admits(&b, &rule, 1000));
}

static void what_says_nothing_of_the_source_neither_opens_nor_closes_it(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 2, 0);
    for (int i = 0; i < 100; i++)
        assert_false(breaker_ended(&b, &rule, SIGN_NONE, false, 0));
    assert_int_equal(b.state, BREAKER_CLOSED);
    fail_times(&b, 1, 0); /* still the third in a row */
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void a_probe_that_says_nothing_gives_its_place_to_the_next(void **state)
{
    (void)state;
    struct breaker b = {0};
    fail_times(&b, 3, 0);
    assert_true(breaker_admits(&b, &rule, 1000));
    assert_false(breaker_ended(&b, &rule, SIGN_NONE, false, 1000)); /* one from before */
    assert_false(breaker_admits(&b, &rule, 1000));
    assert_false(breaker_ended(&b, &rule, SIGN_NONE, true, 1000));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_true(breaker_admits(&b, &rule, 1000));
}

static void without_a_bound_it_never_opens(void **state)
{
    (void)state;
    struct breaker b = {0};
    struct breaker_rule none = {0};
    for (int i = 0; i < 1000; i++)
        assert_false(breaker_ended(&b, &none, SIGN_SICK, false, 0));
    assert_true(breaker_admits(&b, &none, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_after_failures_in_a_row_only),
        cmocka_unit_test(lets_one_probe_through_and_closes_when_it_succeeds),
        cmocka_unit_test(a_failing_probe_opens_it_again_for_the_whole_time),
        cmocka_unit_test(a_probe_that_came_to_nothing_lets_the_next_one_through),
        cmocka_unit_test(loads_from_before_it_opened_do_not_lengthen_it),
        cmocka_unit_test(what_says_nothing_of_the_source_neither_opens_nor_closes_it),
        cmocka_unit_test(a_probe_that_says_nothing_gives_its_place_to_the_next),
        cmocka_unit_test(without_a_bound_it_never_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
