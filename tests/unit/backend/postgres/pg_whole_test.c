/* Which answers come all at once, and what becomes of those that turn out to be many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/memory.h"
#include "pg_fixture.h"

static struct pg_stmt *stmt_of(const struct fixture *f, const char *sql)
{
    struct pg_pool *pool = (struct pg_pool *)f->backend;
    struct pg_stmt *st = pg_stmt_find(&pool->conns[0].stmts, slice_str(sql));
    assert_non_null(st);
    return st;
}

static void run(struct fixture *f, const char *sql, const char *params)
{
    struct ask a;
    ask_init(&a, CALL_ROWS, sql, params);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, 0);
    ask_fini(&a);
    fixture_share(f);
}

static void few_are_a_thousand_rows_and_64_kib(void **state)
{
    static const struct {
        const char *params;
        bool few;
    } cases[] = {
        {"[1000, 1]", true},  {"[1001, 1]", false},  {"[1, 1]", true},
        {"[10, 6400]", true}, {"[10, 6600]", false}, {"[0, 1]", true},
    };
    const char *sql = "SELECT repeat('x', $2::int) AS x FROM generate_series(1, $1::int)";
    struct fixture *f = opened(state, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(f, sql, cases[i].params);
        if (stmt_of(f, sql)->few != cases[i].few)
            fail_msg("case %zu", i);
    }
    fixture_close(f);
}

/* Each answer is counted for itself. */
static void many_answers_of_few_rows_are_no_answer_of_many(void **state)
{
    const char *sql = "SELECT repeat('x', 600) AS x, $1::int AS n FROM generate_series(1, 100)";
    struct fixture *f = opened(state, 1);
    for (int i = 0; i < 100; i++) /* 6 MB in all */
        run(f, sql, "[1]");
    assert_int_equal(stats(f).reruns, 0);
    assert_true(stmt_of(f, sql)->few);
    assert_false(stmt_of(f, sql)->many);
    fixture_close(f);
}

static void what_had_many_comes_one_by_one(void **state)
{
    const char *sql = "SELECT n, repeat('y', 100) AS x FROM generate_series(1, $1::int) n";
    struct fixture *f = opened(state, 1);
    run(f, sql, "[2000]");
    gives(f, CALL_VALUE, sql, "[100000]", "1");
    assert_int_equal(stats(f).reruns, 0);
    fixture_close(f);
}

/* Once they were many, they come one by one for good. */
static void what_was_many_is_not_run_twice_again(void **state)
{
    const char *sql = "SELECT n, repeat('x', 1000) AS x FROM generate_series(1, $1::int) n";
    struct fixture *f = opened(state, 1);
    for (int i = 0; i < 3; i++) {
        run(f, sql, "[1]");
        run(f, sql, "[1]");
        gives(f, CALL_VALUE, sql, "[100000]", "1");
        assert_int_equal(stats(f).reruns, memory_is_counted());
        assert_int_equal(stmt_of(f, sql)->many, memory_is_counted());
    }
    fixture_close(f);
}

/* What was taken counts for the answer that is read, whatever is sent meanwhile. */
static void what_is_sent_meanwhile_does_not_begin_the_count_anew(void **state)
{
    struct fixture *f = opened(state, 1);
    struct pg_pool *pool = (struct pg_pool *)f->backend;
    struct ask slow, next;
    run(f, "SELECT 1", NULL);
    run(f, "SELECT n FROM pg_sleep(0.05), generate_series(1, 3) n", NULL);
    ask_init(&slow, CALL_ROWS, "SELECT n FROM pg_sleep(0.05), generate_series(1, 3) n", NULL);
    ask_init(&next, CALL_ROWS, "SELECT 1", NULL);
    ask_send(f, &slow);
    pool->conns[0].taken = 12345;
    ask_send(f, &next);
    assert_int_equal(pool->conns[0].taken, 12345);
    assert_int_equal(stats(f).in_flight, 2);
    fixture_wait(f, &slow.done, 1);
    fixture_wait(f, &next.done, 1);
    assert_int_equal(pool->conns[0].taken, 0);
    ask_fini(&slow);
    ask_fini(&next);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_a_thousand_rows_and_64_kib),
        cmocka_unit_test(many_answers_of_few_rows_are_no_answer_of_many),
        cmocka_unit_test(what_had_many_comes_one_by_one),
        cmocka_unit_test(what_was_many_is_not_run_twice_again),
        cmocka_unit_test(what_is_sent_meanwhile_does_not_begin_the_count_anew),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
