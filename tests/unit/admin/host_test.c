#include "admin/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const more[] = {"cache.internal"};
static const struct conf_words names = {.list = more, .count = 1};

static bool ours(const char *text)
{
    return host_is_ours(text, "machine", "bound.example", &names);
}

static void figures_localhost_and_our_names_are_ours(void **state)
{
    static const char *const all[] = {
        "127.0.0.1",
        "127.0.0.1:7412",
        "10.1.2.3:80",
        "[::1]",
        "[::1]:7412",
        "[2001:db8::1]:1",
        "localhost",
        "LocalHost:7412",
        "machine:7412",
        "bound.example:7412",
        "cache.internal:65535",
        "CACHE.internal",
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!ours(all[i]))
            fail_msg("%s is refused", all[i]);
}

static void everything_else_is_not(void **state)
{
    static const char *const all[] = {
        "",
        "evil.com",
        "evil.com:7412",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "localhost:80:80",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[localhost]",
        "[]",
        ":7412",
        "::1",
        "127.0.0.1 ",
        "1",
        "0x7f000001",
        "cache.internal.",
        "user@localhost",
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (ours(all[i]))
            fail_msg("%s is taken", all[i]);
}

static void an_empty_name_is_nobodys(void **state)
{
    static const struct conf_words none = {.list = NULL, .count = 0};
    char longest[HOST_MAX + 2];
    (void)state;
    assert_false(host_is_ours("", "", "", &none));
    assert_false(host_is_ours("machine", "", "", &none));
    for (size_t i = 0; i <= HOST_MAX; i++)
        longest[i] = 'a';
    longest[HOST_MAX + 1] = '\0';
    assert_false(host_is_ours(longest, longest, "", &none));
    longest[HOST_MAX] = '\0';
    assert_true(host_is_ours(longest, longest, "", &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_localhost_and_our_names_are_ours),
        cmocka_unit_test(everything_else_is_not),
        cmocka_unit_test(an_empty_name_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
