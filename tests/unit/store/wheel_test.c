#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/wheel.h"

#include <stdlib.h>
#include <string.h>

#define ALARMS 3000
#define CROWD  60000

struct alarm {
    struct timer timer;
    int64_t due_ms;
    bool set;
};

static int64_t alarm_due(const struct timer *timer)
{
    return container_of(timer, struct alarm, timer)->due_ms;
}

static struct alarm alarms[CROWD];

static void wheel_open(struct wheel *w, int64_t now_ms)
{
    assert_int_equal(wheel_init(w, alarms, now_ms, alarm_due), 0);
    assert_int_equal(wheel_reserve(w, CROWD), 0);
}

static void alarm_init(struct alarm *a, int64_t due_ms)
{
    a->timer = (struct timer){0};
    a->due_ms = due_ms;
    a->set = false;
}

static size_t expire_all(struct wheel *w, int64_t now_ms)
{
    static struct timer *out[CROWD];
    size_t count;
    assert_true(wheel_expire(w, now_ms, SIZE_MAX, out, &count));
    for (size_t i = 0; i < count; i++)
        assert_true(out[i]->spot == 0);
    return count;
}

static void hands_out_at_the_tick_after_the_deadline_and_not_before(void **state)
{
    (void)state;
    static const int64_t times[] = {1,     10,     639,     640,       641,       40960,
                                    86400, 999999, 2621440, 604800000, 1LL << 40, 1LL << 43};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        for (int64_t start = 0; start <= 12345678; start += 4115226) {
            struct wheel w;
            struct alarm *a = &alarms[0];
            wheel_open(&w, start);
            alarm_init(a, start + times[i]);
            wheel_add(&w, &a->timer);
            int64_t tick_ms = (a->due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS * WHEEL_TICK_MS;
            assert_int_equal(expire_all(&w, tick_ms - 1), 0);
            assert_int_equal(expire_all(&w, tick_ms), 1);
            assert_true(a->timer.spot == 0);
            wheel_fini(&w);
        }
    }
}

static void jumps_over_empty_time(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm *a = &alarms[0];
    struct timer *out[2 * WHEEL_LEVELS + 2];
    size_t count;
    wheel_open(&w, 0);
    alarm_init(a, INT64_C(365) * 24 * 3600 * 1000);
    wheel_add(&w, &a->timer);
    assert_true(wheel_expire(&w, a->due_ms, 2 * WHEEL_LEVELS + 2, out, &count));
    assert_int_equal(count, 1);
    wheel_fini(&w);
}

static void a_removed_timer_never_comes(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm *a = &alarms[0], *b = &alarms[1];
    wheel_open(&w, 0);
    alarm_init(a, 5000);
    alarm_init(b, 5000);
    wheel_add(&w, &a->timer);
    wheel_add(&w, &b->timer);
    wheel_remove(&w, &a->timer);
    wheel_remove(&w, &a->timer);
    assert_int_equal(expire_all(&w, 100000), 1);
    wheel_fini(&w);
}

static void a_deadline_in_the_past_goes_with_the_next_call(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm *a = &alarms[0];
    wheel_open(&w, 0);
    assert_int_equal(expire_all(&w, 777777), 0);
    alarm_init(a, -5);
    wheel_add(&w, &a->timer);
    assert_int_equal(expire_all(&w, 777777), 1);
    wheel_fini(&w);
}

static void a_time_that_goes_back_changes_nothing(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm *a = &alarms[0];
    wheel_open(&w, 0);
    assert_int_equal(expire_all(&w, 100000), 0);
    alarm_init(a, 100050);
    wheel_add(&w, &a->timer);
    assert_int_equal(expire_all(&w, 50), 0);
    assert_int_equal(expire_all(&w, -50), 0);
    assert_int_equal(expire_all(&w, 100049), 0);
    assert_int_equal(expire_all(&w, 100050), 1);
    wheel_fini(&w);
}

/* What is set and due by the naive reading. */
static size_t count_due(int64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < ALARMS; i++)
        n += alarms[i].set &&
             (alarms[i].due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS <= now_ms / WHEEL_TICK_MS;
    return n;
}

