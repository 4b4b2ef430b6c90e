#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"

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

static void fills_up_to_its_maximum_and_not_a_byte_further(void **state)
{
    (void)state;
    /* Around a power of two, the first size, and small ones. */
    static const size_t limits[] = {1, 2, 16, 255, 256, 257, 300, 1000, 4096};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct buf b;
        size_t max = limits[i];
        buf_init(&b, max);
        assert_int_equal(buf_append(&b, "x", 1), 0);
        assert_non_null(buf_room(&b, max - 1));
        assert_null(buf_room(&b, max));
        assert_int_equal(buf_grow(&b, max), ERR_TOO_LARGE);
        while (b.size < max)
            assert_int_equal(buf_append(&b, "y", 1), 0);
        assert_int_equal(buf_append(&b, "z", 1), ERR_TOO_LARGE);
        assert_null(buf_room(&b, 1));
        assert_non_null(buf_room(&b, 0));
        assert_int_equal(b.size, max);
        buf_fini(&b);
        assert_int_equal(b.max, max); /* it may be used again */
        assert_int_equal(buf_append(&b, "x", 1), 0);
        buf_fini(&b);
    }
}

static void prints_up_to_its_maximum(void **state)
{
    (void)state;
    for (size_t max = 250; max < 260; max++) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(buf_printf(&b, "%*d", (int)max, 7), 0);
        assert_int_equal(b.size, max);
        assert_int_equal(b.data[max - 1], '7');
        assert_int_equal(buf_printf(&b, "%s", ""), 0);
        assert_int_equal(buf_printf(&b, "%d", 8), ERR_TOO_LARGE);
        assert_null(buf_room(&b, 1));
        assert_int_equal(b.size, max);
        buf_clear(&b);
        assert_int_equal(buf_printf(&b, "%*d", (int)max + 1, 7), ERR_TOO_LARGE);
        assert_int_equal(b.size, 0);
        buf_fini(&b);
    }
}

static void sizes_that_no_memory_has_are_refused(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_int_equal(buf_grow(&b, SIZE_MAX), ERR_NOMEM);
    assert_int_equal(buf_grow(&b, SIZE_MAX - 10), ERR_NOMEM);
    assert_int_equal(buf_grow(&b, SIZE_MAX / 2 + 100), ERR_NOMEM);
    assert_null(buf_room(&b, SIZE_MAX - 5));
    assert_true(slice_eq_str(buf_slice(&b), "0123456789"));
    buf_fini(&b);
}

static void any_operations_give_what_an_array_gives(void **state)
{
    (void)state;
    enum { MAX = 5000 };
    static char model[MAX + 64];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng r = {.state = seed};
        struct buf b;
        size_t size = 0;
        buf_init(&b, MAX);
        for (int step = 0; step < 1000; step++) {
            char bytes[64];
            size_t n = rng_below(&r, sizeof bytes);
            memset(bytes, (int)rng_below(&r, 256), n);
            int want = size + n > MAX ? ERR_TOO_LARGE : 0;
            switch (rng_below(&r, 4)) {
            case 0: assert_int_equal(buf_append(&b, bytes, n), want); break;
            case 1:
                memset(bytes, 'p', n);
                assert_int_equal(buf_printf(&b, "%.*s", (int)n, bytes), want);
                break;
            case 2:
                assert_int_equal(buf_room(&b, n) == NULL, want != 0);
                if (want == 0)
                    memcpy(b.data + b.size, bytes, n);
                b.size += want == 0 ? n : 0;
                break;
            case 3: /* seldom nearly all of it */
                n = rng_below(&r, rng_below(&r, 50) ? 80 : MAX);
                buf_consume(&b, n);
                n = n < size ? n : size;
                memmove(model, model + n, size - n);
                size -= n;
                continue;
            }
            memcpy(model + size, bytes, n);
            size += want == 0 ? n : 0;
            assert_true(slice_eq(buf_slice(&b), slice_of(model, size)));
        }
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_its_bytes),
        cmocka_unit_test(refuses_past_its_maximum_and_changes_nothing),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(fills_up_to_its_maximum_and_not_a_byte_further),
        cmocka_unit_test(prints_up_to_its_maximum),
        cmocka_unit_test(sizes_that_no_memory_has_are_refused),
        cmocka_unit_test(any_operations_give_what_an_array_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
