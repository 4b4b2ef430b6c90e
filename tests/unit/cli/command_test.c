/* The commands' table, and docs/cli.md: its help is what `rtcache --help` prints. */
#include "docs_block.h"

#include "cli/command.h"

static void the_documented_help_is_the_help(void **state)
{
    (void)state;
    struct buf help;
    buf_init(&help, 0);
    assert_int_equal(buf_printf(&help, "```\n$ rtcache --help\n"), 0);
    assert_int_equal(command_help_all(&help), 0);
    assert_int_equal(buf_printf(&help, "```\n"), 0);
    docs_block_check("docs/cli.md", "help", &help);
    buf_fini(&help);
}

static void help_lines_fit_a_terminal(void **state)
{
    (void)state;
    static const char *const names[] = {"get",        "entry",   "peek",  "set",
                                        "invalidate", "refresh", "touch", "loaders",
                                        "stats",      "reload",  "ping"};
    struct buf help;
    buf_init(&help, 0);
    assert_int_equal(command_help_all(&help), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct command *c = command_find(names[i]);
        assert_non_null(c);
        assert_non_null(memmem(help.data, help.size, c->summary, strlen(c->summary)));
        assert_int_equal(command_help(&help, c), 0);
    }
    size_t width = 0;
    for (size_t i = 0; i < help.size; i++) {
        width = help.data[i] == '\n' ? 0 : width + 1;
        if (width > 96)
            fail_msg("a line of the help is too long: %.96s", help.data + i - 96);
    }
    buf_fini(&help);
}

/* Where name stands in text, as a line's first word after blanks. */
static size_t place_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (!at)
        fail_msg("the help has no %s:\n%s", name, text);
    return (size_t)(at - text);
}

static void the_help_of_a_command_begins_with_its_own_options(void **state)
{
    (void)state;
    struct buf help;
    buf_init(&help, 0);
    assert_int_equal(command_help(&help, command_find("set")), 0);
    assert_int_equal(buf_append(&help, "", 1), 0);
    size_t all = place_of(help.data, "\nOptions of all commands:\n");
    assert_true(place_of(help.data, "\nOptions of set:\n") < all);
    assert_true(place_of(help.data, "--ttl DURATION") < all);
    assert_true(place_of(help.data, "--tag TAG") < all);
    assert_true(place_of(help.data, "--server ADDR") > all);
    buf_fini(&help);
}

static void the_nearest_command_is_found(void **state)
{
    (void)state;
    assert_null(command_find("nonsense"));
    assert_null(command_nearest("nonsense"));
    assert_string_equal(command_nearest("invaldate"), "invalidate");
    assert_string_equal(command_nearest("refersh"), "refresh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_help_is_the_help),
        cmocka_unit_test(help_lines_fit_a_terminal),
        cmocka_unit_test(the_help_of_a_command_begins_with_its_own_options),
        cmocka_unit_test(the_nearest_command_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
