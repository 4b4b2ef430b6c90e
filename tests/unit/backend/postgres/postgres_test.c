/* A pool is as its configuration says, from its bounds to its name; no server is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "backend/postgres/pg_options.h"
#include "backend/postgres/pg_pool.h"
#include "backend/postgres/postgres.h"

#include <ev.h>
#include <string.h>

/* Each number is another one. */
static const struct pg_conf own = {
    .url = "host=/nowhere/at/all",
    .pipeline = 3,
    .group = 4,
    .statements = 5,
    .prepared = true,
    .statement_age_ms = 6,
    .connection_age_ms = 7,
    .connect_timeout_ms = 8,
    .reconnect_base_ms = 900000,
    .reconnect_cap_ms = 900001,
};
static const struct conf_backend conf = {
    .name = "main",
    .driver = &postgres_driver.conf,
    .own = &own,
    .max_queue = 11,
    .max_result = 12,
    .full_errors = true,
};

static struct pg_pool *open_pool(struct ev_loop *loop, const struct conf_backend *c, unsigned share)
{
    struct backend *b;
    struct err e;
    if (backend_new(&b, loop, c, share, &e) != 0)
        fail_msg("%s", e.text);
    return (struct pg_pool *)b;
}

static void a_pool_takes_what_it_is_told(void **state)
{
    char name[] = "main";
    struct conf_backend c = conf;
    c.name = name;
    struct pg_pool *p = open_pool(*state, &c, 2);
    memset(name, 'x', sizeof name - 1); /* it has its own copy */
    assert_string_equal(p->name, "main");
    assert_string_equal(p->base.name, "main");
    assert_int_equal(p->base.refs, 1);
    assert_int_equal(p->conn_count, 2);
    assert_int_equal(p->pipeline, 3);
    assert_int_equal(p->group, 4);
    assert_true(p->prepared);
    assert_true(p->full_errors);
    assert_int_equal(p->statement_age_ms, 6);
    assert_int_equal(p->connection_age_ms, 7);
    assert_int_equal(p->connect_timeout_ms, 8);
    assert_int_equal(p->reconnect_base_ms, 900000);
    assert_int_equal(p->reconnect_cap_ms, 900001);
    assert_int_equal(p->max_queue, 11);
    assert_int_equal(p->max_result, 12);
    assert_true(p->changed_ms == INT64_MIN);
    assert_string_equal(p->target.host, "/nowhere/at/all");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(p->conns[i].state, PG_CLOSED);
        assert_int_equal(p->conns[i].stmts.max, 5);
        assert_ptr_equal(p->conns[i].pool, p);
    }
    struct pg_pool *other = open_pool(*state, &conf, 1);
    assert_true(other->seed != p->seed); /* their names for statements are not the same */
    assert_true(other->rng.state != p->rng.state);
    backend_unref(&other->base);
    backend_unref(&p->base);
}

static void odd_numbers_are_held_within_reason(void **state)
{
    struct pg_conf small = own, large = own;
    struct conf_backend c = conf;
    small.pipeline = small.group = small.statements = 0;
    small.prepared = false;
    c.own = &small;
    c.max_queue = c.max_result = -1;
    c.full_errors = false;
    struct pg_pool *p = open_pool(*state, &c, 0);
    assert_int_equal(p->conn_count, 1);
    assert_int_equal(p->pipeline, 1);
    assert_int_equal(p->group, 1);
    assert_int_equal(p->conns[0].stmts.max, 1);
    assert_int_equal(p->max_queue, 0);
    assert_int_equal(p->max_result, 0);
    assert_false(p->prepared || p->full_errors);
    backend_unref(&p->base);
    large.pipeline = (int64_t)INT32_MAX + 1;
    large.group = INT32_MAX;
    c.own = &large;
    p = open_pool(*state, &c, 1);
    assert_int_equal(p->pipeline, INT32_MAX);
    assert_int_equal(p->group, INT32_MAX);
    backend_unref(&p->base);
}

static int answered;

static void on_done(struct call *q)
{
    (void)q;
    answered++;
}

static void wait_answered(struct ev_loop *loop, int want)
{
    while (answered < want)
        ev_run(loop, EVRUN_ONCE);
}

/* The first connect fails; what comes after it hears so at once, and when to ask again. */
static void a_database_that_is_not_there_is_told_with_the_time_to_wait(void **state)
{
    struct pg_pool *p = open_pool(*state, &conf, 1);
    struct call q = {.text = slice_str("SELECT 1"), .done = on_done};
    struct backend_stats stats;
    answered = 0;
    for (int i = 1; i <= 2; i++) {
        backend_submit(&p->base, &q);
        assert_int_equal(answered, i - 1); /* never inside */
        wait_answered(*state, i);
        assert_int_equal(q.code, ERR_BACKEND_DOWN);
        assert_int_equal(strncmp(q.err.text, "backend \"main\": cannot connect: ", 32), 0);
        assert_true(q.err.retry_after_ms > 0 && q.err.retry_after_ms <= 900001);
        assert_int_equal(q.fate, CALL_UNSENT);
        assert_int_equal(p->failures, 1); /* one connect was tried */
        buf_fini(&q.result);
    }
    p->base.ops->read_stats(&p->base, &stats);
    assert_int_equal(stats.queries, 2);
    assert_int_equal(stats.failures, 2);
    assert_int_equal(stats.connects, 0);
    assert_int_equal(stats.disconnects, 0);
    assert_int_equal(stats.queued, 0);
    backend_unref(&p->base);
}

static int setup(void **state)
{
    *state = ev_default_loop(0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_takes_what_it_is_told),
        cmocka_unit_test(odd_numbers_are_held_within_reason),
        cmocka_unit_test(a_database_that_is_not_there_is_told_with_the_time_to_wait),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
