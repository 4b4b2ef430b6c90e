#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static clockid_t looked_at; /* last */

/* Every look at a clock in this program, as libc's. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    looked_at = id;
    return (int)syscall(SYS_clock_gettime, id, ts);
}

static void milliseconds_and_microseconds_are_of_one_clock(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t before_us = clock_us();
        int64_t ms = clock_ms();
        int64_t after_us = clock_us();
        assert_true(before_us / 1000 <= ms && ms <= after_us / 1000);
    }
}

static void race_29_what_is_compared_neither_jumps_nor_stops_while_the_machine_sleeps(void **state)
{
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_BOOTTIME, &before);
    int64_t ms = clock_ms(), us = clock_us();
    clock_gettime(CLOCK_BOOTTIME, &after);
    assert_true((int64_t)before.tv_sec * 1000 + before.tv_nsec / 1000000 <= ms);
    assert_true(us / 1000 <= (int64_t)after.tv_sec * 1000 + after.tv_nsec / 1000000);
    assert_true(ms <= us / 1000);
    /* A machine that has never slept shows the same time on CLOCK_MONOTONIC, which stops. */
    (void)clock_ms();
    assert_int_equal(looked_at, CLOCK_BOOTTIME);
    (void)clock_thread_cpu_us();
    (void)clock_us();
    assert_int_equal(looked_at, CLOCK_BOOTTIME);
}

static void the_wall_clock_is_that_of_the_system(void **state)
{
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    int64_t ms = clock_wall_ms();
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true((int64_t)before.tv_sec * 1000 + before.tv_nsec / 1000000 <= ms);
    assert_true(ms <= (int64_t)after.tv_sec * 1000 + after.tv_nsec / 1000000);
}

static void cpu_time_passes_with_work(void **state)
{
    (void)state;
    int64_t cpu_us = clock_thread_cpu_us();
    while (clock_thread_cpu_us() < cpu_us + 2000)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(milliseconds_and_microseconds_are_of_one_clock),
        cmocka_unit_test(race_29_what_is_compared_neither_jumps_nor_stops_while_the_machine_sleeps),
        cmocka_unit_test(the_wall_clock_is_that_of_the_system),
        cmocka_unit_test(cpu_time_passes_with_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
