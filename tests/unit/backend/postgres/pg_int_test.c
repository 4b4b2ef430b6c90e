#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_int.h"
#include "backend/postgres/pg_value.h"
#include "wire/mpw.h"

static void arrays_have_the_form_of_array_recv(void **state)
{
    (void)state;
    struct buf in, out;
    buf_init(&in, 0);
    buf_init(&out, 0);
    assert_int_equal(mpw_int(&in, -2), 0);
    assert_int_equal(mpw_cstr(&in, "300"), 0);
    struct mp_reader r = mp_reader_of(buf_slice(&in));
    assert_int_equal(pg_int_array(&out, &r, 2, PG_INT4), 1);
    static const char want[] = "\0\0\0\1"
                               "\0\0\0\0"
                               "\0\0\0\27"
                               "\0\0\0\2"
                               "\0\0\0\1"
                               "\0\0\0\4\xff\xff\xff\xfe"
                               "\0\0\0\4\0\0\1\x2c";
    assert_int_equal(out.size, sizeof want - 1);
    assert_memory_equal(out.data, want, out.size);
    assert_ptr_equal(r.at, r.end);
    buf_fini(&in);
    buf_fini(&out);
}

static void what_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    struct buf in, out;
    buf_init(&in, 0);
    buf_init(&out, 0);
    assert_int_equal(mpw_int(&in, 1), 0);
    assert_int_equal(mpw_int(&in, 40000), 0);
    assert_int_equal(buf_append(&out, "x", 1), 0);
    struct mp_reader r = mp_reader_of(buf_slice(&in));
    const char *at = r.at;
    assert_int_equal(pg_int_array(&out, &r, 2, PG_INT2), 0); /* 40000 is none */
    assert_int_equal(pg_int_array(&out, &r, 3, PG_INT8), 0); /* there are two */
    assert_int_equal(pg_int_array(&out, &r, UINT32_MAX, PG_INT8), 0);
    assert_int_equal(pg_int_array(&out, &r, 0, PG_INT8), 0);
    assert_int_equal(pg_int_array(&out, &r, 2, PG_TEXT), 0);
    assert_ptr_equal(r.at, at);
    assert_int_equal(out.size, 1);
    buf_fini(&in);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_have_the_form_of_array_recv),
        cmocka_unit_test(what_does_not_fit_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
