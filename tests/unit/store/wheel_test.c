#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/wheel.h"

#include <stdlib.h>

#define ALARMS 3000

struct alarm {
    struct near link;
    int64_t due_ms;
    bool set;
};

static int64_t alarm_due(const struct near *link)
{
    return container_of(link, struct alarm, link)->due_ms;
}

static void alarm_init(struct alarm *a, int64_t due_ms)
{
    near_init(&a->link);
    a->due_ms = due_ms;
    a->set = false;
}

static size_t expire_all(struct wheel *w, int64_t now_ms)
{
    static struct near *out[ALARMS];
    size_t count;
    assert_true(wheel_expire(w, now_ms, SIZE_MAX, out, &count));
    for (size_t i = 0; i < count; i++)
        assert_true(near_empty(out[i]));
    return count;
}

static void hands_out_at_the_tick_after_the_deadline_and_not_before(void **state)
{
    (void)state;
    static const int64_t times[] = {1,     10,     639,     640,       641,       40960,
                                    86400, 999999, 2621440, 604800000, 1LL << 40, 1LL << 43};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        for (int64_t start = 0; start <= 12345678; start += 4115226) {
            static struct wheel w;
            static struct alarm a;
            wheel_init(&w, start, alarm_due);
            alarm_init(&a, start + times[i]);
            wheel_add(&w, &a.link);
            int64_t tick_ms = (a.due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS * WHEEL_TICK_MS;
            assert_int_equal(expire_all(&w, tick_ms - 1), 0);
            assert_int_equal(expire_all(&w, tick_ms), 1);
            assert_true(near_empty(&a.link));
        }
    }
}

static void jumps_over_empty_time(void **state)
{
    (void)state;
    static struct wheel w;
    static struct alarm a;
    struct near *out[2 * WHEEL_LEVELS + 2];
    size_t count;
    wheel_init(&w, 0, alarm_due);
    alarm_init(&a, INT64_C(365) * 24 * 3600 * 1000);
    wheel_add(&w, &a.link);
    assert_true(wheel_expire(&w, a.due_ms, 2 * WHEEL_LEVELS + 2, out, &count));
    assert_int_equal(count, 1);
}

static void a_removed_link_never_comes(void **state)
{
    (void)state;
    static struct wheel w;
    static struct alarm a, b;
    wheel_init(&w, 0, alarm_due);
    alarm_init(&a, 5000);
    alarm_init(&b, 5000);
    wheel_add(&w, &a.link);
    wheel_add(&w, &b.link);
    wheel_remove(&a.link);
    wheel_remove(&a.link);
    assert_int_equal(expire_all(&w, 100000), 1);
}

static void a_deadline_in_the_past_goes_with_the_next_call(void **state)
{
    (void)state;
    static struct wheel w;
    static struct alarm a;
    wheel_init(&w, 0, alarm_due);
    assert_int_equal(expire_all(&w, 777777), 0);
    alarm_init(&a, -5);
    wheel_add(&w, &a.link);
    assert_int_equal(expire_all(&w, 777777), 1);
}

static void a_time_that_goes_back_changes_nothing(void **state)
{
    (void)state;
    static struct wheel w;
    static struct alarm a;
    wheel_init(&w, 0, alarm_due);
    assert_int_equal(expire_all(&w, 100000), 0);
    alarm_init(&a, 100050);
    wheel_add(&w, &a.link);
    assert_int_equal(expire_all(&w, 50), 0);
    assert_int_equal(expire_all(&w, -50), 0);
    assert_int_equal(expire_all(&w, 100049), 0);
    assert_int_equal(expire_all(&w, 100050), 1);
}

/* What is set and due by the naive reading. */
static size_t count_due(const struct alarm *alarms, int64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < ALARMS; i++)
        n += alarms[i].set &&
             (alarms[i].due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS <= now_ms / WHEEL_TICK_MS;
    return n;
}

static void take_expired(struct near **out, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct alarm *a = container_of(out[i], struct alarm, link);
        assert_true(near_empty(out[i]));
        assert_true(a->set);
        assert_true(a->due_ms <= now_ms);
        a->set = false;
    }
}

static void set_or_cancel(struct wheel *w, struct alarm *a, struct rng *r, int64_t now_ms)
{
    if (a->set) {
        wheel_remove(&a->link);
        a->set = false;
        return;
    }
    a->due_ms = now_ms + (int64_t)(rng_next(r) >> (24 + rng_below(r, 40)));
    a->set = true;
    wheel_add(w, &a->link);
}

static void run_against_the_model(uint64_t seed)
{
    static struct wheel w;
    static struct alarm alarms[ALARMS];
    struct rng r = {.state = seed};
    int64_t now = (int64_t)rng_below(&r, 1 << 30);
    wheel_init(&w, now, alarm_due);
    for (size_t i = 0; i < ALARMS; i++)
        alarm_init(&alarms[i], 0);
    for (int round = 0; round < 400; round++) {
        for (uint64_t n = rng_below(&r, 60); n > 0; n--)
            set_or_cancel(&w, &alarms[rng_below(&r, ALARMS)], &r, now);
        now += (int64_t)(rng_next(&r) >> (30 + rng_below(&r, 34)));
        static struct near *out[ALARMS];
        size_t due = count_due(alarms, now), count;
        bool done = wheel_expire(&w, now, rng_below(&r, 200), out, &count);
        assert_true(count <= due);
        assert_true(!done || count == due);
        take_expired(out, count, now);
        /* Changes while slots are half moved down. */
        for (uint64_t n = done ? 0 : 20; n > 0; n--)
            set_or_cancel(&w, &alarms[rng_below(&r, ALARMS)], &r, now);
        if (done || rng_below(&r, 2) == 0)
            continue;
        due = count_due(alarms, now);
        assert_true(wheel_expire(&w, now, SIZE_MAX, out, &count));
        assert_int_equal(count, due);
        take_expired(out, count, now);
    }
}

static void is_exact_against_a_naive_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run_against_the_model(seed);
}

static void many_of_one_moment_move_down_in_bounded_steps(void **state)
{
    (void)state;
    static struct wheel w;
    static struct alarm alarms[ALARMS];
    wheel_init(&w, 0, alarm_due);
    for (size_t i = 0; i < ALARMS; i++) {
        alarm_init(&alarms[i], 3600000);
        wheel_add(&w, &alarms[i].link);
    }
    struct near *out[16];
    size_t all = 0, count, calls = 0;
    for (bool done = false; !done; all += count) {
        done = wheel_expire(&w, 3600000, 16, out, &count);
        assert_true(++calls <= ALARMS);
    }
    assert_int_equal(all, ALARMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_at_the_tick_after_the_deadline_and_not_before),
        cmocka_unit_test(jumps_over_empty_time),
        cmocka_unit_test(a_removed_link_never_comes),
        cmocka_unit_test(a_deadline_in_the_past_goes_with_the_next_call),
        cmocka_unit_test(a_time_that_goes_back_changes_nothing),
        cmocka_unit_test(is_exact_against_a_naive_model),
        cmocka_unit_test(many_of_one_moment_move_down_in_bounded_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
