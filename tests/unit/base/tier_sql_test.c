#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/tier_sql.h"

static void assert_has(const struct buf *b, const char *text)
{
    struct buf copy;
    buf_init(&copy, 0);
    assert_int_equal(buf_append(&copy, b->data, b->size) | buf_append(&copy, "", 1), 0);
    if (!strstr(copy.data, text))
        print_error("\"%s\" is not in\n%s\n", text, copy.data);
    assert_non_null(strstr(copy.data, text));
    buf_fini(&copy);
}

static void names_are_quoted(void **state)
{
    (void)state;
    struct tier_sql s;
    struct err e;
    assert_int_equal(tier_sql_init(&s, TIER_POSTGRES, "Cache.\"En\"\"try\"", &e), 0);
    assert_has(&s.write, "INSERT INTO \"cache\".\"En\"\"try\" AS e (cache_key, value, ");
    assert_has(&s.size, "pg_total_relation_size('\"cache\".\"En\"\"try\"'::regclass)");
    tier_sql_fini(&s);
    assert_int_equal(tier_sql_init(&s, TIER_SQLITE, "a.b.c", &e), ERR_BAD_REQUEST);
    tier_sql_fini(&s);
}

static void a_statement_of_rows_has_a_parameter_for_each_column(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(tier_sql_write_rows(&out, "t", 2, &e), 0);
    assert_has(&out, "VALUES (?3,");
    assert_has(&out, "?17,?1,?2),(?18,");
    assert_has(&out, "?32,?1,?2) ON CONFLICT");
    assert_true(2 + TIER_SQL_ROWS * TIER_WRITE_ARRAYS <= 32766);
    buf_fini(&out);
}

static void the_table_has_the_columns_that_are_known(void **state)
{
    (void)state;
    static const char *const columns[] = {"cache_key ",  "value ",  "version_id ", "loaded_at ",
                                          "expires_at ", "packed ", "incarnation "};
    for (enum tier_dialect d = TIER_POSTGRES; d <= TIER_SQLITE; d++) {
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        assert_int_equal(tier_sql_table(&out, d, "cache_entry", &e), 0);
        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
            assert_has(&out, columns[i]);
        assert_has(&out, "ON \"cache_entry\" (expires_at);\n");
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_quoted),
        cmocka_unit_test(a_statement_of_rows_has_a_parameter_for_each_column),
        cmocka_unit_test(the_table_has_the_columns_that_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
