#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/rights.h"
#include "user.h"

#include <stdio.h>
#include <string.h>

static void says(int rc, int want, const struct err *e, const char *text)
{
    assert_int_equal(rc, want);
    if (want != 0)
        assert_string_equal(e->text, text);
}

static void a_group_is_the_users_or_it_is_said_whose(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    struct slice verb = slice_str("verb");
    const struct conf_user *u = user_of(&o, RIGHT_READ, NULL, NULL);
    says(rights_group(NULL, RIGHT_ANYBODY, verb, &e), 0, &e, NULL);
    says(rights_group(NULL, RIGHT_READ, verb, &e), ERR_UNAUTHENTICATED, &e,
         "verb: authenticate first: auth [name, password]");
    says(rights_group(u, RIGHT_ANYBODY, verb, &e), 0, &e, NULL);
    says(rights_group(u, RIGHT_READ, verb, &e), 0, &e, NULL);
    says(rights_group(u, RIGHT_WRITE, verb, &e), ERR_DENIED, &e,
         "verb: the user \"app\" has no right \"write\"");
    assert_int_equal(rights_at_once(u), RIGHT_ANYBODY | RIGHT_READ);
    assert_int_equal(rights_at_once(NULL), RIGHT_ANYBODY);
}

static void each_text_is_looked_at_by_what_it_is(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    struct slice verb = slice_str("verb");
    const struct conf_user *u = user_of(&o, RIGHT_READ | RIGHT_ADMIN, "user:*", "one");
    assert_int_equal(rights_at_once(u), RIGHT_ANYBODY | RIGHT_ADMIN);
    says(rights_text(u, verb, RIGHTS_OF_KEY, slice_str("user:*"), &e), 0, &e, NULL);
    says(rights_text(u, verb, RIGHTS_OF_KEY, slice_str("one"), &e), 0, &e, NULL);
    says(rights_text(u, verb, RIGHTS_OF_KEY, slice_str("two"), &e), ERR_DENIED, &e,
         "verb: the user \"app\" has no right to the key two");
    says(rights_text(u, verb, RIGHTS_OF_PATTERN, slice_str("user:7*"), &e), 0, &e, NULL);
    says(rights_text(u, verb, RIGHTS_OF_PATTERN, slice_str("use*"), &e), ERR_DENIED, &e,
         "verb: the user \"app\" has no right to the pattern use*");
    says(rights_text(u, verb, RIGHTS_OF_TAG, slice_str("one"), &e), ERR_DENIED, &e,
         "verb: the user \"app\" has no right to the tag one");
    u = user_of(&o, RIGHT_READ, NULL, NULL);
    for (enum rights_of what = RIGHTS_OF_KEY; what <= RIGHTS_OF_TAG; what++) {
        says(rights_text(u, verb, what, slice_str("two"), &e), 0, &e, NULL);
        says(rights_text(NULL, verb, what, slice_str("two"), &e), 0, &e, NULL);
    }
}

static void covers(const char *ours, const char *theirs, bool want)
{
    struct one o;
    const struct conf_user *u = user_of(&o, RIGHT_READ, ours, NULL);
    if (rights_pattern(u, slice_str(theirs)) != want)
        fail_msg("%s %s %s", ours, want ? "does not cover" : "covers", theirs);
}

static void a_pattern_must_be_covered(void **state)
{
    (void)state;
    covers("user:*", "user:*", true);
    covers("user:*", "user:7", true);
    covers("user:*", "user:*:name", true);
    covers("user:*", "use*", false);
    covers("user:*", "*", false);
    covers("*", "*", true);
    covers("*", "a*b", true);
    covers("a*b", "a*b", true);
    covers("a*b", "axb", true);
    covers("a*b", "a*xb", true);
    covers("a*b", "a*", false);
    covers("a*b", "*b", false);
    covers("ab", "ab", true);
    covers("ab", "a*", false);
    covers("a*c*e", "a*d*e", false);
    covers("a*c*e", "a*c*c*e", true);
    /* A literal star of ours is no star of theirs, and the other way round. */
    covers("a\\*", "a*", false);
    covers("a\\*", "a\\*", true);
    covers("a*", "a\\*", true);
    covers("a\\**", "a*", false);
}

/* Whatever a pattern that is covered matches, ours matches too: over all short texts of a few
 * letters, as patterns and as keys. */
static void what_is_covered_matches_nothing_else(void **state)
{
    (void)state;
    static const char letters[] = "ab*";
    char ours[5], theirs[5], key[6];
    struct one o, p;
    for (int i = 0; i < 81; i++) {
        snprintf(ours, sizeof ours, "%c%c%c%c", letters[i % 3], letters[i / 3 % 3],
                 letters[i / 9 % 3], letters[i / 27]);
        const struct conf_user *u = user_of(&o, RIGHT_READ, ours, NULL);
        for (int j = 0; j < 81; j++) {
            snprintf(theirs, sizeof theirs, "%c%c%c%c", letters[j % 3], letters[j / 3 % 3],
                     letters[j / 9 % 3], letters[j / 27]);
            if (!rights_pattern(u, slice_str(theirs)))
                continue;
            const struct conf_user *v = user_of(&p, RIGHT_READ, theirs, NULL);
            for (unsigned k = 0; k < 192; k++) {
                size_t size = k / 32;
                for (size_t at = 0; at < size; at++)
                    key[at] = k >> at & 1U ? 'a' : 'b';
                struct slice s = slice_of(key, size);
                if (rights_key(v, s) && !rights_key(u, s))
                    fail_msg("%s covers %s, but not %.*s", ours, theirs, SLICE_ARG(s));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_the_users_or_it_is_said_whose),
        cmocka_unit_test(each_text_is_looked_at_by_what_it_is),
        cmocka_unit_test(a_pattern_must_be_covered),
        cmocka_unit_test(what_is_covered_matches_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
