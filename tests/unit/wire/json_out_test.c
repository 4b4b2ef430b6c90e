#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/json_out.h"
#include "wire/reference.h"

#include <jansson.h>
#include <math.h>

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

static void assert_json(struct slice packed, enum json_out_style style, const char *want)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(json_out_value(&out, packed, style), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, want);
    buf_fini(&out);
}

static void assert_compact(struct slice packed, const char *want)
{
    assert_json(packed, JSON_OUT_COMPACT, want);
}

static void integers_are_exact(void **state)
{
    (void)state;
    assert_compact(BYTES("\x05"), "5");
    assert_compact(BYTES("\xff"), "-1");
    assert_compact(BYTES("\xcf\x00\x20\x00\x00\x00\x00\x00\x01"), "9007199254740993");
    assert_compact(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615");
    assert_compact(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), "-9223372036854775808");
}

static void assert_float(double d, const char *want)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_float(&b, d), 0);
    assert_compact(buf_slice(&b), want);
    buf_fini(&b);
}

static void floats_are_short_exact_and_never_look_like_integers(void **state)
{
    (void)state;
    assert_float(0.1, "0.1");
    assert_float(1, "1.0");
    assert_float(-0.0, "-0.0");
    assert_float(1e300, "1e+300");
    assert_float(1.0 / 3, "0.3333333333333333");
    assert_float(0.1 + 0.2, "0.30000000000000004");
    assert_float(NAN, "null");
    assert_float(INFINITY, "null");
    assert_compact(BYTES("\xca\x3f\xc0\x00\x00"), "1.5");
}

static void strings_are_escaped_where_they_could_do_harm(void **state)
{
    (void)state;
    assert_compact(BYTES("\xa0"), "\"\"");
    assert_compact(BYTES("\xa5"
                         "a\"b\\c"),
                   "\"a\\\"b\\\\c\"");
    assert_compact(BYTES("\xa5\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
    assert_compact(BYTES("\xa4\x00\x1b[m"), "\"\\u0000\\u001b[m\"");
    assert_compact(BYTES("\xa1\x7f"), "\"\\u007f\"");
    assert_compact(BYTES("\xa4\xc2\x9b"
                         "1m"),
                   "\"\\u009b1m\"");
    assert_compact(BYTES("\xa5\xc2\xa0\xc3\xa9!"), "\"\xc2\xa0\xc3\xa9!\"");
}

static void bytes_and_ext_have_a_form_of_their_own(void **state)
{
    (void)state;
    assert_compact(BYTES("\xc4\x00"), "{\"$bin\":\"\"}");
    assert_compact(BYTES("\xc4\x04\xff\x00\x01\x02"), "{\"$bin\":\"/wABAg==\"}");
    assert_compact(BYTES("\xa2\xc3\x28"), "{\"$bin\":\"wyg=\"}"); /* a str that is no UTF-8 */
    assert_compact(BYTES("\xd4\xff"
                         "a"),
                   "{\"$ext\":[-1,\"YQ==\"]}");
    assert_json(BYTES("\xd4\x05"
                      "a"),
                JSON_OUT_PRETTY, "{\"$ext\": [5, \"YQ==\"]}");
}

static void keys_that_are_no_strings_become_their_json(void **state)
{
    (void)state;
    assert_compact(BYTES("\x83\x01\xc0\xc3\x02\xa1k\xc2"), "{\"1\":null,\"true\":2,\"k\":false}");
    assert_compact(BYTES("\x81\x92\x01\xa1x\x05"), "{\"[1,\\\"x\\\"]\":5}");
    assert_compact(BYTES("\x81\xc4\x01\xff\x05"), "{\"{\\\"$bin\\\":\\\"/w==\\\"}\":5}");
}

static void pretty_is_indented_by_two(void **state)
{
    (void)state;
    struct slice packed = BYTES("\x83\xa1"
                                "a\x92\x01\x81\xa1"
                                "b\xc0\xa1"
                                "c\x90\xa1"
                                "d\x80");
    assert_json(packed, JSON_OUT_PRETTY,
                "{\n"
                "  \"a\": [\n"
                "    1,\n"
                "    {\n"
                "      \"b\": null\n"
                "    }\n"
                "  ],\n"
                "  \"c\": [],\n"
                "  \"d\": {}\n"
                "}");
    assert_compact(packed, "{\"a\":[1,{\"b\":null}],\"c\":[],\"d\":{}}");
}

static void what_is_cut_off_leaves_nothing_behind(void **state)
{
    (void)state;
    struct rng rng = {.state = 7};
    for (int round = 0; round < 200; round++) {
        struct buf b, out;
        buf_init(&b, 0);
        buf_init(&out, 0);
        random_value(&rng, &b, 4);
        for (size_t n = 0; n < b.size && n < 60; n++) {
            assert_int_equal(json_out_value(&out, slice_of(b.data, n), JSON_OUT_PRETTY),
                             ERR_PROTOCOL);
            assert_int_equal(out.size, 0);
        }
        assert_int_equal(json_out_value(&out, buf_slice(&b), JSON_OUT_COMPACT), 0);
        if (out.size > 1) {
            out.max = out.size - 1;
            buf_clear(&out);
            assert_int_equal(json_out_value(&out, buf_slice(&b), JSON_OUT_COMPACT), ERR_TOO_LARGE);
            assert_int_equal(out.size, 0);
        }
        buf_fini(&b);
        buf_fini(&out);
    }
}

static void whatever_it_prints_another_parser_reads(void **state)
{
    (void)state;
    struct rng rng = {.state = 8};
    for (int round = 0; round < 500; round++) {
        struct buf b, out;
        json_error_t error;
        buf_init(&b, 0);
        buf_init(&out, 0);
        random_value(&rng, &b, 4);
        assert_int_equal(json_out_value(&out, buf_slice(&b), round % 2), 0);
        json_t *v = json_loadb(out.data, out.size,
                               JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
        if (!v && !strstr(error.text, "NUL byte in object key"))
            fail_msg("%s in %.*s", error.text, SLICE_ARG(out));
        json_decref(v);
        buf_fini(&b);
        buf_fini(&out);
    }
}

static void nesting_ends_where_answers_end(void **state)
{
    (void)state;
    struct buf out;
    char deep[64];
    size_t limit = MP_DEPTH_MAX + MP_DEPTH_EXTRA;
    memset(deep, 0x91, sizeof deep);
    deep[limit] = 0x01;
    buf_init(&out, 0);
    assert_int_equal(json_out_value(&out, slice_of(deep, limit + 1), JSON_OUT_COMPACT), 0);
    assert_int_equal(out.size, 2 * limit + 1);
    deep[limit] = (char)0x91;
    assert_int_equal(json_out_value(&out, slice_of(deep, sizeof deep), JSON_OUT_COMPACT),
                     ERR_PROTOCOL);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(floats_are_short_exact_and_never_look_like_integers),
        cmocka_unit_test(strings_are_escaped_where_they_could_do_harm),
        cmocka_unit_test(bytes_and_ext_have_a_form_of_their_own),
        cmocka_unit_test(keys_that_are_no_strings_become_their_json),
        cmocka_unit_test(pretty_is_indented_by_two),
        cmocka_unit_test(what_is_cut_off_leaves_nothing_behind),
        cmocka_unit_test(whatever_it_prints_another_parser_reads),
        cmocka_unit_test(nesting_ends_where_answers_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
