#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/json.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdlib.h>

/* text -> packed -> text; returns the code of the first step, and of the second where that is 0. */
static int there_and_back(const char *text, struct buf *back, struct err *e)
{
    struct buf packed;
    buf_init(&packed, 0);
    buf_init(back, 0);
    int rc = json_to_mp(slice_str(text), &packed, e);
    if (rc == 0)
        rc = json_from_mp(buf_slice(&packed), back, e);
    buf_fini(&packed);
    return rc;
}

static void keeps(const char *text)
{
    struct buf back;
    struct err e;
    err_clear(&e);
    assert_int_equal(there_and_back(text, &back, &e), 0);
    assert_int_equal(back.size, strlen(text));
    assert_memory_equal(back.data, text, back.size);
    buf_fini(&back);
}

static void becomes(const char *text, const char *want)
{
    struct buf back;
    struct err e;
    assert_int_equal(there_and_back(text, &back, &e), 0);
    assert_int_equal(back.size, strlen(want));
    assert_memory_equal(back.data, want, back.size);
    buf_fini(&back);
}

static void scalars_come_back_as_they_were(void **state)
{
    (void)state;
    keeps("null");
    keeps("true");
    keeps("false");
    keeps("0");
    keeps("-1");
    keeps("9223372036854775807");
    keeps("-9223372036854775808");
    keeps("9007199254740993");
    keeps("0.1");
    becomes("3.0", "3"); /* a number has one form, whichever way it came */
    keeps("-0.0");
    keeps("3.5");
    keeps("1e+300");
    keeps("\"\"");
    keeps("\"a\\u0000b\"");
    keeps("\"\\\"\\\\\\n\\r\\t\\u0001\"");
    keeps("\"\xc3\xa9\xf0\x9f\x98\x80\"");
    becomes("\"\\u00e9\\/\"", "\"\xc3\xa9/\"");
    becomes(" 1e2 ", "100");
}

static void containers_keep_their_order(void **state)
{
    (void)state;
    keeps("[]");
    keeps("{}");
    keeps("[1,[2,[]],{\"z\":1,\"a\":{\"b\":null}}]");
}

static void integers_of_64_bits_are_exact_and_leave_their_neighbours_so(void **state)
{
    (void)state;
    keeps("[9223372036854775808,9007199254740993,18446744073709551615]");
    keeps("{\"18446744073709551616\":18446744073709551614,\"s\":\"99999999999999999999\\\"\"}");
    keeps("[9223372036854775808,\"\\\\\",\"\",3]");
}

static void integers_that_are_a_float_are_that_float(void **state)
{
    (void)state;
    becomes("18446744073709551616", "1.8446744073709552e+19");
    becomes("[-18446744073709551616,7]", "[-1.8446744073709552e+19,7]");
    becomes("10000000000000000000000000", "1e+25"); /* as jsonb writes it */
    char text[400] = "17976931348623157";
    memset(text + 17, '0', 292);
    text[309] = '\0';
    becomes(text, "1.7976931348623157e+308");
    becomes("[1e308,-1.7e-300]", "[1e+308,-1.7e-300]");
}

static void a_string_beside_a_number_past_64_bits_stays_a_string(void **state)
{
    (void)state;
    becomes("[10000000000000000000000000,\"\\u00007\"]", "[1e+25,\"\\u00007\"]");
    becomes("{\"a\":\"\\u0000x\",\"b\":18446744073709551616}",
            "{\"a\":\"\\u0000x\",\"b\":1.8446744073709552e+19}");
}

static void numbers_without_an_exact_form_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"123456789012345678901234567890", "the number 123456789012345678901234567890 has no"},
        {"{\"a\":[1,18446744073709551617]}", "18446744073709551617"},
        {"-9223372036854775809", "-9223372036854775809"},
        {"[1e400]", "1e400"},
        {"-1.5e+309", "-1.5e+309"},
        {"[9223372036854775808,\"\\u0000\"]", "9223372036854775808"},
        {"1000000000000000000000000000000000000000000000000000000000000000001", "0000..."},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        assert_int_equal(json_to_mp(slice_str(bad[i].text), &out, &e), ERR_BACKEND);
        if (!strstr(e.text, bad[i].says))
            fail_msg("%s: %s", bad[i].text, e.text);
        assert_int_equal(out.size, 0);
        buf_fini(&out);
    }
}

