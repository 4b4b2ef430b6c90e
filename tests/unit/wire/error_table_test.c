/* docs/protocol.md's table of error codes is the list of base/err.h. */
#include "docs_block.h"

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

static void the_documented_codes_are_the_codes(void **state)
{
    (void)state;
    struct buf table;
    buf_init(&table, 0);
    write_table(&table);
    docs_block_check("docs/protocol.md", "errors", &table);
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
