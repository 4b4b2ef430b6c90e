#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Until the next one. */
static struct glob *compiled(const char *pattern)
{
    static char room[GLOB_MAX];
    static struct glob g;
    assert_int_equal(glob_check(slice_str(pattern), NULL), 0);
    glob_compile(&g, slice_str(pattern), room);
    return &g;
}

static bool matches(const char *pattern, const char *key)
{
    return glob_matches(compiled(pattern), slice_str(key), NULL);
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
    struct glob_match m;
    assert_true(glob_matches(compiled("a*:b*"), slice_str("a1:b2:b3"), &m));
    assert_int_equal(m.captures, 2);
    assert_true(slice_eq_str(m.capture[0], "1"));
    assert_true(slice_eq_str(m.capture[1], "2:b3"));
}

static void race_37_an_int_is_written_as_it_is_printed(void **state)
{
    (void)state;
    static const char *const right[] = {
        "0", "7", "-7", "10", "9223372036854775807", "-9223372036854775808", "1000000000000000000"};
    static const char *const wrong[] = {"",
                                        "-",
                                        "-0",
                                        "00",
                                        "07",
                                        "-07",
                                        "+7",
                                        " 7",
                                        "7 ",
                                        "7\n",
                                        "7.0",
                                        "7e1",
                                        "0x7",
                                        "--7",
                                        "7-",
                                        "a",
                                        "\xd9\xa7",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "10000000000000000000",
                                        "99999999999999999999999999999"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct slice s = slice_str(right[i]);
        assert_true(matches("{id:int}", right[i]));
        assert_int_equal(glob_fixed_size(GLOB_INT, s), s.size);
        assert_true(glob_int(s) == strtoll(right[i], NULL, 10));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (matches("{id:int}", wrong[i]))
            fail_msg("\"%s\" is taken", wrong[i]);
}

static void race_37_a_uuid_has_lower_case_digits_and_hyphens(void **state)
{
    (void)state;
#define UUID "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert_true(matches("a{id:uuid}b", "a" UUID "b"));
    assert_true(matches("{a:uuid}0{b:uuid}", UUID "0" UUID));
    assert_true(matches("*-{b:uuid}", "0-1-" UUID));
    assert_false(matches("{id:uuid}", UUID "0"));
    assert_false(matches("{id:uuid}", "0f8fad5b-d9cb-469f-a165-70867728950"));
    assert_false(matches("{id:uuid}", "0F8fad5b-d9cb-469f-a165-70867728950e"));
    assert_false(matches("{id:uuid}", "0f8fad5bd-9cb-469f-a165-70867728950e"));
    assert_false(matches("{id:uuid}", "0f8fad5bd9cb469fa16570867728950e"));
    assert_false(matches("{id:uuid}", "0f8fad5b-d9cb-469f-a165-70867728950g"));
    assert_false(matches("{id:uuid}", ""));
}

static void a_text_is_characters_and_not_empty(void **state)
{
    (void)state;
    assert_true(matches("{s:text}", "\xc3\xbc\n"));
    assert_false(matches("{s:text}", ""));
    assert_false(matches("a{s:text}b", "ab"));
    assert_true(matches("a{s:text}b", "abb"));
    assert_false(matches("{s:text}", "a\xff"));
    assert_false(matches("{s:text}:*", "a:\xff"));
    const struct glob *g = compiled("{s:text}");
    assert_false(glob_matches(g, slice_of("a\0", 2), NULL));
    assert_true(glob_matches(g, slice_of("\0a", 1), NULL) == false);
}

/* ---- the definition itself ---- */

/* Written without a look at how glob.c does it: what is printed of what is read is the same. */
static bool is_int(struct slice s)
{
    char text[32], again[32];
    if (s.size == 0 || s.size >= sizeof text)
        return false;
    memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    snprintf(again, sizeof again, "%lld", strtoll(text, NULL, 10));
    return strcmp(text, again) == 0;
}

/* Tries every run for every star, the shortest first. */
static bool naive(const char *p, struct slice key, struct glob_match *m)
{
    if (*p == '\0')
        return key.size == 0;
    if (*p != '*' && *p != '{')
        return key.size > 0 && key.data[0] == *p &&
               naive(p + 1, slice_of(key.data + 1, key.size - 1), m);
    const char *rest = *p == '*' ? p + 1 : strchr(p, '}') + 1;
    char type = *p == '*' ? '*' : strchr(p, ':')[1];
    unsigned star = m->captures++;
    for (size_t run = 0; run <= key.size; run++) {
        struct slice taken = slice_of(key.data, run);
        if ((type == 'i' && !is_int(taken)) || (type == 't' && run == 0))
            continue;
        m->capture[star] = taken;
        if (naive(rest, slice_of(key.data + run, key.size - run), m))
            return true;
    }
    m->captures = star;
    return false;
}

static void compare(const char *pattern, const char *text)
{
    struct slice key = slice_str(text);
    struct glob_match got, want = {.captures = 0};
    bool expected = naive(pattern, key, &want);
    if (glob_matches(compiled(pattern), key, &got) != expected)
        fail_msg("\"%s\" %s \"%s\"", pattern, expected ? "does not match" : "matches", text);
    if (!expected)
        return;
    assert_int_equal(got.captures, want.captures);
    for (unsigned i = 0; i < got.captures; i++)
        if (!slice_eq(got.capture[i], want.capture[i]))
            fail_msg("\"%s\", \"%s\", star %u: \"%.*s\" in place of \"%.*s\"", pattern, text, i + 1,
                     SLICE_ARG(got.capture[i]), SLICE_ARG(want.capture[i]));
}

static const char *const tokens[] = {"a", "-", "1", "*", "{x:int}", "{y:int}", "{z:text}"};
#define TOKENS (sizeof tokens / sizeof *tokens)

/* The pattern of number n; false: it is none. */
static bool spell(char *pattern, size_t length, size_t n)
{
    pattern[0] = '\0';
    for (size_t i = 0; i < length; i++, n /= TOKENS)
        strcat(pattern, tokens[n % TOKENS]);
    return glob_check(slice_str(pattern), NULL) == 0;
}

static void key_of(char *key, size_t length, size_t n)
{
    for (size_t i = 0; i < length; i++, n /= 4)
        key[i] = "a-10"[n % 4];
    key[length] = '\0';
}

static void every_short_pattern_agrees_with_the_definition(void **state)
{
    (void)state;
    char pattern[64], key[8];
    for (size_t length = 1, all = TOKENS; length <= 4; length++, all *= TOKENS)
        for (size_t n = 0; n < all; n++) {
            if (!spell(pattern, length, n))
                continue;
            for (size_t size = 0, keys = 1; size <= 4; size++, keys *= 4)
                for (size_t k = 0; k < keys; k++) {
                    key_of(key, size, k);
                    compare(pattern, key);
                }
        }
}

static void long_patterns_agree_with_the_definition(void **state)
{
    (void)state;
    char pattern[128], key[16];
    struct rng rng = {.state = 66};
    for (int round = 0; round < 200000; round++) {
        size_t length = 5 + rng_below(&rng, 5), size = 3 + rng_below(&rng, 10);
        size_t n = rng_below(&rng, 40353607); /* TOKENS to the 9th */
        if (!spell(pattern, length, n))
            continue;
        key_of(key, size, rng_below(&rng, (uint64_t)1 << (2 * size)));
        compare(pattern, key);
    }
}

static void what_fits_but_for_types_is_a_misfit(void **state)
{
    (void)state;
    struct glob *g = compiled("user:{id:int}");
    assert_true(g->typed);
    assert_true(glob_fits_rest(g, slice_str("user:08")));
    assert_true(glob_fits_rest(g, slice_str("user:")));
    g->misfits = true;
    assert_true(glob_matches(g, slice_str("user:08"), NULL));
    assert_true(glob_matches(g, slice_str("user:"), NULL));
    assert_false(glob_matches(g, slice_str("user:8"), NULL));
    assert_false(glob_matches(g, slice_str("team:08"), NULL));
    assert_false(glob_matches(g, slice_str("use"), NULL));
}

static void a_hostile_key_costs_no_more_than_its_length(void **state)
{
    (void)state;
    enum { SIZE = 65535 };
    static char key[SIZE];
    const struct glob *g = compiled("*1{a:int}a*1{b:int}a*1{c:int}a*1{d:int}b");
    memset(key, '1', sizeof key);
    for (size_t i = 20; i < SIZE; i += 20)
        key[i] = 'a';
    for (int round = 0; round < 100; round++)
        assert_false(glob_matches(g, slice_of(key, sizeof key), NULL));
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
        cmocka_unit_test(race_37_an_int_is_written_as_it_is_printed),
        cmocka_unit_test(race_37_a_uuid_has_lower_case_digits_and_hyphens),
        cmocka_unit_test(a_text_is_characters_and_not_empty),
        cmocka_unit_test(every_short_pattern_agrees_with_the_definition),
        cmocka_unit_test(long_patterns_agree_with_the_definition),
        cmocka_unit_test(what_fits_but_for_types_is_a_misfit),
        cmocka_unit_test(a_hostile_key_costs_no_more_than_its_length),
        cmocka_unit_test(wrong_patterns_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
