#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "load/route.h"

#include <stdio.h>
#include <stdlib.h>

static struct routes *routes_of(const char *const *patterns, size_t count)
{
    struct routes *r;
    struct err e;
    err_clear(&e);
    int rc = routes_new(&r, patterns, count, &e);
    if (rc != 0)
        fail_msg("routes_new: %s", e.text);
    return r;
}

static int match(const struct routes *r, const char *key, struct glob_match *m)
{
    return routes_match(r, slice_str(key), m);
}

/* The definition itself: tries every run for every star, the shortest first. */
static bool naive_match(const char *pattern, struct slice key, struct glob_match *m, unsigned star)
{
    if (*pattern == '\0') {
        m->captures = star;
        return key.size == 0;
    }
    if (*pattern == '*') {
        for (size_t run = 0; run <= key.size; run++) {
            m->capture[star] = slice_of(key.data, run);
            struct slice rest = slice_of(key.data + run, key.size - run);
            if (naive_match(pattern + 1, rest, m, star + 1))
                return true;
        }
        return false;
    }
    if (*pattern == '\\')
        pattern++;
    if (key.size == 0 || key.data[0] != *pattern)
        return false;
    return naive_match(pattern + 1, slice_of(key.data + 1, key.size - 1), m, star);
}

static void naive_weight(const char *pattern, size_t *prefix, size_t *literal)
{
    bool in_prefix = true;
    *prefix = *literal = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            in_prefix = false;
            continue;
        }
        if (*pattern == '\\')
            pattern++;
        *literal += 1;
        *prefix += in_prefix;
    }
}

static int naive_route(const char *const *patterns, size_t count, struct slice key,
                       struct glob_match *m)
{
    int best = -1;
    size_t best_prefix = 0, best_literal = 0;
    for (size_t i = 0; i < count; i++) {
        struct glob_match found;
        size_t prefix, literal;
        if (!naive_match(patterns[i], key, &found, 0))
            continue;
        naive_weight(patterns[i], &prefix, &literal);
        if (best >= 0 &&
            (prefix < best_prefix || (prefix == best_prefix && literal <= best_literal)))
            continue;
        best = (int)i;
        best_prefix = prefix;
        best_literal = literal;
        *m = found;
    }
    return best;
}

/* The text of number n in the base of the alphabet, of the given length. */
static void spell(char *out, const char *alphabet, size_t length, size_t n)
{
    size_t letters = strlen(alphabet);
    for (size_t i = 0; i < length; i++, n /= letters)
        out[i] = alphabet[n % letters];
    out[length] = '\0';
}

static size_t power(size_t base, size_t exponent)
{
    size_t product = 1;
    while (exponent-- > 0)
        product *= base;
    return product;
}

static void assert_captures(const char *key, const char *pattern, const struct glob_match *got,
                            const struct glob_match *want)
{
    if (got->captures != want->captures)
        fail_msg("key \"%s\", \"%s\": %u captures", key, pattern, got->captures);
    for (unsigned i = 0; i < want->captures; i++)
        if (!slice_eq(got->capture[i], want->capture[i]))
            fail_msg("key \"%s\", pattern \"%s\", capture %u: got \"%.*s\", want \"%.*s\"", key,
                     pattern, i + 1, SLICE_ARG(got->capture[i]), SLICE_ARG(want->capture[i]));
}

static void assert_same(const struct routes *r, const char *const *patterns, size_t count,
                        const char *key)
{
    struct glob_match got, want;
    int want_index = naive_route(patterns, count, slice_str(key), &want);
    int got_index = match(r, key, &got);
    if (got_index != want_index)
        fail_msg("key \"%s\": got %s, want %s", key, got_index < 0 ? "none" : patterns[got_index],
                 want_index < 0 ? "none" : patterns[want_index]);
    if (want_index < 0)
        return;
    assert_captures(key, patterns[want_index], &got, &want);
    memset(&got, 0, sizeof got);
    routes_capture(r, want_index, slice_str(key), &got);
    assert_captures(key, patterns[want_index], &got, &want);
}

