#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"

static const char *const names[] = {"ttl", "stale_ttl", "negative_ttl", "pattern", "max_loads"};

static const char *nearest(const char *name)
{
    return conf_nearest(name, names, sizeof names / sizeof *names);
}

static void slips_of_the_finger_are_understood(void **state)
{
    (void)state;
    assert_string_equal(nearest("stale_tl"), "stale_ttl");
    assert_string_equal(nearest("stael_ttl"), "stale_ttl");
    assert_string_equal(nearest("stale-ttl"), "stale_ttl");
    assert_string_equal(nearest("TTL"), "ttl");
    assert_string_equal(nearest("tll"), "ttl");
    assert_string_equal(nearest("paterns"), "pattern");
    assert_string_equal(nearest("max_load"), "max_loads");
}

static void two_letters_that_changed_places_are_one_edit(void **state)
{
    (void)state;
    const char *one[] = {"main"};
    assert_string_equal(conf_nearest("mian", one, 1), "main");
    assert_null(conf_nearest("mxxn", one, 1));
}

static void other_words_are_not_guessed_at(void **state)
{
    (void)state;
    assert_null(nearest("colour"));
    assert_null(nearest("t"));
    assert_null(nearest(""));
    assert_null(nearest("xyz"));
    assert_null(conf_nearest("ttl", NULL, 0));
}

static void the_first_of_equally_near_names_is_taken(void **state)
{
    (void)state;
    const char *both[] = {"aaab", "aaac"};
    assert_string_equal(conf_nearest("aaad", both, 2), "aaab");
}

static void overlong_names_have_no_neighbour(void **state)
{
    (void)state;
    char text[512];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    const char *all[] = {text};
    assert_null(conf_nearest(text, all, 1));
    assert_null(conf_nearest("aaaa", all, 1));
}

static void capitals_are_their_small_letters(void **state)
{
    (void)state;
    const char *one[] = {"abcdefghijklmnopqrstuvwxyz"};
    char text[27];
    for (int c = 'A'; c <= 'Z'; c++) { /* the one letter counts as none, and three as three */
        strcpy(text, one[0]);
        text[c - 'A'] = (char)c;
        int at = c == 'A' || c == 'B' || c == 'C' ? 10 : 0;
        memcpy(text + at, "333", 3);
        assert_string_equal(conf_nearest(text, one, 1), one[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_of_the_finger_are_understood),
        cmocka_unit_test(capitals_are_their_small_letters),
        cmocka_unit_test(two_letters_that_changed_places_are_one_edit),
        cmocka_unit_test(other_words_are_not_guessed_at),
        cmocka_unit_test(the_first_of_equally_near_names_is_taken),
        cmocka_unit_test(overlong_names_have_no_neighbour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
