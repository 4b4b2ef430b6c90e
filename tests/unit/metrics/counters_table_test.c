/* docs/operations.md's table of counters is the list of metrics/metrics.h. */
#include "docs_block.h"

#include "metrics/metrics.h"

static const char *const rows[] = {
#define ROW(id, name, text) "| `" name "` | " text " |\n",
    METRIC_COUNTERS(ROW)
#undef ROW
};

static void the_documented_counters_are_the_counters(void **state)
{
    (void)state;
    struct buf table;
    buf_init(&table, 0);
    assert_int_equal(buf_printf(&table, "| counter | what it counts |\n| --- | --- |\n"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(buf_append(&table, rows[i], strlen(rows[i])), 0);
    docs_block_check("docs/operations.md", "counters", &table);
    buf_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_counters_are_the_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
