#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob.h"

#include <stdio.h>
#include <string.h>

static void what_is_wrong_is_named_with_its_byte(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *says;
    } cases[] = {
        {"user:{id:flaot}", "has a star of a type that is none of int, uuid and text at byte 6"},
        {"user:{id:Int}", "has a star of a type that is none of int, uuid and text at byte 6"},
        {"user:{id: int}", "has a star of a type that is none of int, uuid and text at byte 6"},
        {"user:{id:}", "has a star of a type that is none of int, uuid and text at byte 6"},
        {"user:{id}", "has a star without a type at byte 6"},
        {"user:{}", "has a star without a type at byte 6"},
        {"user:{:int}", "has a star without a name at byte 6"},
        {"user:{iD:int}", "a name"},
        {"user:{9d:int}", "a name"},
        {"user:{i-d:int}", "a name"},
        {"user:{ id:int}", "a name"},
        {"{{a:int}}", "a star whose name is not of a-z, 0-9 and _ with no digit first, at byte 1"},
        {"user:{id:int", "has a { without a } at byte 6; a typed star is {name:type}, a { of the "
                         "key is \\{"},
        {"{", "has a { without a } at byte 1"},
        {"{a:int}{b:int}", "has a star that touches another one at byte 8"},
        {"{a:int}*", "has a star that touches another one at byte 8"},
        {"*{a:int}", "has a star that touches another one at byte 2"},
        {"{a:text}{b:text}", "has a star that touches another one at byte 9"},
        {"{a:int}:{a:int}", "has a star of the name of an earlier one at byte 9"},
        {"{a:int}0", "has a digit right behind an int star at byte 8"},
        {"\\}", "has a lone backslash at byte 1; write \\* for a star, \\{ for a { and \\\\ for a "
                "backslash"},
        {"{a:text}:\xff", "has a text star, and literals that are not UTF-8"},
        {"a:{a:int}:{b:int}:{c:int}:{d:int}:{e:int}:{f:int}:{g:int}:{h:int}:{i:int}",
         "has 9 stars; the most is 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        char says[256];
        snprintf(says, sizeof says, "%s", cases[i].says);
        if (strcmp(says, "a name") == 0)
            snprintf(says, sizeof says, "has a star whose name is not of a-z");
        if (glob_check(slice_str(cases[i].pattern), &e) != ERR_CONFIG)
            fail_msg("\"%s\" is taken", cases[i].pattern);
        if (!strstr(e.text, says))
            fail_msg("\"%s\" lacks \"%s\"", e.text, says);
    }
}

static void what_is_right_is_taken(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "**",  "{_:int}", "{a_9:uuid}0", "0{a:int}",         "{a:int}-{b:int}",
        "a}b", "\\{a}",   "{int:int}",   "{a:text}0{b:int}", "*:{a:int}:*",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct err e;
        if (glob_check(slice_str(patterns[i]), &e) != 0)
            fail_msg("%s", e.text);
    }
}

/* Whether a pattern of these words with a byte between them is taken. */
static bool takes(const char *before, int byte, const char *after)
{
    char pattern[32];
    struct err e;
    int size = snprintf(pattern, sizeof pattern, "%s?%s", before, after);
    pattern[strlen(before)] = (char)byte;
    return glob_check(slice_of(pattern, (size_t)size), &e) == 0;
}

static void each_byte_is_taken_where_it_may_stand(void **state)
{
    (void)state;
    static const char first[] = "abcdefghijklmnopqrstuvwxyz_", digits[] = "0123456789";
    for (int c = 0; c < 256; c++) {
        bool begins = c != 0 && strchr(first, c), digit = c != 0 && strchr(digits, c);
        bool special = c == '{' || c == '*' || c == '\\';
        if (takes("{", c, ":int}") != begins)
            fail_msg("byte %d as a name", c);
        if (takes("{a", c, ":int}") != (begins || digit))
            fail_msg("byte %d in a name", c);
        if (takes("{a:int}", c, "") != (!digit && !special))
            fail_msg("byte %d right behind an int star", c);
        if (takes("{a:uuid}", c, "") != !special || takes("", c, "") != (!special || c == '*'))
            fail_msg("byte %d of a key", c);
    }
}