static void what_is_no_json_is_refused_with_its_position(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "[1,]", "{\"a\" 1}", "1 2", "\"\xff\"", "[9223372036854775808", "nothing", "[1",
        /* Zeros in front, beside and in a number that is past the reader's. */
        "[9223372036854775808,01]", "[9223372036854775808,00018446744073709551615]",
        "[9223372036854775808,-007]", "[00100000000000000000000]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        assert_int_equal(json_to_mp(slice_str(bad[i]), &out, &e), ERR_BACKEND);
        assert_non_null(strstr(e.text, "line 1"));
        assert_int_equal(out.size, 0);
        buf_fini(&out);
    }
}

static void the_position_is_line_and_column(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(json_to_mp(slice_str("[1,\n2,\n   nothing]"), &out, &e), ERR_BACKEND);
    assert_int_equal(e.code, ERR_BACKEND);
    assert_non_null(strstr(e.text, "no JSON at line 3, column 10: "));
    assert_non_null(strstr(e.text, "nothing"));
    assert_int_equal(json_to_mp(slice_str("[1,"), &out, NULL), ERR_BACKEND);
    buf_fini(&out);
}

static void nesting_ends_where_packed_values_end(void **state)
{
    (void)state;
    char text[2 * (MP_DEPTH_MAX + 1) + 1];
    for (int depth = MP_DEPTH_MAX; depth <= MP_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        int rc = json_to_mp(slice_str(text), &out, &e);
        assert_int_equal(rc, depth == MP_DEPTH_MAX ? 0 : ERR_BACKEND);
        if (rc == 0)
            assert_int_equal(mp_check(buf_slice(&out), &e), 0);
        else
            assert_string_equal(e.text, "JSON nested deeper than 16");
        buf_fini(&out);
    }
}

static void a_full_buffer_is_too_large_and_changes_nothing(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 8);
    assert_int_equal(json_to_mp(slice_str("[1,2,\"0123456789\"]"), &out, &e), ERR_TOO_LARGE);
    assert_int_equal(e.code, ERR_TOO_LARGE);
    assert_string_equal(e.text, "the JSON value takes more than 8 bytes");
    assert_int_equal(out.size, 0);
    assert_int_equal(json_to_mp(slice_str("{\"0123456\":1}"), &out, NULL), ERR_TOO_LARGE);
    assert_int_equal(out.size, 0);
    assert_int_equal(json_from_mp(slice_of("\xaa"
                                           "0123456789",
                                           11),
                                  &out, &e),
                     ERR_TOO_LARGE);
    assert_int_equal(out.size, 0);
    assert_string_equal(e.text, "the JSON value takes more than 8 bytes");
    buf_fini(&out);
}

/* Whatever the room, there is all of it or nothing: no brace, comma, key or escape alone. */
static void what_does_not_fit_leaves_what_was_there(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\n\":[1,true,null,0.5],\"b\":{},\"c\":\"x\\u0001y\"}";
    struct buf packed, whole;
    struct err e;
    buf_init(&packed, 0);
    buf_init(&whole, 0);
    assert_int_equal(json_to_mp(slice_str(text), &packed, &e), 0);
    assert_int_equal(json_from_mp(buf_slice(&packed), &whole, &e), 0);
    assert_true(slice_eq_str(buf_slice(&whole), text));
    for (size_t max = 1; max <= whole.size + 1; max++) {
        struct buf out;
        buf_init(&out, max);
        assert_int_equal(buf_append(&out, "!", 1), 0);
        int rc = json_from_mp(buf_slice(&packed), &out, &e);
        assert_int_equal(rc, max == whole.size + 1 ? 0 : ERR_TOO_LARGE);
        assert_int_equal(out.size, rc == 0 ? max : 1);
        out.max = max <= packed.size ? max : packed.size + 1;
        out.size = 1;
        rc = json_to_mp(slice_str(text), &out, &e);
        assert_int_equal(rc, out.max == packed.size + 1 ? 0 : ERR_TOO_LARGE);
        assert_int_equal(out.size, rc == 0 ? packed.size + 1 : 1);
        assert_int_equal(out.data[0], '!');
        buf_fini(&out);
    }
    buf_fini(&packed);
    buf_fini(&whole);
}