static void a_star_takes_the_rest_of_the_key(void **state)
{
    (void)state;
    const char *patterns[] = {"user:*", "team:*:member:*"};
    struct routes *r = routes_of(patterns, 2);
    struct glob_match m;
    assert_int_equal(match(r, "user:42", &m), 0);
    assert_int_equal(m.captures, 1);
    assert_true(slice_eq_str(m.capture[0], "42"));
    assert_int_equal(match(r, "user:", &m), 0);
    assert_int_equal(m.capture[0].size, 0);
    assert_int_equal(match(r, "team:7:member:a:member:b", &m), 1);
    assert_true(slice_eq_str(m.capture[0], "7"));
    assert_true(slice_eq_str(m.capture[1], "a:member:b"));
    assert_int_equal(match(r, "user", &m), -1);
    assert_int_equal(match(r, "team:7:member", NULL), -1);
    assert_int_equal(match(r, "team:7:member:", NULL), 1);
    routes_free(r);
}

static void the_longest_literal_prefix_wins(void **state)
{
    (void)state;
    const char *patterns[] = {"*", "user:*", "user:admin:*", "u*", "user:admin:root"};
    struct routes *r = routes_of(patterns, 5);
    assert_int_equal(match(r, "user:admin:root", NULL), 4);
    assert_int_equal(match(r, "user:admin:rooted", NULL), 2);
    assert_int_equal(match(r, "user:42", NULL), 1);
    assert_int_equal(match(r, "use", NULL), 3);
    assert_int_equal(match(r, "x", NULL), 0);
    assert_int_equal(match(r, "", NULL), 0);
    routes_free(r);
}

static void among_equal_prefixes_the_most_literal_bytes_win(void **state)
{
    (void)state;
    const char *patterns[] = {"a:*", "a:*:name", "a:*:n*"};
    struct routes *r = routes_of(patterns, 3);
    assert_int_equal(match(r, "a:1:name", NULL), 1);
    assert_int_equal(match(r, "a:1:nam", NULL), 2);
    assert_int_equal(match(r, "a:1", NULL), 0);
    routes_free(r);
}

static void among_equally_specific_the_first_given_wins(void **state)
{
    (void)state;
    const char *patterns[] = {"a*x*", "a*", "a", "a*y*", "a**"};
    struct routes *r = routes_of(patterns, 5);
    assert_int_equal(match(r, "a-x-y", NULL), 0);
    assert_int_equal(match(r, "a-y", NULL), 3);
    assert_int_equal(match(r, "a", NULL), 1);
    routes_free(r);
}

static void escapes_make_stars_and_backslashes_literal(void **state)
{
    (void)state;
    const char *patterns[] = {"a\\*b", "a\\\\*", "a*"};
    struct routes *r = routes_of(patterns, 3);
    struct glob_match m;
    assert_int_equal(match(r, "a*b", &m), 0);
    assert_int_equal(m.captures, 0);
    assert_int_equal(match(r, "axb", &m), 2);
    assert_int_equal(match(r, "a\\tail", &m), 1);
    assert_true(slice_eq_str(m.capture[0], "tail"));
    routes_free(r);
}

static void keys_are_bytes_not_text(void **state)
{
    (void)state;
    const char *patterns[] = {"k*z", "\xff*"};
    struct routes *r = routes_of(patterns, 2);
    struct glob_match m;
    assert_int_equal(routes_match(r, slice_of("k\0\xfe\0z", 5), &m), 0);
    assert_int_equal(m.capture[0].size, 3);
    assert_int_equal(routes_match(r, slice_of("\xff\0", 2), &m), 1);
    assert_int_equal(routes_match(r, slice_of("\0", 1), &m), -1);
    assert_int_equal(routes_match(r, slice_of(NULL, 0), &m), -1);
    routes_free(r);
}

static void every_short_pattern_agrees_with_the_definition(void **state)
{
    (void)state;
    char pattern[8], key[8];
    for (size_t length = 1; length <= 5; length++)
        for (size_t n = 0; n < power(3, length); n++) {
            spell(pattern, "ab*", length, n);
            const char *patterns[] = {pattern};
            struct routes *r = routes_of(patterns, 1);
            for (size_t size = 0; size <= 7; size++)
                for (size_t k = 0; k < power(2, size); k++) {
                    spell(key, "ab", size, k);
                    assert_same(r, patterns, 1, key);
                }
            routes_free(r);
        }
}

