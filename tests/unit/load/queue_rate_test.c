#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/queue_rate.h"

/* One leaves every step_ms, for ms, from a queue that is never empty. */
static void leave(struct queue_rate *p, int64_t *now_ms, int step_ms, int ms)
{
    for (int past = 0; past < ms; past += step_ms) {
        *now_ms += step_ms;
        queue_rate_left(p, 1, *now_ms);
    }
}

static void a_queue_that_moves_tells_how_long_it_takes(void **state)
{
    (void)state;
    struct queue_rate p = {0};
    int64_t now_ms = 5000;
    assert_int_equal(queue_rate_wait_ms(&p, 100), -1);
    leave(&p, &now_ms, 10, 1000);
    assert_in_range(queue_rate_wait_ms(&p, 100), 950, 1050);
    assert_int_equal(queue_rate_wait_ms(&p, 0), 0);
}

static void it_follows_a_change(void **state)
{
    (void)state;
    struct queue_rate p = {0};
    int64_t now_ms = 5000;
    leave(&p, &now_ms, 1, 1000);
    leave(&p, &now_ms, 20, 3000);
    assert_in_range(queue_rate_wait_ms(&p, 100), 1800, 2200);
}

static void few_that_leave_say_nothing(void **state)
{
    (void)state;
    struct queue_rate p = {0};
    int64_t now_ms = 5000;
    leave(&p, &now_ms, 300, 2000);
    assert_int_equal(queue_rate_wait_ms(&p, 100), -1);
}

static void an_empty_queue_says_nothing_of_how_fast_it_could_move(void **state)
{
    (void)state;
    struct queue_rate p = {0};
    int64_t now_ms = 5000;
    leave(&p, &now_ms, 10, 1000);
    queue_rate_empty(&p, now_ms);
    assert_int_equal(queue_rate_wait_ms(&p, 100), -1);
    now_ms += QUEUE_RATE_STALE_MS + 1;
    queue_rate_left(&p, 1, now_ms);
    assert_int_equal(queue_rate_wait_ms(&p, 100), -1); /* forgotten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_that_moves_tells_how_long_it_takes),
        cmocka_unit_test(it_follows_a_change),
        cmocka_unit_test(few_that_leave_say_nothing),
        cmocka_unit_test(an_empty_queue_says_nothing_of_how_fast_it_could_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
