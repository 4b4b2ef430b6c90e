#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

static void grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_int_equal(b.size, 10000);
    assert_memory_equal(b.data + 9990, "0123456789", 10);
    buf_fini(&b);
}

static void refuses_past_its_maximum_and_changes_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 16);
    assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_int_equal(buf_append(&b, "0123456789", 10), ERR_TOO_LARGE);
    assert_int_equal(b.size, 10);
    buf_fini(&b);
}

static void consumes_from_the_front(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(buf_printf(&b, "%s-%d", "abc", 42), 0);
    buf_consume(&b, 4);
    assert_true(slice_eq_str(buf_slice(&b), "42"));
    buf_consume(&b, 100);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_its_bytes),
        cmocka_unit_test(refuses_past_its_maximum_and_changes_nothing),
        cmocka_unit_test(consumes_from_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
