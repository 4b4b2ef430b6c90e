/* The bounds of results, to the byte, by each shape, and of values on their way inside SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite_conn.h"

#include "backend/sqlite/sqlite_files.h"

static char path[128];

static bool never(const struct sqlite_run *r)
{
    (void)r;
    return false;
}

static int start(void **state)
{
    if (files_make(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s", files_path("t.db"));
    files_sql(path, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    return 0;
}

/* Asks on a connection of its own; the outcome, without its result. */
static struct sqlite_run ask(size_t max_result, const char *sql, enum call_shape shape)
{
    const struct sqlite_settings settings = {
        .path = path, .statements = 4, .max_result = max_result, .busy_timeout_ms = 50};
    struct sqlite_run run = {.sql = slice_str(sql), .shape = shape, .given_up = never};
    struct sqlite_conn *conn = sqlite_conn_new(&settings);
    assert_non_null(conn);
    buf_init(&run.result, max_result);
    sqlite_conn_run(conn, &run);
    assert_int_equal(run.opened, 1);
    if (run.code != 0)
        assert_int_equal(run.result.size, 0);
    buf_fini(&run.result);
    sqlite_conn_free(conn);
    return run;
}

static void a_result_fits_to_the_last_byte(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum call_shape shape;
        size_t needs;
        const char *says;
    } cases[] = {
        {"SELECT 1 AS a", CALL_ROWS, 9, "the result takes more than 8 bytes (max_result)"},
        {"SELECT 1 AS a WHERE 0", CALL_ROWS, 5, "no room for a result (max_result)"},
        {"SELECT 'abc'", CALL_VALUE, 4, "the result takes more than 3 bytes (max_result)"},
        {"SELECT 1 AS a", CALL_ROW, 4, "the result takes more than 3 bytes (max_result)"},
        {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
         "INSERT OR REPLACE INTO t SELECT i FROM n",
         CALL_COUNT, 2, "no room for a result (max_result)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sqlite_run run = ask(cases[i].needs, cases[i].sql, cases[i].shape);
        if (run.code != 0)
            fail_msg("%s: %s", cases[i].sql, run.err.text);
        run = ask(cases[i].needs - 1, cases[i].sql, cases[i].shape);
        assert_int_equal(run.code, ERR_TOO_LARGE);
        assert_int_equal(run.err.code, ERR_TOO_LARGE);
        assert_string_equal(run.err.text, cases[i].says);
        assert_false(run.found);
    }
}

/* Four times as long as a result, and a mebibyte in any case. */
static void a_value_on_its_way_may_be_longer_than_a_result(void **state)
{
    (void)state;
    static const struct {
        size_t max_result;
        int most;
    } cases[] = {
        {1, 1048576},
        {262144, 1048576},
        {262145, 1048580},
        {250000000, 1000000000},
        {250000001, 1000000000},
        {0, 1000000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[80], says[100];
        snprintf(sql, sizeof sql, "SELECT 5 WHERE length(zeroblob(%d)) = %d",
                 cases[i].most < 2000000 ? cases[i].most : 0,
                 cases[i].most < 2000000 ? cases[i].most : 0);
        assert_int_equal(ask(cases[i].max_result, sql, CALL_VALUE).code, 0);
        snprintf(sql, sizeof sql, "SELECT length(zeroblob(%d))", cases[i].most + 1);
        struct sqlite_run run = ask(cases[i].max_result, sql, CALL_VALUE);
        assert_int_equal(run.code, ERR_TOO_LARGE);
        snprintf(says, sizeof says,
                 "too big: a value or a row of more than %d bytes (4 x max_result)", cases[i].most);
        assert_string_equal(run.err.text, says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_fits_to_the_last_byte),
        cmocka_unit_test(a_value_on_its_way_may_be_longer_than_a_result),
    };
    return cmocka_run_group_tests(tests, start, files_remove);
}