static bool known(char (*texts)[8], size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

static void sets_of_patterns_agree_with_the_definition(void **state)
{
    (void)state;
    struct rng rng = {.state = 7};
    for (int round = 0; round < 400; round++) {
        char texts[12][8], key[8];
        const char *patterns[12];
        size_t count = 1 + rng_below(&rng, 12), made = 0;
        while (made < count) {
            size_t length = 1 + rng_below(&rng, 5);
            spell(texts[made], "ab*", length, rng_below(&rng, power(3, length)));
            if (known(texts, made, texts[made]))
                continue;
            patterns[made] = texts[made];
            made++;
        }
        struct routes *r = routes_of(patterns, count);
        for (size_t size = 0; size <= 6; size++)
            for (size_t k = 0; k < power(2, size); k++) {
                spell(key, "ab", size, k);
                assert_same(r, patterns, count, key);
            }
        routes_free(r);
    }
}

static void assert_refused(const char *pattern, const char *says)
{
    struct err e;
    err_clear(&e);
    assert_int_equal(route_check(pattern, &e), ERR_CONFIG);
    if (!strstr(e.text, says))
        fail_msg("\"%s\" lacks \"%s\"", e.text, says);
    struct routes *r = (struct routes *)&e;
    assert_int_equal(routes_new(&r, &pattern, 1, NULL), ERR_CONFIG);
    assert_null(r);
}

static void wrong_patterns_are_refused_with_the_reason(void **state)
{
    (void)state;
    char text[GLOB_MAX + 2];
    memset(text, 'a', sizeof text);
    text[GLOB_MAX] = '\0';
    assert_int_equal(route_check(text, NULL), 0);
    text[GLOB_MAX] = 'a';
    text[GLOB_MAX + 1] = '\0';
    assert_refused(text, "has 257 bytes; the most is 256");
    assert_refused("", "empty");
    assert_refused("user:\\", "lone backslash at byte 6");
    assert_refused("a\\b", "lone backslash at byte 2");
    assert_int_equal(route_check("********", NULL), 0);
    assert_refused("*********", "has 9 stars; the most is 8");
}

static void equal_patterns_are_refused(void **state)
{
    (void)state;
    const char *patterns[] = {"user:*", "team:*", "user:*"};
    struct routes *r;
    struct err e;
    assert_int_equal(routes_new(&r, patterns, 3, &e), ERR_CONFIG);
    assert_string_equal(e.text, "pattern \"user:*\" is given twice");
}

static void names_of_stars_make_no_difference(void **state)
{
    (void)state;
    const char *patterns[] = {"user:{id:int}", "user:{id:uuid}", "user:{key:int}"};
    struct routes *r;
    struct err e;
    assert_int_equal(routes_new(&r, patterns, 3, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "match the same keys"));
    assert_non_null(strstr(e.text, "user:{id:int}"));
    assert_non_null(strstr(e.text, "user:{key:int}"));
}

static void race_37_at_equal_literals_the_narrower_star_wins(void **state)
{
    (void)state;
    const char *patterns[] = {"a:*",        "a:{t:text}",  "a:{i:int}",
                              "a:{u:uuid}", "b:*:{i:int}", "b:{i:int}:*",
                              "b:*:*",      "a:{i:int}:x", "*"};
    struct routes *r = routes_of(patterns, 9);
    struct glob_match m;
    assert_int_equal(match(r, "a:7", &m), 2);
    assert_int_equal(m.captures, 1);
    assert_true(slice_eq_str(m.capture[0], "7"));
    assert_int_equal(match(r, "a:07", NULL), 1);
    assert_int_equal(match(r, "a:", NULL), 0);
    assert_int_equal(match(r, "a:0f8fad5b-d9cb-469f-a165-70867728950e", NULL), 3);
    assert_int_equal(match(r, "b:1:2", NULL), 5);
    assert_int_equal(match(r, "b:x:2", NULL), 4);
    assert_int_equal(match(r, "b:x:y", NULL), 6);
    assert_int_equal(match(r, "a:7:x", NULL), 7);
    assert_int_equal(match(r, "a:07:x", NULL), 1);
    assert_int_equal(match(r, "c", NULL), 8);
    routes_free(r);
}

static void race_37_what_fits_but_for_its_types_is_a_misfit(void **state)
{
    (void)state;
    const char *patterns[] = {"team:{id:int}", "user:{id:int}:name", "user:{id:int}", "user:root",
                              "us*:nick"};
    struct routes *r = routes_of(patterns, 5);
    assert_int_equal(match(r, "user:7", NULL), 2);
    assert_int_equal(match(r, "user:07", NULL), ROUTE_MISFIT - 2);
    assert_int_equal(match(r, "user:07:name", NULL), ROUTE_MISFIT - 1);
    assert_int_equal(match(r, "team:", NULL), ROUTE_MISFIT);
    assert_int_equal(match(r, "user:root", NULL), 3);
    assert_int_equal(match(r, "user:07:nick", NULL), 4);
    assert_int_equal(match(r, "user", NULL), ROUTE_NONE);
    assert_int_equal(match(r, "tea:7", NULL), ROUTE_NONE);
    assert_true(route_is_misfit(ROUTE_MISFIT) && route_is_misfit(ROUTE_MISFIT - 4));
    assert_false(route_is_misfit(ROUTE_NONE) || route_is_misfit(0));
    routes_free(r);
}

/* No key has both, so the first given says what is wrong with one that has neither. */
static void an_int_and_a_uuid_are_equally_narrow(void **state)
{
    (void)state;
    const char *patterns[] = {"a:{i:int}", "a:{u:uuid}", "b:{u:uuid}", "b:{i:int}"};
    struct routes *r = routes_of(patterns, 4);
    assert_int_equal(match(r, "a:x", NULL), ROUTE_MISFIT);
    assert_int_equal(match(r, "b:x", NULL), ROUTE_MISFIT - 2);
    routes_free(r);
}

static void no_patterns_match_nothing(void **state)
{
    (void)state;
    struct routes *r = routes_of(NULL, 0);
    assert_int_equal(match(r, "user:42", NULL), -1);
    routes_free(r);
    routes_free(NULL);
}

static void four_thousand_patterns_find_theirs(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    char(*texts)[32] = calloc(COUNT, sizeof *texts);
    const char **patterns = calloc(COUNT, sizeof *patterns);
    assert_non_null(texts);
    assert_non_null(patterns);
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], i % 2 ? "service:%d:*" : "service:%d:*:item", i / 2);
        patterns[i] = texts[i];
    }
    struct routes *r = routes_of(patterns, COUNT);
    char key[48];
    for (int i = 0; i < COUNT; i++) {
        struct glob_match m;
        snprintf(key, sizeof key, i % 2 ? "service:%d:x" : "service:%d:x:item", i / 2);
        assert_int_equal(match(r, key, &m), i);
        assert_true(slice_eq_str(m.capture[0], "x"));
    }
    assert_int_equal(match(r, "service:2000:x", NULL), -1);
    routes_free(r);
    free(patterns);
    free(texts);
}

