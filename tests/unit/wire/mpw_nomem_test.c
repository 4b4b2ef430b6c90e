/* The bytes of a string or an ext: 4 GiB less one are as many as its header can say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/mpw.h"

#include "faulty.h"

/* What a write of that size says without memory for its first byte. */
static int write_of(int (*write)(struct buf *b, struct slice s), size_t size)
{
    struct buf b;
    buf_init(&b, 0);
    faulty_fail_allocation(1, FAULTY_ALL);
    int rc = write(&b, slice_of("", size));
    bool asked = faulty_calm();
    assert_int_equal(asked, rc == ERR_NOMEM);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
    return rc;
}

static int write_ext(struct buf *b, struct slice s)
{
    return mpw_ext(b, 5, s);
}

static void what_no_header_can_say_is_too_large_and_asks_for_no_memory(void **state)
{
    (void)state;
    int (*const writes[])(struct buf * b, struct slice s) = {mpw_str, mpw_bin, write_ext};
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        assert_int_equal(write_of(writes[i], UINT32_MAX), ERR_NOMEM);
        assert_int_equal(write_of(writes[i], (size_t)UINT32_MAX + 1), ERR_TOO_LARGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_header_can_say_is_too_large_and_asks_for_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
