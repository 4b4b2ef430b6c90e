/* What checks.c says of backends that name one another, or a channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/refused.h"

static void a_primary_is_a_backend_that_has_none(void **state)
{
    (void)state;
    assert_says(
        "backends = { a = { driver = \"postgres\", url = \"host=x\",\n primary = \"a\" } }\n", 2,
        "\"primary\": \"a\" names itself");
    assert_says("backends = { a = { driver = \"postgres\", url = \"host=x\",\n primary = \"b\" }\n"
                "  b = { driver = \"postgres\", url = \"host=y\", primary = \"c\" }\n"
                "  c = { driver = \"postgres\", url = \"host=z\" } }\n",
                2,
                "\"primary\": \"b\" has a \"primary\" of its own (\"c\"); name the backend that "
                "takes the writes");
    struct buf report;
    struct err e;
    write_file("rtcache.conf",
               "backends = { a = { driver = \"postgres\", url = \"host=x\", primary = \"b\" }\n"
               "  b = { driver = \"postgres\", url = \"host=y\", primary = \"a\" } }\n");
    refused(&report, &e); /* in a circle, too */
    buf_fini(&report);
}

static void a_channel_has_a_name_that_postgres_keeps(void **state)
{
    (void)state;
    char name[65], text[160];
    memset(name, 'n', 64);
    name[64] = '\0';
    snprintf(text, sizeof text,
             "backends = { a = { driver = \"postgres\", url = \"host=x\",\n feed = \"%s\" } }\n",
             name);
    char says[160];
    snprintf(says, sizeof says,
             "\"feed\": \"%s...\" is longer than the 63 bytes of a channel's name", name);
    assert_says(text, 2, says);
    assert_says("backends = { a = { driver = \"postgres\", url = \"host=x\",\n feed = \"\" } }\n",
                2, "\"feed\" is empty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_is_a_backend_that_has_none),
        cmocka_unit_test(a_channel_has_a_name_that_postgres_keeps),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
