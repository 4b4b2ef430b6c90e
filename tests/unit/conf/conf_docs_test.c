/* docs/configuration.md's tables of options are what conf/options.c and the drivers say. */
#include "docs_block.h"

#include "backend/backend.h"
#include "conf/conf.h"

static void the_documented_options_are_those_of_the_table(void **state)
{
    (void)state;
    struct buf tables;
    buf_init(&tables, 0);
    assert_int_equal(conf_write_docs(&tables, backend_drivers), 0);
    docs_block_check("docs/configuration.md", "options", &tables);
    buf_fini(&tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_options_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