static void a_hostile_key_costs_no_more_than_its_length(void **state)
{
    (void)state;
    const char *patterns[] = {"*a*a*a*a*a*a*ab*c"};
    struct routes *r = routes_of(patterns, 1);
    size_t size = 65535;
    char *key = malloc(size);
    assert_non_null(key);
    memset(key, 'a', size);
    assert_int_equal(routes_match(r, slice_of(key, size), NULL), -1);
    key[size - 1] = 'c';
    assert_int_equal(routes_match(r, slice_of(key, size), NULL), -1);
    key[size - 2] = 'b';
    assert_int_equal(routes_match(r, slice_of(key, size), NULL), 0);
    free(key);
    routes_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_takes_the_rest_of_the_key),
        cmocka_unit_test(the_longest_literal_prefix_wins),
        cmocka_unit_test(among_equal_prefixes_the_most_literal_bytes_win),
        cmocka_unit_test(among_equally_specific_the_first_given_wins),
        cmocka_unit_test(escapes_make_stars_and_backslashes_literal),
        cmocka_unit_test(keys_are_bytes_not_text),
        cmocka_unit_test(every_short_pattern_agrees_with_the_definition),
        cmocka_unit_test(sets_of_patterns_agree_with_the_definition),
        cmocka_unit_test(wrong_patterns_are_refused_with_the_reason),
        cmocka_unit_test(equal_patterns_are_refused),
        cmocka_unit_test(names_of_stars_make_no_difference),
        cmocka_unit_test(race_37_at_equal_literals_the_narrower_star_wins),
        cmocka_unit_test(race_37_what_fits_but_for_its_types_is_a_misfit),
        cmocka_unit_test(an_int_and_a_uuid_are_equally_narrow),
        cmocka_unit_test(no_patterns_match_nothing),
        cmocka_unit_test(four_thousand_patterns_find_theirs),
        cmocka_unit_test(a_hostile_key_costs_no_more_than_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
