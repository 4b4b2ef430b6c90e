#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/decimal.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t some[] = {0,         1,         -1,         9,         10,         99,
                               -100,      INT16_MAX, INT16_MIN,  INT32_MAX, INT32_MIN,  5000000000,
                               INT64_MAX, INT64_MIN, 1234567890, -17,       1000000007, 65536};
#define SOME (sizeof some / sizeof *some)

static void prints_what_printf_prints(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < SOME; i++) {
        char want[32];
        int size = snprintf(want, sizeof want, "%" PRId64, some[i]);
        buf_clear(&b);
        assert_int_equal(decimal_print(&b, some[i]), 0);
        assert_int_equal(b.size, size);
        assert_memory_equal(b.data, want, b.size);
    }
    buf_fini(&b);
}

static void parses_what_it_prints(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < SOME; i++) {
        int64_t v = 4711;
        buf_clear(&b);
        assert_int_equal(decimal_print(&b, some[i]), 0);
        assert_true(decimal_parse(buf_slice(&b), &v));
        assert_true(v == some[i]);
        v = 4711;
        assert_true(decimal_parse_printed(buf_slice(&b), &v));
        assert_true(v == some[i]);
    }
    buf_fini(&b);
    static const char *const none[] = {"",
                                       "-",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1.",
                                       "0x1",
                                       "1e3",
                                       "--1",
                                       "9223372036854775808",
                                       "1_",
                                       "1\n",
                                       "1-",
                                       "\xd9\xa1",
                                       "-9223372036854775809",
                                       "00000000000000000000000000x",
                                       "18446744073709551616",
                                       "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        int64_t v;
        assert_false(decimal_parse(slice_str(none[i]), &v));
        assert_false(decimal_parse_printed(slice_str(none[i]), &v));
    }
    static const char *const spelled[] = {
        "007", "-0", "-01", "00", "00000000000000000000000000000009", "-000009223372036854775808"};
    static const int64_t spelled_as[] = {7, 0, -1, 0, 9, INT64_MIN};
    for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++) {
        int64_t v = 4711;
        assert_true(decimal_parse(slice_str(spelled[i]), &v));
        assert_true(v == spelled_as[i]);
        assert_false(decimal_parse_printed(slice_str(spelled[i]), &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_printf_prints),
        cmocka_unit_test(parses_what_it_prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
