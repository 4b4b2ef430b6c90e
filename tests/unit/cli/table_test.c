/* Answers as tables: whole, or nothing is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/table.h"
#include "wire/mpw.h"

typedef int table_write(struct buf *out, struct slice packed);

/* {"a": 1, "deep": {"b": 2.5, "c": {"d": null}}, "long": "text"} */
static int pack_stats(struct buf *b)
{
    return mpw_map(b, 3) | mpw_cstr(b, "a") | mpw_int(b, 1) | mpw_cstr(b, "deep") | mpw_map(b, 2) |
           mpw_cstr(b, "b") | mpw_float(b, 2.5) | mpw_cstr(b, "c") | mpw_map(b, 1) |
           mpw_cstr(b, "d") | mpw_nil(b) | mpw_cstr(b, "long") | mpw_cstr(b, "text");
}

static int pack_loaders(struct buf *b)
{
    return mpw_array(b, 2) | mpw_map(b, 2) | mpw_cstr(b, "pattern") | mpw_cstr(b, "user:*") |
           mpw_cstr(b, "loads") | mpw_int(b, 12345678) | mpw_map(b, 2) | mpw_cstr(b, "pattern") |
           mpw_cstr(b, "a:*") | mpw_cstr(b, "backend") | mpw_nil(b);
}

static void check(int (*pack)(struct buf *b), table_write *write, const char *want)
{
    struct buf packed, out;
    buf_init(&packed, 0);
    buf_init(&out, 0);
    assert_int_equal(pack(&packed), 0);
    assert_int_equal(write(&out, buf_slice(&packed)), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, want);
    for (size_t size = 0; size < packed.size; size++) { /* the answer ends too soon */
        buf_clear(&out);
        int rc = write(&out, slice_of(packed.data, size));
        if (rc != ERR_PROTOCOL || out.size != 0)
            fail_msg("%zu bytes: %d, and %zu were written", size, rc, out.size);
    }
    buf_fini(&out);
    buf_fini(&packed);
}

static void numbers_have_the_names_of_the_maps_around_them(void **state)
{
    (void)state;
    check(pack_stats, table_stats,
          "a         1\n"
          "deep.b    2.5\n"
          "deep.c.d  -\n"
          "long      text\n");
}

static void loaders_have_a_line_each(void **state)
{
    (void)state;
    check(pack_loaders, table_loaders,
          "pattern  backend     loads\n"
          "user:*   -        12345678\n"
          "a:*      -               -\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_the_names_of_the_maps_around_them),
        cmocka_unit_test(loaders_have_a_line_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