static void take_expired(struct timer **out, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct alarm *a = container_of(out[i], struct alarm, timer);
        assert_true(out[i]->spot == 0);
        assert_true(a->set);
        assert_true(a->due_ms <= now_ms);
        a->set = false;
    }
}

static void set_or_cancel(struct wheel *w, struct alarm *a, struct rng *r, int64_t now_ms)
{
    if (a->set) {
        wheel_remove(w, &a->timer);
        a->set = false;
        return;
    }
    a->due_ms = now_ms + (int64_t)(rng_next(r) >> (24 + rng_below(r, 40)));
    a->set = true;
    wheel_add(w, &a->timer);
}

static void run_against_the_model(uint64_t seed)
{
    struct wheel w;
    struct rng r = {.state = seed};
    int64_t now = (int64_t)rng_below(&r, 1 << 30);
    wheel_open(&w, now);
    for (size_t i = 0; i < ALARMS; i++)
        alarm_init(&alarms[i], 0);
    for (int round = 0; round < 400; round++) {
        for (uint64_t n = rng_below(&r, 60); n > 0; n--)
            set_or_cancel(&w, &alarms[rng_below(&r, ALARMS)], &r, now);
        now += (int64_t)(rng_next(&r) >> (30 + rng_below(&r, 34)));
        static struct timer *out[ALARMS];
        size_t due = count_due(now), count;
        bool done = wheel_expire(&w, now, rng_below(&r, 200), out, &count);
        assert_true(count <= due);
        assert_true(!done || count == due);
        take_expired(out, count, now);
        wheel_settle(&w, (unsigned)rng_below(&r, 20));
        /* Changes while slots are half moved down. */
        for (uint64_t n = done ? 0 : 20; n > 0; n--)
            set_or_cancel(&w, &alarms[rng_below(&r, ALARMS)], &r, now);
        if (done || rng_below(&r, 2) == 0)
            continue;
        due = count_due(now);
        assert_true(wheel_expire(&w, now, SIZE_MAX, out, &count));
        assert_int_equal(count, due);
        take_expired(out, count, now);
    }
    wheel_fini(&w);
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
    struct wheel w;
    wheel_open(&w, 0);
    for (size_t i = 0; i < ALARMS; i++) {
        alarm_init(&alarms[i], 3600000);
        wheel_add(&w, &alarms[i].timer);
    }
    struct timer *out[16];
    size_t all = 0, count, calls = 0;
    for (bool done = false; !done; all += count) {
        done = wheel_expire(&w, 3600000, 16, out, &count);
        assert_true(++calls <= ALARMS);
    }
    assert_int_equal(all, ALARMS);
    wheel_fini(&w);
}

static void memory_of_what_left_goes_back_and_the_rest_stays(void **state)
{
    (void)state;
    struct wheel w;
    struct rng r = {.state = 5};
    wheel_open(&w, 0);
    size_t left = 0;
    for (size_t i = 0; i < CROWD; i++) {
        alarm_init(&alarms[i], (int64_t)rng_below(&r, 1 << 24));
        wheel_add(&w, &alarms[i].timer);
    }
    size_t full = wheel_bytes(&w);
    assert_true(full >= CROWD * sizeof(uint32_t));
    for (size_t i = 0; i < CROWD; i++) {
        alarms[i].set = rng_below(&r, 10) == 0;
        left += alarms[i].set;
        if (!alarms[i].set)
            wheel_remove(&w, &alarms[i].timer);
    }
    for (size_t before = SIZE_MAX; wheel_bytes(&w) < before;) {
        before = wheel_bytes(&w);
        for (int i = 0; i < 100; i++)
            wheel_settle(&w, 1 + (unsigned)rng_below(&r, 50));
    }
    assert_true(wheel_bytes(&w) < full / 3);
    static struct timer *out[CROWD];
    size_t count;
    assert_true(wheel_expire(&w, 1 << 24, SIZE_MAX, out, &count));
    assert_int_equal(count, left);
    take_expired(out, count, 1 << 24);
    wheel_settle(&w, UINT32_MAX);
    assert_true(wheel_bytes(&w) < full / 10);
    wheel_fini(&w);
}

