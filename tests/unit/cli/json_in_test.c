#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/base64.h"
#include "cli/json_in.h"
#include "wire/json_out.h"

static void assert_packed(const char *json, const char *want, size_t size)
{
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    if (json_in_pack(&out, slice_str(json), &e) != 0)
        fail_msg("%s: %s", json, e.text);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, want, size);
    buf_fini(&out);
}
#define ASSERT_PACKED(json, literal) assert_packed(json, literal, sizeof(literal) - 1)

static void json_has_its_place_in_messagepack(void **state)
{
    (void)state;
    ASSERT_PACKED("null", "\xc0");
    ASSERT_PACKED("true", "\xc3");
    ASSERT_PACKED(" 5 ", "\x05");
    ASSERT_PACKED("9007199254740993", "\xcf\x00\x20\x00\x00\x00\x00\x00\x01");
    ASSERT_PACKED("-9223372036854775808", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    ASSERT_PACKED("[18446744073709551615, \"x\"]", "\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1x");
    ASSERT_PACKED("1.0", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00");
    ASSERT_PACKED("\"a\\u0000b\"", "\xa3"
                                   "a\x00"
                                   "b");
    ASSERT_PACKED("{\"z\": [1, {}], \"a\": []}", "\x82\xa1z\x92\x01\x80\xa1"
                                                 "a\x90");
    ASSERT_PACKED("{\"$bin\": \"/wABAg==\"}", "\xc4\x04\xff\x00\x01\x02");
    ASSERT_PACKED("{\"$ext\": [-1, \"YQ==\"]}", "\xd4\xff"
                                                "a");
    ASSERT_PACKED("{\"$ext\": [127, \"YQ==\"]}", "\xd4\x7f"
                                                 "a");
    ASSERT_PACKED("{\"$ext\": [-128, \"YQ==\"]}", "\xd4\x80"
                                                  "a");
    ASSERT_PACKED("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
                  "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90");
    ASSERT_PACKED("[[[[[[[[[[[[[[{\"a\":{}}]]]]]]]]]]]]]]",
                  "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x81\xa1"
                  "a\x80");
    ASSERT_PACKED("{\"$bin\": 1, \"b\": 2}", "\x82\xa4$bin\x01\xa1"
                                             "b\x02");
}

static void what_cannot_be_stored_is_said(void **state)
{
    (void)state;
    const struct {
        const char *json, *words;
    } cases[] = {
        {"", "line 1"},
        {"{", "line 1, column 1"},
        {"[1,\n 2,]", "line 2"},
        {"hello", "line 1"},
        {"1 2", "end of file expected"},
        {"[1,\n 18446744073709551617]",
         "line 2, column 21: the number 18446744073709551617 has no"},
        {"-9223372036854775809", "the number -9223372036854775809 has no exact form"},
        {"1e400", "the number 1e400 has no exact form"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"\"\\ud800\"", "line 1"},
        {"{\"$bin\": \"a\"}", "\"$bin\" takes base64"},
        {"{\"$bin\": 5}", "\"$bin\" takes base64"},
        {"{\"$ext\": [1]}", "\"$ext\" takes"},
        {"{\"$ext\": [128, \"\"]}", "\"$ext\" takes"},
        {"{\"$ext\": [-129, \"\"]}", "\"$ext\" takes"},
        {"{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "deeper than 16"},
        {"[[[[[[[[[[[[[[[{\"a\":{}}]]]]]]]]]]]]]]]", "deeper than 16"},
        {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "deeper than 16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        assert_int_equal(json_in_pack(&out, slice_str(cases[i].json), &e), ERR_BAD_VALUE);
        if (!strstr(e.text, cases[i].words))
            fail_msg("%s: expected \"%s\" in \"%s\"", cases[i].json, cases[i].words, e.text);
        assert_int_equal(out.size, 0);
        buf_fini(&out);
    }
}

static void what_json_out_wrote_is_read_back(void **state)
{
    (void)state;
    const char *texts[] = {
        "null", "[true,false,-1,1.5,0.1,\"\xc3\xa9\\n\"]",
        "{\"a\":{\"$bin\":\"AAEC\"},\"b\":{\"$ext\":[7,\"AAECAw==\"]},\"c\":[[],{}]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf packed, again;
        buf_init(&packed, 0);
        buf_init(&again, 0);
        assert_int_equal(json_in_pack(&packed, slice_str(texts[i]), NULL), 0);
        assert_int_equal(json_out_value(&again, buf_slice(&packed), JSON_OUT_COMPACT), 0);
        assert_true(slice_eq_str(buf_slice(&again), texts[i]));
        buf_fini(&packed);
        buf_fini(&again);
    }
}

static void a_value_past_the_bound_is_too_large(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 8);
    assert_int_equal(json_in_pack(&out, slice_str("[\"0123456789\"]"), &e), ERR_TOO_LARGE);
    assert_int_equal(json_in_pack(&out, slice_str("{\"$bin\":\"MDEyMzQ1Njc4OQ==\"}"), &e),
                     ERR_TOO_LARGE);
    assert_int_equal(out.size, 0);
    buf_fini(&out);
}

static void base64_of_every_length(void **state)
{
    (void)state;
    static const char *const want[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t n = 0; n < sizeof want / sizeof *want; n++) {
        struct buf text, bytes;
        buf_init(&text, 0);
        buf_init(&bytes, 0);
        assert_int_equal(base64_encode(&text, slice_of("foobar", n)), 0);
        assert_true(slice_eq_str(buf_slice(&text), want[n]));
        assert_int_equal(base64_decode(&bytes, buf_slice(&text)), 0);
        assert_true(slice_eq(buf_slice(&bytes), slice_of("foobar", n)));
        buf_fini(&text);
        buf_fini(&bytes);
    }
    static const char *const bad[] = {
        "Z", "Zg=", "Zg", "Z===", "Zm9v====", "Zm9v Zm9", "=Zm9", "Zm=v", "Zm9\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf bytes;
        buf_init(&bytes, 0);
        assert_int_equal(base64_decode(&bytes, slice_str(bad[i])), ERR_BAD_VALUE);
        assert_int_equal(bytes.size, 0);
        buf_fini(&bytes);
    }
}

static void every_digit_of_base64_has_its_value(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int c = ' '; c < 0x7f; c++) {
        struct buf out;
        struct err e;
        const char *at = strchr(digits, c);
        if (c == '"' || c == '\\' || c == '=')
            continue; /* ends the text, or fills its end */
        for (int place = 0; place < 4; place++) {
            char text[] = "{\"$bin\":\"AAAA\"}";
            text[9 + place] = (char)c;
            buf_init(&out, 0);
            int rc = json_in_pack(&out, slice_str(text), &e);
            if (rc != (at ? 0 : ERR_BAD_VALUE))
                fail_msg("%s: %d", text, rc);
            if (at) {
                uint32_t bits = (uint32_t)(at - digits) << (6 * (3 - place));
                const char want[] = {(char)0xc4, 3, (char)(bits >> 16), (char)(bits >> 8),
                                     (char)bits};
                assert_int_equal(out.size, sizeof want);
                assert_memory_equal(out.data, want, sizeof want);
            }
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_digit_of_base64_has_its_value),
        cmocka_unit_test(json_has_its_place_in_messagepack),
        cmocka_unit_test(what_cannot_be_stored_is_said),
        cmocka_unit_test(what_json_out_wrote_is_read_back),
        cmocka_unit_test(a_value_past_the_bound_is_too_large),
        cmocka_unit_test(base64_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
