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

static void parses_what_it_prints_up_to_eighteen_digits(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < SOME; i++) {
        int64_t v = 4711;
        buf_clear(&b);
        assert_int_equal(decimal_print(&b, some[i]), 0);
        bool is_short = some[i] != INT64_MAX && some[i] != INT64_MIN;
        assert_int_equal(decimal_parse(buf_slice(&b), &v), is_short);
        assert_true(v == (is_short ? some[i] : 4711));
    }
    buf_fini(&b);
    static const char *const none[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "--1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        int64_t v;
        assert_false(decimal_parse(slice_str(none[i]), &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_printf_prints),
        cmocka_unit_test(parses_what_it_prints_up_to_eighteen_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