static void a_timer_that_moved_is_found_where_it_is(void **state)
{
    (void)state;
    struct wheel w;
    wheel_open(&w, 0);
    for (size_t i = 0; i < 100; i++) {
        alarm_init(&alarms[i], 5000);
        alarms[i].set = true;
        if (i % 2)
            wheel_add(&w, &alarms[i].timer);
    }
    for (size_t i = 0; i < 100; i++) {
        alarms[100 + i] = alarms[i];
        wheel_follow(&w, &alarms[100 + i].timer);
    }
    memset(alarms, 0, 100 * sizeof *alarms);
    struct timer *out[100];
    size_t count;
    wheel_remove(&w, &alarms[100 + 1].timer);
    assert_true(wheel_expire(&w, 5000, 100, out, &count));
    assert_int_equal(count, 49);
    take_expired(out, count, 5000);
    assert_true(alarms[100].set && alarms[101].set);
    wheel_fini(&w);
}

/* What it says that it will take is what it then takes; the very first timer aside. */
static void what_it_takes_is_told_ahead(void **state)
{
    (void)state;
    struct wheel w;
    size_t pages = 0;
    wheel_open(&w, 0);
    assert_int_equal(wheel_bytes(&w), 0);
    assert_int_equal(wheel_growth(&w), 0); /* for what may never have a timer nothing is kept */
    for (size_t i = 0; i < ALARMS; i++) {
        size_t before = wheel_bytes(&w), growth = wheel_growth(&w);
        alarm_init(&alarms[i], 5000);
        wheel_add(&w, &alarms[i].timer);
        assert_true(i == 0 || wheel_bytes(&w) <= before + growth);
        pages += wheel_bytes(&w) > before;
        assert_true(growth == 0 || growth == 4096);
    }
    assert_in_range(pages, 2, ALARMS * sizeof(uint32_t) / 2048);
    assert_int_equal(expire_all(&w, 5000), ALARMS);
    assert_int_equal(wheel_growth(&w), 0); /* chunks are free */
    wheel_settle(&w, UINT32_MAX);
    assert_true(wheel_bytes(&w) <= 2 * 4096);
    wheel_fini(&w);
}

/* A timer that is handed out or moved is a step, and so is a slot that is left empty. */
static void no_call_takes_more_steps_than_it_may(void **state)
{
    (void)state;
    struct wheel w;
    struct timer *out[100];
    size_t count, all = 0;
    wheel_open(&w, 0);
    for (size_t i = 0; i < 90; i++) { /* in nine slots of the first level */
        alarm_init(&alarms[i], (int64_t)(10 + i / 10 * 10));
        wheel_add(&w, &alarms[i].timer);
    }
    assert_false(wheel_expire(&w, 1000, 0, out, &count));
    assert_int_equal(count, 0);
    assert_false(wheel_expire(&w, 1000, 5, out, &count));
    assert_int_equal(count, 5);
    assert_false(wheel_expire(&w, 1000, 5, out, &count)); /* no step is left for the slot */
    assert_int_equal(count, 5);
    assert_false(wheel_expire(&w, 1000, 12, out, &count)); /* the slot, ten, the slot */
    all = count;
    assert_int_equal(count, 10);
    assert_true(wheel_expire(&w, 1000, 100, out, &count));
    assert_int_equal(all + count, 80);
    assert_true(wheel_expire(&w, 1000, 1, out, &count));
    assert_int_equal(count, 0);
    wheel_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_at_the_tick_after_the_deadline_and_not_before),
        cmocka_unit_test(jumps_over_empty_time),
        cmocka_unit_test(a_removed_timer_never_comes),
        cmocka_unit_test(a_deadline_in_the_past_goes_with_the_next_call),
        cmocka_unit_test(a_time_that_goes_back_changes_nothing),
        cmocka_unit_test(is_exact_against_a_naive_model),
        cmocka_unit_test(memory_of_what_left_goes_back_and_the_rest_stays),
        cmocka_unit_test(a_timer_that_moved_is_found_where_it_is),
        cmocka_unit_test(what_it_takes_is_told_ahead),
        cmocka_unit_test(no_call_takes_more_steps_than_it_may),
        cmocka_unit_test(many_of_one_moment_move_down_in_bounded_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
