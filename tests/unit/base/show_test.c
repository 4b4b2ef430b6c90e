#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/show.h"

#include <stdio.h>

static void shows(struct slice key, const char *want)
{
    char text[SHOW_KEY_TEXT];
    assert_ptr_equal(show_key(text, key), text);
    assert_string_equal(text, want);
}

static void utf8_and_ascii_stay_as_they_are(void **state)
{
    (void)state;
    shows(slice_str("user:42"), "user:42");
    shows(slice_str("a \"b\" \\ c"), "a \"b\" \\ c");
    shows(slice_str("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
          "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    shows(slice_str(""), "");
    shows(slice_of(NULL, 0), "");
}

static void control_bytes_are_escaped(void **state)
{
    (void)state;
    shows(slice_of("a\0b", 3), "a\\x00b");
    shows(slice_str("\n\r\t\x1b[1m\x7f"), "\\x0a\\x0d\\x09\\x1b[1m\\x7f");
    /* U+0080 to U+009F: terminals obey them too. */
    shows(slice_str("\xc2\x9b"
                    "1m\xc2\x80\xc2\xa0"),
          "\\xc2\\x9b"
          "1m\\xc2\\x80\xc2\xa0");
}

static void bytes_that_are_no_utf8_are_escaped(void **state)
{
    (void)state;
    shows(slice_str("\xff\xfe"), "\\xff\\xfe");
    shows(slice_str("a\x80z"), "a\\x80z");
    shows(slice_str("\xc3"), "\\xc3");
    shows(slice_str("\xe2\x82"), "\\xe2\\x82");
    shows(slice_str("\xe2\x82z"), "\\xe2\\x82z");
    shows(slice_str("\xc0\xaf"), "\\xc0\\xaf");                   /* longer than need be */
    shows(slice_str("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf");          /* likewise */
    shows(slice_str("\xed\xa0\x80"), "\\xed\\xa0\\x80");          /* half of a surrogate pair */
    shows(slice_str("\xed\x9f\xbf"), "\xed\x9f\xbf");             /* the last before them */
    shows(slice_str("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"); /* past U+10FFFF */
    shows(slice_str("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf");
}

static void a_long_key_is_cut_between_two_characters(void **state)
{
    (void)state;
    char key[SHOW_KEY_MAX + 8], want[SHOW_KEY_TEXT];
    memset(key, 'k', sizeof key);
    memset(want, 'k', sizeof want);
    want[SHOW_KEY_MAX] = '\0';
    shows(slice_of(key, SHOW_KEY_MAX), want);
    strcpy(want + SHOW_KEY_MAX, "...");
    shows(slice_of(key, SHOW_KEY_MAX + 1), want);
    for (size_t at = SHOW_KEY_MAX - 3; at < SHOW_KEY_MAX; at++) {
        memset(key, 'k', sizeof key);
        memcpy(key + at, "\xf0\x9f\x98\x80", 4);
        strcpy(want + at, "...");
        shows(slice_of(key, sizeof key), want);
        want[at] = 'k';
    }
    memset(key, 'k', sizeof key);
    memcpy(key + SHOW_KEY_MAX - 4, "\xf0\x9f\x98\x80", 4);
    strcpy(want + SHOW_KEY_MAX - 4, "\xf0\x9f\x98\x80...");
    shows(slice_of(key, sizeof key), want);
}

static void the_worst_key_fits(void **state)
{
    (void)state;
    char key[4096];
    static const char worst[] = {'\0', '\x80', '\xff', '\x9b'};
    for (size_t i = 0; i < sizeof worst; i++) {
        char text[SHOW_KEY_TEXT], first[5];
        memset(key, worst[i], sizeof key);
        show_key(text, slice_of(key, sizeof key));
        assert_int_equal(strlen(text), 4 * SHOW_KEY_MAX + 3);
        snprintf(first, sizeof first, "\\x%02x", (unsigned char)worst[i]);
        assert_memory_equal(text, first, 4);
        assert_string_equal(text + 4 * SHOW_KEY_MAX, "...");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_and_ascii_stay_as_they_are),
        cmocka_unit_test(control_bytes_are_escaped),
        cmocka_unit_test(bytes_that_are_no_utf8_are_escaped),
        cmocka_unit_test(a_long_key_is_cut_between_two_characters),
        cmocka_unit_test(the_worst_key_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
