/* docs/protocol.md's table of error codes is the list of base/err.h; RTCACHE_WRITE_DOCS=1 in the
 * environment writes it anew instead of comparing. Runs in the repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"

#define PAGE   "docs/protocol.md"
#define BEFORE "<!-- errors:begin -->\n"
#define AFTER  "<!-- errors:end -->"

static const struct {
    int code;
    const char *wire, *text;
    bool retryable;
} codes[] = {
#define ROW(name, number, wire, retryable, text) {number, wire, text, retryable},
    ERR_CODES(ROW)
#undef ROW
};

static void write_table(struct buf *out)
{
    assert_int_equal(buf_printf(out, "| code | retry? | meaning |\n| --- | --- | --- |\n"), 0);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        assert_int_equal(buf_printf(out, "| `%s` | %s | %s |\n", codes[i].wire,
                                    codes[i].retryable ? "yes" : "no", codes[i].text),
                         0);
}

static void read_page(struct buf *page)
{
    FILE *f = fopen(PAGE, "rb");
    assert_non_null(f);
    for (;;) {
        char *room = buf_room(page, 4096);
        assert_non_null(room);
        size_t n = fread(room, 1, 4096, f);
        if (n == 0)
            break;
        page->size += n;
    }
    fclose(f);
    assert_int_equal(buf_append(page, "", 1), 0); /* for strstr */
    page->size--;
}

static void rewrite_page(const struct buf *page, size_t begin, size_t end, const struct buf *table)
{
    FILE *f = fopen(PAGE, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(page->data, 1, begin, f), begin);
    assert_int_equal(fwrite(table->data, 1, table->size, f), table->size);
    assert_int_equal(fwrite(page->data + end, 1, page->size - end, f), page->size - end);
    assert_int_equal(fclose(f), 0);
}

static void the_documented_codes_are_the_codes(void **state)
{
    (void)state;
    struct buf page, table;
    buf_init(&page, 0);
    buf_init(&table, 0);
    read_page(&page);
    write_table(&table);
    const char *begin = strstr(page.data, BEFORE);
    const char *end = strstr(page.data, AFTER);
    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(BEFORE);
    assert_true(begin <= end);
    if (getenv("RTCACHE_WRITE_DOCS"))
        rewrite_page(&page, (size_t)(begin - page.data), (size_t)(end - page.data), &table);
    else if (!slice_eq(slice_of(begin, (size_t)(end - begin)), buf_slice(&table)))
        fail_msg(PAGE " lists other error codes than base/err.h: run this test once with "
                      "RTCACHE_WRITE_DOCS=1");
    buf_fini(&page);
    buf_fini(&table);
}

static void the_list_is_closed_and_without_gaps(void **state)
{
    (void)state;
    assert_int_equal(sizeof codes / sizeof *codes, ERR_COUNT - 1);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_int_equal(codes[i].code, -(int)i - 1);
        assert_string_equal(err_name(codes[i].code), codes[i].wire);
        assert_int_equal(err_retryable(codes[i].code), codes[i].retryable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_codes_are_the_codes),
        cmocka_unit_test(the_list_is_closed_and_without_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
