/* What threads last said of their backends and scripts, and what is known of a feed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/live.h"

#include <string.h>

/* The sums are of what each thread said last. */
static void what_each_thread_said_last_is_summed(void **state)
{
    (void)state;
    struct live_backend *b = live_backend_new(3);
    struct live_scripts *s = live_scripts_new(3);
    for (unsigned round = 1; round <= 2; round++)
        for (unsigned t = 0; t < 3; t++) {
            const unsigned n = round * (t + 1); /* the last round: 2 + 4 + 6 */
            const struct backend_stats backend = {.queries = n, .idle = 10 * n, .queued = 100 * n};
            const struct runtime_stats scripts = {.runs = n, .parked = 10 * n};
            live_backend_tell(b, t, &backend);
            live_scripts_tell(s, t, &scripts);
        }
    struct backend_stats of_backend = {.failures = 77};
    struct runtime_stats of_scripts = {.failures = 77};
    live_backend_ask(b, &of_backend);
    live_scripts_ask(s, &of_scripts);
    assert_int_equal(of_backend.queries, 12);
    assert_int_equal(of_backend.idle, 120);
    assert_int_equal(of_backend.queued, 1200);
    assert_int_equal(of_backend.failures, 0);
    assert_int_equal(of_scripts.runs, 12);
    assert_int_equal(of_scripts.parked, 120);
    assert_int_equal(of_scripts.failures, 0);
    live_backend_unref(b);
    live_scripts_unref(s);
}

static void who_has_a_reference_has_it_to_the_end(void **state)
{
    (void)state;
    struct live_backend *b = live_backend_new(1);
    struct live_scripts *s = live_scripts_new(1);
    struct live_loader *l = live_loader_new("user:*", 7, 2);
    assert_int_equal(atomic_load(&b->feed.lag_ms), -1);
    assert_false(live_feed_is_cut(&b->feed) || atomic_load(&b->feed.connected));
    assert_int_equal(l->slot, 7);
    assert_int_equal(l->threads, 2);
    assert_string_equal(l->pattern, "user:*");
    assert_int_equal(atomic_load(&l->lanes[1].counters.loads), 0);
    assert_ptr_equal(live_backend_ref(b), b);
    assert_ptr_equal(live_scripts_ref(s), s);
    assert_ptr_equal(live_loader_ref(l), l);
    live_backend_unref(b);
    live_scripts_unref(s);
    live_loader_unref(l);
    assert_string_equal(l->pattern, "user:*");
    assert_int_equal(atomic_load(&b->refs), 1);
    live_backend_unref(b);
    live_scripts_unref(s);
    live_loader_unref(l);
    live_backend_unref(NULL);
    live_scripts_unref(NULL);
    live_loader_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_each_thread_said_last_is_summed),
        cmocka_unit_test(who_has_a_reference_has_it_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
