#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob.h"

#include <string.h>

static bool matches(const char *pattern, const char *key)
{
    char room[GLOB_MAX];
    struct glob g;
    assert_int_equal(glob_check(slice_str(pattern), NULL), 0);
    glob_compile(&g, slice_str(pattern), room);
    return glob_matches(&g, slice_str(key), NULL);
}

static void stars_match_any_run_of_bytes(void **state)
{
    (void)state;
    assert_true(matches("user:*", "user:42"));
    assert_true(matches("user:*", "user:"));
    assert_false(matches("user:*", "user"));
    assert_true(matches("*", "anything"));
    assert_true(matches("*", ""));
    assert_true(matches("a*b*c", "a-b-b-c"));
    assert_false(matches("a*b*c", "a-c-b"));
    assert_false(matches("ab*ba", "aba"));
}

static void without_a_star_it_is_the_key_itself(void **state)
{
    (void)state;
    assert_true(matches("user:42", "user:42"));
    assert_false(matches("user:42", "user:421"));
    assert_false(matches("user:42", "user:4"));
}

static void an_escaped_star_is_a_star(void **state)
{
    (void)state;
    assert_true(matches("a\\*b*", "a*bc"));
    assert_false(matches("a\\*b*", "axbc"));
    assert_true(matches("\\\\", "\\"));
}

static void captures_are_what_the_stars_matched(void **state)
{
    (void)state;
    char room[GLOB_MAX];
    struct glob g;
    struct glob_match m;
    glob_compile(&g, slice_str("a*:b*"), room);
    assert_true(glob_matches(&g, slice_str("a1:b2:b3"), &m));
    assert_int_equal(m.captures, 2);
    assert_true(slice_eq_str(m.capture[0], "1"));
    assert_true(slice_eq_str(m.capture[1], "2:b3"));
}

static void wrong_patterns_are_refused(void **state)
{
    (void)state;
    char longest[GLOB_MAX + 2];
    struct err e;
    memset(longest, 'a', sizeof longest);
    assert_int_equal(glob_check(slice_of(longest, GLOB_MAX), &e), 0);
    assert_int_equal(glob_check(slice_of(longest, GLOB_MAX + 1), &e), ERR_CONFIG);
    assert_int_equal(glob_check(slice_str(""), &e), ERR_CONFIG);
    assert_int_equal(glob_check(slice_str("a\\"), &e), ERR_CONFIG);
    assert_int_equal(glob_check(slice_str("a\\b"), &e), ERR_CONFIG);
    assert_int_equal(glob_check(slice_str("*********"), &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "9 stars"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stars_match_any_run_of_bytes),
        cmocka_unit_test(without_a_star_it_is_the_key_itself),
        cmocka_unit_test(an_escaped_star_is_a_star),
        cmocka_unit_test(captures_are_what_the_stars_matched),
        cmocka_unit_test(wrong_patterns_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
