#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"

/* The definition: https://www.rfc-editor.org/rfc/rfc3629#section-3. */
static size_t encode(uint32_t code, char *out)
{
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(marks[size] | code);
    return size;
}

static void every_character_has_its_size_and_no_part_of_one(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x200000; code++) {
        char bytes[8] = "\x80\x80\x80\x80\x80\x80\x80";
        size_t size = encode(code, bytes);
        bool is_one = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
        if (utf8_size(slice_of(bytes, sizeof bytes)) != (is_one ? size : 0))
            fail_msg("U+%04X", code);
        for (size_t part = 0; part < size; part++)
            if (utf8_size(slice_of(bytes, part)) != 0 || (is_one && utf8_cut(bytes, part) != 0))
                fail_msg("%zu bytes of U+%04X", part, code);
        if (utf8_cut(bytes, size) != size)
            fail_msg("a whole U+%04X is cut", code);
    }
}

static void a_character_is_not_written_longer_than_need_be(void **state)
{
    (void)state;
    static const char *const longer[] = {"\xc0\x80",     "\xc1\xbf",         "\xe0\x80\x80",
                                         "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
        assert_int_equal(utf8_size(slice_str(longer[i])), 0);
    for (int c = 0x80; c < 0xC0; c++)
        assert_int_equal(utf8_size(slice_of((char[]){(char)c, '\x80'}, 2)), 0);
    for (int c = 0xF5; c < 0x100; c++)
        assert_int_equal(utf8_size(slice_of((char[]){(char)c, '\x80', '\x80', '\x80'}, 4)), 0);
}

static void a_cut_takes_the_half_character_at_the_end_alone(void **state)
{
    (void)state;
    assert_int_equal(utf8_cut("ab", 2), 2);
    assert_int_equal(utf8_cut("a\xc3", 2), 1);
    assert_int_equal(utf8_cut("\xc3\xa9\xe2\x82", 4), 2);
    assert_int_equal(utf8_cut("\xc3\xa9\xe2\x82\xac", 5), 5);
    assert_int_equal(utf8_cut("\xf0\x9f\x98", 3), 0);
    /* What is no text is left as it is. */
    assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 6), 6);
    assert_int_equal(utf8_cut("a\x80", 2), 2);
    assert_int_equal(utf8_cut("a\xff", 2), 2);
    assert_int_equal(utf8_cut("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_has_its_size_and_no_part_of_one),
        cmocka_unit_test(a_character_is_not_written_longer_than_need_be),
        cmocka_unit_test(a_cut_takes_the_half_character_at_the_end_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