static void what_json_cannot_say_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct slice packed;
        const char *says;
    } bad[] = {
#define BAD(bytes, says) {{bytes, sizeof(bytes) - 1}, says}
        BAD("\xc4\x01x", "binary data (bin) has no form in JSON"),
        BAD("\xd4\x01x", "an ext value has no form in JSON"),
        BAD("\x81\x01\x02", "a map key that is no string has no form in JSON"),
        BAD("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "nan has no form in JSON"),
        BAD("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "an infinite number has no form in JSON"),
        BAD("\xa1\xff", "a string that is not UTF-8 has no form in JSON"),
        BAD("\x81\xa1\xff\x01", "a string that is not UTF-8 has no form in JSON"),
        BAD("\x92\x01", "the packed value is cut off or malformed"),
        BAD("\x81", "the packed value is cut off or malformed"),
        BAD("\xc1", "the packed value is cut off or malformed"),
        BAD("", "the packed value is cut off or malformed"),
        BAD("\xdd\xff\xff\xff\xff", "the packed value is cut off or malformed"), /* a bomb */
        BAD("\x01\x02", "more than one packed value"),
        BAD("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90",
            "a value nested deeper than 16"),
#undef BAD
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        assert_int_equal(buf_append(&out, "before", 6), 0);
        assert_int_equal(json_from_mp(bad[i].packed, &out, &e), ERR_BAD_VALUE);
        assert_int_equal(e.code, ERR_BAD_VALUE);
        assert_string_equal(e.text, bad[i].says);
        assert_true(slice_eq_str(buf_slice(&out), "before"));
        assert_int_equal(json_from_mp(bad[i].packed, &out, NULL), ERR_BAD_VALUE);
        buf_fini(&out);
    }
}

/* The deepest that there is, in both directions, beside what is one deeper. */
static void the_deepest_value_comes_back(void **state)
{
    (void)state;
    char text[2 * MP_DEPTH_MAX + 1];
    memset(text, '[', MP_DEPTH_MAX);
    memset(text + MP_DEPTH_MAX, ']', MP_DEPTH_MAX);
    text[sizeof text - 1] = '\0';
    keeps(text);
    keeps("[[[[[[[[[[[[[[[1,{\"a\":2}]]]]]]]]]]]]]]]");
}

static void unsigned_integers_are_written_whole(void **state)
{
    (void)state;
    struct buf packed, out;
    struct err e;
    buf_init(&packed, 0);
    buf_init(&out, 0);
    assert_int_equal(mpw_uint(&packed, UINT64_MAX), 0);
    assert_int_equal(json_from_mp(buf_slice(&packed), &out, &e), 0);
    assert_true(slice_eq_str(buf_slice(&out), "18446744073709551615"));
    buf_fini(&packed);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_come_back_as_they_were),
        cmocka_unit_test(containers_keep_their_order),
        cmocka_unit_test(integers_of_64_bits_are_exact_and_leave_their_neighbours_so),
        cmocka_unit_test(integers_that_are_a_float_are_that_float),
        cmocka_unit_test(a_string_beside_a_number_past_64_bits_stays_a_string),
        cmocka_unit_test(numbers_without_an_exact_form_are_refused_by_name),
        cmocka_unit_test(what_is_no_json_is_refused_with_its_position),
        cmocka_unit_test(the_position_is_line_and_column),
        cmocka_unit_test(nesting_ends_where_packed_values_end),
        cmocka_unit_test(a_full_buffer_is_too_large_and_changes_nothing),
        cmocka_unit_test(what_does_not_fit_leaves_what_was_there),
        cmocka_unit_test(the_deepest_value_comes_back),
        cmocka_unit_test(what_json_cannot_say_is_refused),
        cmocka_unit_test(unsigned_integers_are_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
