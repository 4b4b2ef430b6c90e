#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/loaded.h"

static const char *restart(const char *before, const char *after)
{
    struct conf *a = load(before), *b = load(after);
    const char *name = conf_needs_restart(a, b);
    conf_unref(a);
    conf_unref(b);
    return name;
}

static bool same(const char *before, const char *after)
{
    char text[512];
    snprintf(text, sizeof text,
             "backends = { a = { %s } b = { driver = \"sqlite\", path = \"b\" } }", before);
    struct conf *a = load(text);
    snprintf(text, sizeof text, "backends = { a = { %s } }", after);
    struct conf *b = load(text);
    bool is = conf_backend_same(&a->backends[0], &b->backends[0]);
    assert_false(conf_backend_same(&a->backends[0], &a->backends[1]));
    conf_unref(a);
    conf_unref(b);
    return is;
}

static void a_value_written_otherwise_is_no_change(void **state)
{
    (void)state;
    assert_null(restart("", ""));
    assert_null(
        restart("listen = \"127.0.0.1:7411\"", "listen = [\"127.0.0.1:7411\"]; shards = 16"));
}

static void what_can_change_while_running_needs_no_restart(void **state)
{
    (void)state;
    assert_null(restart("", "memory = \"1gb\"; max_key = 100; watch = false\n"
                            "log_level = \"debug\"; defaults = { ttl = \"1s\" }\n"
                            "backends = { a = { driver = \"sqlite\", path = \"x\" } }"));
}

static void what_cannot_is_named(void **state)
{
    (void)state;
    assert_string_equal(restart("", "listen = \":7412\""), "listen");
    assert_string_equal(restart("", "listen = (\"127.0.0.1:7411\", \":7412\")"), "listen");
    assert_string_equal(restart("", "shards = 32"), "shards");
    assert_string_equal(restart("", "io_threads = 2"), "io_threads");
    assert_string_equal(restart("loader_threads = 2", ""), "loader_threads");
    assert_string_equal(restart("", "user = \"nobody\""), "user");
    assert_string_equal(restart("log_file = \"a\"", "log_file = \"b\""), "log_file");
    assert_null(restart("log_file = \"a\"", "log_file = \"./a\""));
}

static void backends_with_equal_options_are_the_same(void **state)
{
    (void)state;
    assert_true(
        same("driver = \"sqlite\", path = \"x\"", "path = \"x\", driver = \"sqlite\", pool = 2"));
    assert_false(same("driver = \"sqlite\", path = \"x\"", "driver = \"sqlite\", path = \"y\""));
    assert_false(same("driver = \"sqlite\", path = \"x\"",
                      "driver = \"sqlite\", path = \"x\", busy_timeout = \"1s\""));
    assert_true(same("driver = \"postgres\", url = \"u\"", "driver = \"postgres\", url = \"u\""));
    assert_false(same("driver = \"postgres\", url = \"u\"", "driver = \"postgres\", url = \"v\""));
    assert_false(
        same("driver = \"postgres\", url = \"u\"", "driver = \"postgres\", url = \"u\", pool = 5"));
    assert_false(same("driver = \"postgres\", url = \"x\"", "driver = \"sqlite\", path = \"x\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_written_otherwise_is_no_change),
        cmocka_unit_test(what_can_change_while_running_needs_no_restart),
        cmocka_unit_test(what_cannot_is_named),
        cmocka_unit_test(backends_with_equal_options_are_the_same),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