static void stars_have_names_and_types(void **state)
{
    (void)state;
    struct glob_star stars[GLOB_STARS_MAX];
    char room[GLOB_MAX];
    struct glob g;
    struct slice pattern = slice_str("\\{a:*:{id:int}-{key:uuid}\\*{slug:text}");
    assert_int_equal(glob_stars(pattern, stars), 4);
    assert_int_equal(stars[0].type, GLOB_ANY);
    assert_int_equal(stars[0].name.size, 0);
    assert_int_equal(stars[1].type, GLOB_INT);
    assert_true(slice_eq_str(stars[1].name, "id"));
    assert_int_equal(stars[2].type, GLOB_UUID);
    assert_true(slice_eq_str(stars[2].name, "key"));
    assert_int_equal(stars[3].type, GLOB_TEXT);
    assert_true(slice_eq_str(stars[3].name, "slug"));
    glob_compile(&g, pattern, room);
    assert_int_equal(g.stars, 4);
    assert_true(slice_eq_str(glob_segment(&g, 0), "{a:"));
    assert_true(slice_eq_str(glob_segment(&g, 3), "*"));
    assert_true(g.typed && g.has_text);
    assert_true(slice_eq_str(glob_plain(pattern, room), "\\{a:*:*-*\\**"));
}

static void patterns_that_differ_by_names_are_equal(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int order;
    } cases[] = {
        {"user:{id:int}", "user:{key:int}", 0},
        {"user:{id:int}", "user:{id:uuid}", 1},
        {"user:*", "user:{id:text}", -1},
        {"user:\\*", "user:*", -1},
        {"user:\\{id:int}", "user:{id:int}", -1},
        {"a", "ab", -1},
        {"ab", "a", 1},
        {"{a:int}:x", "{b:int}:y", -1},
        {"\xff", "*", -1},
        {"", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int there = glob_order(slice_str(cases[i].a), slice_str(cases[i].b));
        int back = glob_order(slice_str(cases[i].b), slice_str(cases[i].a));
        if ((there > 0) - (there < 0) != cases[i].order ||
            (back > 0) - (back < 0) != -cases[i].order)
            fail_msg("%s and %s: %d, %d", cases[i].a, cases[i].b, there, back);
    }
}

static void what_was_compiled_is_written_as_a_pattern_that_means_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *written;
    } cases[] = {
        {"user:1", "user:1"},
        {"*", "*"},
        {"user:*:x*", "user:*:x*"},
        {"a\\*b\\{c\\\\", "a\\*b\\{c\\\\"},
        {"user:{id:int}:{key_of_it:uuid}", "user:{a:int}:{b:uuid}"},
        {"*:{id:text}:\\{", "*:{b:text}:\\{"},
        {"{a:int}:{b:int}:{c:int}:{d:int}:{e:int}:{f:int}:{g:int}:{h:int}",
         "{a:int}:{b:int}:{c:int}:{d:int}:{e:int}:{f:int}:{g:int}:{h:int}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[GLOB_MAX], again[GLOB_MAX];
        struct glob g;
        struct slice pattern = slice_str(cases[i].pattern);
        assert_int_equal(glob_check(pattern, NULL), 0);
        glob_compile(&g, pattern, room);
        struct slice written = glob_write(&g, again);
        if (!slice_eq_str(written, cases[i].written))
            fail_msg("%s becomes %.*s", cases[i].pattern, SLICE_ARG(written));
        assert_int_equal(glob_order(pattern, written), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_compiled_is_written_as_a_pattern_that_means_the_same),
        cmocka_unit_test(what_is_wrong_is_named_with_its_byte),
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(each_byte_is_taken_where_it_may_stand),
        cmocka_unit_test(stars_have_names_and_types),
        cmocka_unit_test(patterns_that_differ_by_names_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
