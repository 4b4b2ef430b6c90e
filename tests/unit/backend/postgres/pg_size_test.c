/* What libpq may hold: of a row that is too large, of many queries that are, and afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/memory.h"
#include "log_taken.h"
#include "pg_fixture.h"

#include <sys/resource.h>

#define LARGE "SELECT repeat('x', $1::int) AS x"

static long peak_kib(void)
{
    struct rusage use;
    assert_int_equal(getrusage(RUSAGE_SELF, &use), 0);
    return use.ru_maxrss;
}

/* Of a row that is far too large nothing is read, and the connection goes with it. */
static void a_row_that_is_far_too_large_is_not_read(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    gives(f, CALL_VALUE, LARGE, "[3]", "\"xxx\"");
    long before = peak_kib();
    fails(f, CALL_VALUE, LARGE, "[200000000]", ERR_TOO_LARGE,
          memory_is_counted() ? "a row takes more than 1048576 bytes (max_result), and far more"
                              : "the result takes more than 1048576 bytes (max_result)");
    if (memory_is_counted())
        assert_true(peak_kib() - before < 20 * 1024);
    gives(f, CALL_VALUE, LARGE, "[3]", "\"xxx\"");
    assert_int_equal(stats(f).grown, 1);
    assert_int_equal(stats(f).connects, 2);
    fixture_close(f);
}

/* Where it is a little too large it is read, refused, and what it took is given back. */
static void a_connection_that_has_grown_is_closed(void **state)
{
    struct fixture *f = opened(state, 1);
    log_taken_begin(LOG_INFO);
    gives(f, CALL_VALUE, "SELECT length(repeat('x', 1000000))", NULL, "1000000");
    assert_int_equal(stats(f).grown, 0);
    fails(f, CALL_VALUE, LARGE, "[2500000]", ERR_TOO_LARGE,
          " takes more than 1048576 bytes (max_result)");
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    assert_int_equal(stats(f).grown, 1);
    assert_int_equal(log_taken_count("info  pg.grown backend=main reason=\""), 1);
    log_taken_end();
    fixture_close(f);
}

static void a_row_within_the_bound_makes_none_grow(void **state)
{
    struct fixture *f = opened(state, 1);
    for (int i = 0; i < 5; i++) {
        struct ask a;
        ask_init(&a, CALL_VALUE, LARGE, "[1000000]");
        ask_wait(f, &a);
        assert_int_equal(a.q.code, 0);
        assert_true(a.q.result.size > 1000000);
        ask_fini(&a);
    }
    assert_int_equal(stats(f).grown, 0);
    assert_int_equal(stats(f).connects, 1);
    fixture_close(f);
}

static void large_parameters_stay_with_no_connection(void **state)
{
    struct fixture *f = opened(state, 1);
    struct buf params;
    char *text = malloc(5000001);
    memset(text, 'p', 5000000);
    text[5000000] = '\0';
    buf_init(&params, 0);
    assert_int_equal(mpw_array(&params, 1) | mpw_cstr(&params, text), 0);
    struct ask a;
    ask_init(&a, CALL_VALUE, "SELECT length($1)", NULL);
    a.q.params = buf_slice(&params);
    ask_wait(f, &a);
    result_is(&a.q, "5000000");
    ask_fini(&a);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    assert_int_equal(stats(f).grown, memory_is_counted());
    buf_fini(&params);
    free(text);
    fixture_close(f);
}

/* What reads and was in the air beside it is asked again. */
static void neighbours_of_a_large_row_are_answered(void **state)
{
    struct fixture *f = opened(state, 1);
    struct ask asks[21];
    char params[32];
    gives(f, CALL_VALUE, LARGE, "[3]", "\"xxx\"");
    gives(f, CALL_VALUE, "SELECT $1::int + 1", "[1]", "2");
    for (int i = 0; i < 21; i++) {
        snprintf(params, sizeof params, "[%d]", i == 10 ? 200000000 : i);
        ask_init(&asks[i], CALL_VALUE, i == 10 ? LARGE : "SELECT $1::int + 1", params);
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < 21; i++) {
        fixture_wait(f, &asks[i].done, 1);
        snprintf(params, sizeof params, "%d", i + 1);
        if (i == 10)
            assert_string_equal(err_name(asks[i].q.code), "TOO_LARGE");
        else
            result_is(&asks[i].q, params);
        ask_fini(&asks[i]);
    }
    fixture_close(f);
}

/* One that is given up, or too large, is cancelled; a cancel may hit its neighbour, which runs
 * again: as often as that happens. */
static void each_of_many_that_are_too_large_is_told_so(void **state)
{
    static const char *const queries[] = {
        "SELECT repeat('x', 300000) AS x, pg_sleep(0.01) FROM generate_series(1, 1000)",
        "SELECT repeat('y', 1500000) AS y",
        "SELECT repeat('z', 100000000) AS z",
    };
    struct fixture *f = opened(state, 1);
    struct ask asks[24];
    for (int i = 0; i < 24; i++) {
        bool small = i % 4 == 3;
        ask_init(&asks[i], small ? CALL_VALUE : CALL_ROWS,
                 small ? "SELECT 7"
                       : queries[i == 9       ? 2
                                 : i % 4 == 1 ? 1
                                              : 0],
                 NULL);
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < 24; i++) {
        fixture_wait(f, &asks[i].done, 1);
        if (i % 4 == 3)
            result_is(&asks[i].q, "7");
        else if (asks[i].q.code != ERR_TOO_LARGE)
            fail_msg("%d: %s %s", i, err_name(asks[i].q.code), asks[i].q.err.text);
        ask_fini(&asks[i]);
    }
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_far_too_large_is_not_read),
        cmocka_unit_test(a_connection_that_has_grown_is_closed),
        cmocka_unit_test(a_row_within_the_bound_makes_none_grow),
        cmocka_unit_test(large_parameters_stay_with_no_connection),
        cmocka_unit_test(neighbours_of_a_large_row_are_answered),
        cmocka_unit_test(each_of_many_that_are_too_large_is_told_so),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
