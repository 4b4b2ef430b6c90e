/* The commands' table, and docs/cli.md: its help is what `rtcache --help` prints.
 * RTCACHE_WRITE_DOCS=1 in the environment writes it anew. Runs in the repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cli/command.h"

#define PAGE   "docs/cli.md"
#define BEFORE "<!-- help:begin -->\n"
#define AFTER  "<!-- help:end -->"

static void read_page(struct buf *page)
{
    FILE *f = fopen(PAGE, "rb");
    assert_non_null(f);
    for (size_t n = 1; n > 0; page->size += n) {
        char *room = buf_room(page, 4096);
        assert_non_null(room);
        n = fread(room, 1, 4096, f);
    }
    fclose(f);
    assert_int_equal(buf_append(page, "", 1), 0); /* for strstr */
    page->size--;
}

static void rewrite_page(const struct buf *page, size_t begin, size_t end, const struct buf *help)
{
    FILE *f = fopen(PAGE, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(page->data, 1, begin, f), begin);
    assert_int_equal(fwrite(help->data, 1, help->size, f), help->size);
    assert_int_equal(fwrite(page->data + end, 1, page->size - end, f), page->size - end);
    assert_int_equal(fclose(f), 0);
}

static void the_documented_help_is_the_help(void **state)
{
    (void)state;
    struct buf page, help;
    buf_init(&page, 0);
    buf_init(&help, 0);
    read_page(&page);
    assert_int_equal(buf_printf(&help, "```\n$ rtcache --help\n"), 0);
    assert_int_equal(command_help_all(&help), 0);
    assert_int_equal(buf_printf(&help, "```\n"), 0);
    const char *begin = strstr(page.data, BEFORE);
    const char *end = strstr(page.data, AFTER);
    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(BEFORE);
    assert_true(begin <= end);
    if (getenv("RTCACHE_WRITE_DOCS"))
        rewrite_page(&page, (size_t)(begin - page.data), (size_t)(end - page.data), &help);
    else if (!slice_eq(slice_of(begin, (size_t)(end - begin)), buf_slice(&help)))
        fail_msg(PAGE " has another help than the tool: run this test once with "
                      "RTCACHE_WRITE_DOCS=1");
    buf_fini(&page);
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
        cmocka_unit_test(the_nearest_command_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
