#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tier/tier_json.h"

#include <string.h>

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

static void assert_shown(struct slice packed, const char *want)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(tier_json_put(&out, packed), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, want);
    buf_fini(&out);
}

static void what_jsonb_takes_is_shown_as_the_tool_prints_it(void **state)
{
    (void)state;
    assert_shown(BYTES("\xc0"), "null");
    assert_shown(BYTES("\x82\xa1"
                       "a\x01\xa1"
                       "b\x92\xc3\xcb\x3f\xf0\0\0\0\0\0\0"),
                 "{\"a\":1,\"b\":[true,1.0]}");
    assert_shown(BYTES("\xc4\x02\0\xff"), "{\"$bin\":\"AP8=\"}");
    assert_shown(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615");
}

static void what_it_does_not_take_is_a_mark(void **state)
{
    (void)state;
    assert_shown(BYTES("\xa3"
                       "a\0b"),
                 "{\"$unfit\":\"a string with a NUL byte\"}");
    assert_shown(BYTES("\x91\xcb\x7f\xf8\0\0\0\0\0\0"),
                 "{\"$unfit\":\"a number that is not finite\"}");
    assert_shown(BYTES("\xcb\xff\xf0\0\0\0\0\0\0"), "{\"$unfit\":\"a number that is not finite\"}");
    assert_shown(BYTES("\x81\xa2"
                       "\0k\x01"),
                 "{\"$unfit\":\"a string with a NUL byte\"}");
}

static void what_is_too_long_is_a_mark(void **state)
{
    (void)state;
    static char packed[TIER_JSON_MAX + 6] = "\xc6\x00\x10\x00\x01";
    assert_shown(slice_of(packed, sizeof packed), "{\"$unfit\":\"too long to be shown\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_jsonb_takes_is_shown_as_the_tool_prints_it),
        cmocka_unit_test(what_it_does_not_take_is_a_mark),
        cmocka_unit_test(what_is_too_long_is_a_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
