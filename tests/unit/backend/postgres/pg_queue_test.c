#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_queue.h"

#include <stdlib.h>

struct world {
    struct call first, second;
    int done, freed;
    struct pg_pool pool; /* its connections come after it: none */
};

static struct world *world; /* of the test that runs */

static void on_idle(struct ev_loop *loop, struct ev_idle *idle, int events)
{
    (void)events;
    ev_idle_stop(loop, idle);
}

static void on_free(struct backend *b)
{
    (void)b;
    world->freed++;
}

static void on_done(struct call *q)
{
    (void)q;
    world->done++;
}

static const struct backend_ops ops = {.free = on_free};

static int make(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        return -1;
    w->pool.base = (struct backend){.ops = &ops, .refs = 1};
    w->pool.loop = ev_default_loop(0);
    list_init(&w->pool.queue);
    list_init(&w->pool.ended);
    list_init(&w->pool.types.waiting);
    ev_idle_init(&w->pool.deliver, on_idle);
    call_reset(&w->first, 0);
    call_reset(&w->second, 0);
    w->first.done = w->second.done = on_done;
    *state = world = w;
    return 0;
}

static int take_down(void **state)
{
    struct world *w = *state;
    ev_idle_stop(w->pool.loop, &w->pool.deliver);
    buf_fini(&w->first.result);
    buf_fini(&w->second.result);
    free(w);
    return 0;
}

static void what_runs_again_goes_before_what_waits(void **state)
{
    struct world *w = *state;
    struct pg_conn c = {.in_air = 0};
    struct pg_call waits = {.conn = NULL}, again = {.conn = &c, .state = PG_CALL_SENT};
    list_push_back(&w->pool.queue, &waits.step.link);
    w->pool.queued++;
    pg_queue_again(&w->pool, &again);
    assert_int_equal(again.state, PG_CALL_QUEUED);
    assert_null(again.conn);
    assert_int_equal(w->pool.queued, 2);
    assert_ptr_equal(pg_queue_pop(&w->pool), &again);
    assert_ptr_equal(pg_queue_pop(&w->pool), &waits);
    assert_int_equal(w->pool.queued, 0);
}

static void what_waits_for_types_counts_as_queued(void **state)
{
    struct world *w = *state;
    struct pg_call call = {.state = PG_CALL_SENT};
    pg_queue_await_types(&w->pool, &call);
    assert_int_equal(call.state, PG_CALL_QUEUED);
    assert_int_equal(w->pool.queued, 1);
    assert_true(list_empty(&w->pool.queue));
    assert_ptr_equal(list_pop_front(&w->pool.types.waiting), &call.step.link);
}

static void a_failure_has_no_result_and_is_told_by_the_loop(void **state)
{
    struct world *w = *state;
    assert_int_equal(buf_append(&w->first.result, "x", 1), 0);
    w->first.found = true;
    pg_queue_end(&w->pool, &w->first, ERR_BACKEND_DOWN);
    assert_int_equal(w->first.code, ERR_BACKEND_DOWN);
    assert_int_equal(w->first.err.code, ERR_BACKEND_DOWN);
    assert_int_equal(w->pool.stats.failures, 1);
    assert_false(w->first.found);
    assert_int_equal(w->first.result.size, 0);
    assert_int_equal(w->done, 0);
    assert_true(ev_is_active(&w->pool.deliver));
    pg_queue_deliver(&w->pool);
    assert_int_equal(w->done, 1);
    assert_false(ev_is_active(&w->pool.deliver));
    assert_int_equal(w->freed, 0);
}

static void on_done_asks_again(struct call *q)
{
    (void)q;
    world->done++;
    pg_queue_end(&world->pool, &world->second, 0);
}

static void what_ends_meanwhile_is_told_the_next_time(void **state)
{
    struct world *w = *state;
    w->first.done = on_done_asks_again;
    pg_queue_end(&w->pool, &w->first, 0);
    assert_int_equal(w->pool.stats.failures, 0);
    pg_queue_deliver(&w->pool);
    assert_int_equal(w->done, 1);
    assert_true(ev_is_active(&w->pool.deliver));
    pg_queue_deliver(&w->pool);
    assert_int_equal(w->done, 2);
}

static void on_done_lets_go(struct call *q)
{
    (void)q;
    world->done++;
    backend_unref(&world->pool.base);
}

static void a_backend_lives_until_all_are_told(void **state)
{
    struct world *w = *state;
    w->first.done = on_done_lets_go;
    pg_queue_end(&w->pool, &w->first, 0);
    pg_queue_end(&w->pool, &w->second, 0);
    pg_queue_deliver(&w->pool);
    assert_int_equal(w->done, 2);
    assert_int_equal(w->freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_runs_again_goes_before_what_waits, make, take_down),
        cmocka_unit_test_setup_teardown(what_waits_for_types_counts_as_queued, make, take_down),
        cmocka_unit_test_setup_teardown(a_failure_has_no_result_and_is_told_by_the_loop, make,
                                        take_down),
        cmocka_unit_test_setup_teardown(what_ends_meanwhile_is_told_the_next_time, make, take_down),
        cmocka_unit_test_setup_teardown(a_backend_lives_until_all_are_told, make, take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
