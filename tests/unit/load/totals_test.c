#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/totals.h"

enum { THREADS = 3 };

struct world {
    struct conf conf;
    struct conf_loader loaders[2];
    struct snapshot *s;
};

static void world_init(struct world *w)
{
    *w = (struct world){.loaders = {{.pattern = "a:*"}, {.pattern = "b:*"}}};
    struct err e;
    atomic_init(&w->conf.refs, 1000); /* so many that no test ends it */
    w->conf.loader_threads = THREADS;
    w->conf.loaders = w->loaders;
    w->conf.loader_count = 2;
    if (snapshot_new(&w->s, &w->conf, 1, NULL, &e) != 0)
        fail_msg("%s", e.text);
}

static void a_loader_is_the_sum_of_its_threads(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t t = 0; t < THREADS; t++) {
        struct loader_counters *c = snapshot_counters(w.s, t, 1);
        uint64_t n = 1;
#define SET(name) c->name = (t + 1) * n++;
        LOADER_TOTALS(SET)
#undef SET
        for (int r = 0; r < REASON_COUNT; r++)
            c->by_reason[r] = (uint64_t)r + t;
        c->failures[3] = 7;
        c->in_flight = 10;
        c->queued = (uint32_t)t;
    }
    struct loader_totals sum = totals_of_loader(w.s, 1), other = totals_of_loader(w.s, 0);
    for (size_t i = 0; i < TOTALS; i++)
        assert_int_equal(sum.of[i], 6 * (i + 1));
    for (int r = 0; r < REASON_COUNT; r++)
        assert_int_equal(sum.by_reason[r], THREADS * r + 3);
    assert_int_equal(sum.failures[3], 7 * THREADS);
    assert_int_equal(sum.failures[2], 0);
    assert_int_equal(sum.in_flight, 30);
    assert_int_equal(sum.queued, 3);
    assert_int_equal(other.of[0] + other.in_flight + other.failures[3], 0);
    snapshot_unref(w.s);
}

static void the_breaker_is_the_one_furthest_from_closed(void **state)
{
    (void)state;
    static const enum breaker_state cases[][THREADS + 1] = {
        {BREAKER_CLOSED, BREAKER_CLOSED, BREAKER_CLOSED, BREAKER_CLOSED},
        {BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_CLOSED, BREAKER_HALF_OPEN},
        {BREAKER_HALF_OPEN, BREAKER_OPEN, BREAKER_CLOSED, BREAKER_OPEN},
        {BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_CLOSED, BREAKER_OPEN},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t t = 0; t < THREADS; t++)
            snapshot_counters(w.s, t, 0)->breaker = (int)cases[i][t];
        assert_int_equal(totals_of_loader(w.s, 0).breaker, cases[i][THREADS]);
    }
    snapshot_unref(w.s);
}

static void a_feed_is_read_field_by_field(void **state)
{
    (void)state;
    struct live_feed f = {
        .cut = true, .connected = false, .events = 1, .bad = 2, .gaps = 3, .lag_ms = -1};
    struct feed_totals t = totals_of_feed(&f);
    assert_true(t.cut && !t.connected);
    assert_int_equal(t.events, 1);
    assert_int_equal(t.bad, 2);
    assert_int_equal(t.gaps, 3);
    assert_int_equal(t.lag_ms, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loader_is_the_sum_of_its_threads),
        cmocka_unit_test(the_breaker_is_the_one_furthest_from_closed),
        cmocka_unit_test(a_feed_is_read_field_by_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
