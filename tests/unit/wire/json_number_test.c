#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "wire/json_number.h"

static void becomes(const char *text, const char *want)
{
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    bool marked = false;
    if (json_number_settle(slice_str(text), &out, &marked, &e) != 0)
        fail_msg("%s: %s", text, e.text);
    assert_int_equal(marked, strstr(want, "\"\\u0000") != NULL && !strstr(text, "\\u0000"));
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, want);
    buf_fini(&out);
}

static void refuses(const char *text, const char *shown)
{
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    bool marked;
    assert_int_equal(json_number_settle(slice_str(text), &out, &marked, &e), ERR_BAD_VALUE);
    if (!strstr(e.text, shown))
        fail_msg("%s: %s", text, e.text);
    buf_fini(&out);
}

static void what_a_reader_takes_stays_as_it_is(void **state)
{
    (void)state;
    becomes("", "");
    becomes("[9223372036854775807,-9223372036854775808,0.1,-1e-5]",
            "[9223372036854775807,-9223372036854775808,0.1,-1e-5]");
    becomes("{\"99999999999999999999\":\"1e999 \\\" 99999999999999999999\"}",
            "{\"99999999999999999999\":\"1e999 \\\" 99999999999999999999\"}");
    becomes("1-2 --3 +4 . e", "1-2 --3 +4 . e"); /* is refused by the reader */
}

static void the_rest_is_exact_or_refused(void **state)
{
    (void)state;
    becomes("[9223372036854775808]", "[\"\\u00009223372036854775808\"]");
    becomes("18446744073709551615", "\"\\u000018446744073709551615\"");
    becomes("18446744073709551616", "18446744073709551616.0");         /* 2^64, a double */
    becomes("100000000000000000000000", "100000000000000000000000.0"); /* 1e23, the digits of one */
    becomes("-10000000000000000000", "-10000000000000000000.0");
    refuses("18446744073709551617", "18446744073709551617");
    refuses("-9223372036854775809", "-9223372036854775809");
    refuses("[1e309]", "1e309");
    refuses("{\"\\u0000\":9223372036854775808}", "9223372036854775808");
}

static void only_a_string_that_was_made_stands_for_a_number(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(json_number_is(slice_of("\0"
                                        "18446744073709551615",
                                        21),
                               &v));
    assert_true(v == UINT64_MAX);
    assert_false(json_number_is(slice_str("18446744073709551615"), &v));
    assert_false(json_number_is(slice_str(""), &v));
    assert_true(json_number_is(slice_of("\0"
                                        "7",
                                        2),
                               &v));
    assert_true(v == 7);
    assert_false(json_number_is(slice_of("\0", 1), &v));
    char long_one[24];
    memset(long_one, '0', sizeof long_one);
    long_one[0] = '\0';
    long_one[22] = '1';
    assert_true(json_number_is(slice_of(long_one, 23), &v));
    assert_true(v == 1);
    assert_false(json_number_is(slice_of(long_one, 24), &v));
}

/* It is no JSON, which the reader says; here it stays, so that the reader can. */
static void what_begins_with_a_zero_stays_as_it_is(void **state)
{
    (void)state;
    for (int c = '0'; c <= '9'; c++) {
        char text[40];
        snprintf(text, sizeof text, "0%c99999999999999999999", c);
        becomes(text, text);
        snprintf(text, sizeof text, "-0%c99999999999999999999", c);
        becomes(text, text);
    }
}

/* prefix, so many zeros, suffix */
static void number_of(char *text, const char *prefix, size_t zeros, const char *suffix)
{
    size_t n = strlen(prefix);
    memcpy(text, prefix, n);
    memset(text + n, '0', zeros);
    strcpy(text + n + zeros, suffix);
}

static void the_longest_number_that_is_looked_at_is_of_319_bytes(void **state)
{
    (void)state;
    char text[400];
    number_of(text, "0.", 316, "1");
    becomes(text, text);
    number_of(text, "0.", 317, "1");
    refuses(text, "has no exact form in 64 bits: read it as a text");
    number_of(text, "1", 308, ""); /* 1e308 */
    char want[400];
    number_of(want, "1", 308, ".0");
    becomes(text, want);
    number_of(text, "-1", 308, "");
    number_of(want, "-1", 308, ".0");
    becomes(text, want);
    number_of(text, "1", 309, "");
    refuses(text, "has no exact form");
}

static void a_message_shows_forty_characters_of_a_number(void **state)
{
    (void)state;
    refuses("[1234567890123456789012345678901234567890]",
            "the number 1234567890123456789012345678901234567890 has no exact form in 64 bits: "
            "read it as a text");
    refuses("[12345678901234567890123456789012345678901]",
            "the number 1234567890123456789012345678901234567890... has no");
}

/* A mark in the text comes before or behind; a number that needs none is not held up by it. */
static void a_mark_in_the_text_refuses_only_what_needs_one(void **state)
{
    (void)state;
    refuses("[9223372036854775808,\"\\u0000\"]", "9223372036854775808");
    becomes("[18446744073709551616,\"\\u0000\",9223372036854775807]",
            "[18446744073709551616.0,\"\\u0000\",9223372036854775807]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_reader_takes_stays_as_it_is),
        cmocka_unit_test(the_rest_is_exact_or_refused),
        cmocka_unit_test(what_begins_with_a_zero_stays_as_it_is),
        cmocka_unit_test(the_longest_number_that_is_looked_at_is_of_319_bytes),
        cmocka_unit_test(a_message_shows_forty_characters_of_a_number),
        cmocka_unit_test(a_mark_in_the_text_refuses_only_what_needs_one),
        cmocka_unit_test(only_a_string_that_was_made_stands_for_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
