#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/sql_name.h"

#define LONGEST "a123456789b123456789c123456789d123456789e123456789f12345678901x"

static void beside(const char *table, const char *name, const char *wanted)
{
    struct sql_name n;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(sql_name_read(&n, table, &e), 0);
    assert_int_equal(sql_name_put_beside(&out, &n, name), 0);
    assert_true(slice_eq_str(buf_slice(&out), wanted));
    buf_fini(&out);
}

static void a_name_is_read_as_postgresql_does(void **state)
{
    (void)state;
    struct sql_name n;
    struct err e;
    assert_int_equal(sql_name_read(&n, "Shop.\"Us\"\"ers\"", &e), 0);
    assert_int_equal(n.parts, 2);
    assert_string_equal(n.text[0], "shop");
    assert_string_equal(n.text[1], "Us\"ers");
    assert_int_equal(sql_name_read(&n, "\"a.b\"", &e), 0);
    assert_int_equal(n.parts, 1);
    assert_string_equal(n.text[0], "a.b");
    assert_int_equal(sql_name_read(&n, LONGEST, &e), 0);
    beside("users", "log", "\"log\"");
    beside("Shop.users", "l\"og", "\"shop\".\"l\"\"og\"");
}

static void what_is_no_name_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "\"\" is no table's name"},
        {".a", "\".a\" is no table's name"},
        {"a.", "\"\" is no table's name"},
        {"\"a", "\"\"a\" is no table's name"},
        {"\"a\"b", "\"\"a\"b\" is no table's name"},
        {"a.b.c", "\"a.b.c\" is not NAME or SCHEMA.NAME"},
        {LONGEST "y", "a name in \"" LONGEST "y\" has more than 63 bytes"},
    };
    struct sql_name n;
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(sql_name_read(&n, bad[i].text, &e), ERR_BAD_REQUEST);
        assert_string_equal(e.text, bad[i].why);
    }
}

static void a_literal_means_what_it_says(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(sql_put_literal(&out, slice_str("it's")), 0);
    assert_int_equal(sql_put_literal(&out, slice_str("a\\'")), 0);
    assert_int_equal(sql_put_literal(&out, slice_of("", 0)), 0);
    assert_true(slice_eq_str(buf_slice(&out), "'it''s'E'a\\\\'''''"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_read_as_postgresql_does),
        cmocka_unit_test(what_is_no_name_is_refused_with_a_reason),
        cmocka_unit_test(a_literal_means_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
