#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/loaded.h"
#include "conf/refused.h"

#define SQLITE_MAIN "backends = { main = { driver = \"sqlite\", path = \"x.db\" } }\n"

static int make(void **state)
{
    if (folder_make(state) != 0 || mkdir(in_folder("scripts"), 0700) != 0)
        return -1;
    write_file("scripts/user.lua", "return {}\n");
    return 0;
}

static void a_tier_has_a_backend_and_loaders_may_be_kept_there(void **state)
{
    (void)state;
    struct conf *c = load(SQLITE_MAIN "tier = { backend = \"main\" }\n"
                                      "loaders = ( { pattern = \"a:*\", script = \"user.lua\", "
                                      "tier = true }, { pattern = \"b:*\", script = \"user.lua\", "
                                      "tier_min_load = \"1s\" } )\n");
    assert_string_equal(c->tier.backend, "main");
    assert_string_equal(c->tier.table, "cache_entry");
    assert_true(c->loaders[0].tier);
    assert_false(c->loaders[1].tier);
    assert_int_equal(20, c->loaders[0].policy.tier_min_load_ms);
    assert_int_equal(1000, c->loaders[1].policy.tier_min_load_ms);
    conf_unref(c);
    c = load(SQLITE_MAIN);
    assert_null(c->tier.backend);
    conf_unref(c);
}

static void what_is_wrong_with_it_is_told_where_it_is_written(void **state)
{
    (void)state;
    assert_says(SQLITE_MAIN "tier = { table = \"t\" }\n", 2, "\"tier\" needs \"backend\"");
    assert_says(SQLITE_MAIN "tier = {\n backend = \"other\" }\n", 3,
                "\"backend\": there is no backend \"other\"");
    assert_says(SQLITE_MAIN "tier = { backend = \"main\";\n table = \"a.b.c\" }\n", 3,
                "\"table\": \"a.b.c\" is not NAME or SCHEMA.NAME");
    assert_says(SQLITE_MAIN "tier = { backend = \"main\";\n slots = 1500 }\n", 3,
                "\"slots\" takes a power of two");
    assert_says(SQLITE_MAIN "loaders = ( { pattern = \"a:*\", script = \"user.lua\",\n"
                            " tier = true } )\n",
                3, "\"tier\" needs a group \"tier\" at the top of the file: { backend = ... }");
    assert_says("tier = 5\n", 1, "\"tier\" takes a group: { backend = ..., table = ... }");
}

static void a_change_takes_a_restart(void **state)
{
    (void)state;
    struct conf *a = load(SQLITE_MAIN "tier = { backend = \"main\" }\n");
    struct conf *b = load(SQLITE_MAIN "tier = { backend = \"main\", preload = 7 }\n");
    struct conf *none = load(SQLITE_MAIN);
    assert_string_equal("tier", conf_needs_restart(a, b));
    assert_string_equal("tier", conf_needs_restart(a, none));
    assert_string_equal("tier", conf_needs_restart(none, a));
    assert_null(conf_needs_restart(a, a));
    conf_unref(a);
    conf_unref(b);
    conf_unref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tier_has_a_backend_and_loaders_may_be_kept_there),
        cmocka_unit_test(what_is_wrong_with_it_is_told_where_it_is_written),
        cmocka_unit_test(a_change_takes_a_restart),
    };
    return cmocka_run_group_tests(tests, make, folder_remove);
}
