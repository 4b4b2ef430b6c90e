#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/params.h"
#include "net/rights_walk.h"
#include "serve/user.h"
#include "wire/mpw.h"

#include <stdio.h>

/* The params of a request are one packed value. */
static int check(const struct conf_user *u, unsigned right, enum rights_names names,
                 const char *packed, size_t size, struct err *e)
{
    const struct rpc_msg m = {
        .method = slice_str("verb"), .param_count = 1, .params = slice_of(packed, size)};
    return rights_check(u, right, names, &m, 10000, e);
}

#define CHECK(u, right, names, packed, e) check(u, right, names, packed, sizeof(packed) - 1, e)

static void who_is_nobody_may_do_what_anybody_may(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(rights_at_once(NULL), RIGHT_ANYBODY);
    assert_int_equal(CHECK(NULL, RIGHT_ANYBODY, NAMES_NOTHING, "\xa1k", &e), 0);
    assert_int_equal(CHECK(NULL, RIGHT_READ, NAMES_KEY, "\xa1k", &e), ERR_UNAUTHENTICATED);
    assert_string_equal(e.text, "verb: authenticate first: auth [name, password]");
}

static void rights_go_by_groups(void **state)
{
    (void)state;
    static const unsigned rights[] = {RIGHT_READ, RIGHT_WRITE, RIGHT_INVALIDATE, RIGHT_ADMIN};
    static const char *const names[] = {"read", "write", "invalidate", "admin"};
    struct one o;
    struct err e;
    for (size_t has = 0; has < 4; has++) {
        const struct conf_user *u = user_of(&o, rights[has], NULL, NULL);
        assert_int_equal(rights_at_once(u), RIGHT_ANYBODY | rights[has]);
        for (size_t i = 0; i < 4; i++) {
            char text[128];
            int rc = CHECK(u, rights[i], NAMES_KEY, "\xa1k", &e);
            assert_int_equal(rc, i == has ? 0 : ERR_DENIED);
            snprintf(text, sizeof text, "verb: the user \"app\" has no right \"%s\"", names[i]);
            if (rc != 0)
                assert_string_equal(e.text, text);
        }
    }
}

static void with_patterns_every_key_is_looked_at(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    const struct conf_user *u = user_of(&o, RIGHT_READ | RIGHT_ADMIN, "user:*", "one");
    assert_int_equal(rights_at_once(u), RIGHT_ANYBODY | RIGHT_ADMIN);
    assert_true(rights_key(u, slice_str("user:7")));
    assert_true(rights_key(u, slice_str("one")));
    assert_false(rights_key(u, slice_str("ones")));
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEY, "\xa6user:7", &e), 0);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEY, "\xc4\x03one", &e), 0);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEY, "\xa3two", &e), ERR_DENIED);
    assert_string_equal(e.text, "verb: the user \"app\" has no right to the key two");
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEYS, "\x92\xa3one\xa6user:7", &e), 0);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEYS, "\x92\xa3one\xa6used:7", &e), ERR_DENIED);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEYS, "\xa3two", &e), ERR_DENIED);
    /* An element that is no key, whatever it holds, does not hide what comes after it. */
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEYS, "\x93\x91\xa3one\x07\xa3two", &e),
                     ERR_DENIED);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEYS, "\x92\x91\xa3two\x07", &e), 0);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_KEYS, "\x07", &e), 0);
}

static void with_patterns_tags_are_denied(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    const struct conf_user *u = user_of(&o, RIGHT_READ, "*", NULL);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_TAGS, "\xa1t", &e), ERR_DENIED);
    assert_string_equal(e.text, "verb: the user \"app\" has no right to the tag t");
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_TAGS, "\x91\xa1t", &e), ERR_DENIED);
    u = user_of(&o, RIGHT_READ, NULL, NULL);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_TAGS, "\xa1t", &e), 0);
}

static void wishes_are_looked_at_one_by_one(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    const struct conf_user *u = user_of(&o, RIGHT_READ, "a*", NULL);
#define KEYS      "\xa4keys"
#define PATTERNS_ "\xa8patterns"
#define TAGS      "\xa4tags"
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_WISHES,
                           "\x82" KEYS "\xa1"
                           "a" PATTERNS_ "\x91\xa3"
                           "ab*",
                           &e),
                     0);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_WISHES,
                           "\x81" KEYS "\x92\xa1"
                           "a\xa1"
                           "b",
                           &e),
                     ERR_DENIED);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_WISHES, "\x81" PATTERNS_ "\xa1*", &e), ERR_DENIED);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_WISHES,
                           "\x81" TAGS "\xa1"
                           "a",
                           &e),
                     ERR_DENIED);
    /* A name that comes twice: both. */
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_WISHES,
                           "\x82" KEYS "\xa1"
                           "a" KEYS "\xa1"
                           "b",
                           &e),
                     ERR_DENIED);
}

/* What no method takes is left to it: only what it may take is looked through. */
static void more_than_a_method_takes_is_not_looked_at(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    const struct conf_user *u = user_of(&o, RIGHT_READ, "user:*", NULL);
    const struct rpc_msg three = {
        .method = slice_str("verb"), .param_count = 1, .params = slice_str("\x93\xa1k\xa1k\xa1k")};
    assert_int_equal(rights_check(u, RIGHT_READ, NAMES_KEYS, &three, 3, &e), ERR_DENIED);
    assert_int_equal(rights_check(u, RIGHT_READ, NAMES_KEYS, &three, 2, &e), 0);
    assert_int_equal(
        CHECK(u, RIGHT_READ, NAMES_WISHES, "\x83\xa4keys\xc0\xa4keys\xc0\xa4keys\xa1k", &e),
        ERR_DENIED);
    assert_int_equal(CHECK(u, RIGHT_READ, NAMES_WISHES,
                           "\x84\xa4keys\xc0\xa4keys\xc0\xa4keys\xc0\xa4keys\xa1k", &e),
                     0);
}

/* The method refuses it, and says why; what stands before it is looked at all the same. */
static void what_is_no_wish_ends_the_look(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    const struct conf_user *u = user_of(&o, RIGHT_READ, "a*", NULL);
    static const struct {
        const char *packed;
        size_t size;
        int rc;
    } cases[] = {
        {"\x82\x07\xa1x" KEYS "\xa1z", 10, 0}, {"\x82" KEYS "\xa1z\x07\xa1z", 11, ERR_DENIED},
        {"\x82" KEYS "\xa1z", 3, 0}, /* cut off in a name */
        {"\x82" KEYS "\xa1z", 6, 0}, /* before what it names */
        {"\x82" KEYS "\xa1z", 7, 0}, /* in it */
        {"\x81" KEYS "\xa1z", 8, ERR_DENIED},  {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (check(u, RIGHT_READ, NAMES_WISHES, cases[i].packed, cases[i].size, &e) != cases[i].rc)
            fail_msg("case %zu", i);
    assert_int_equal(check(u, RIGHT_READ, NAMES_KEYS, "", 0, &e), 0);
}

/* As many values as the method looks through itself: 2 for each of max_batch, and 1000. */
static void values_behind_what_a_method_looks_through_are_left_to_it(void **state)
{
    (void)state;
    struct one o;
    struct err e;
    const struct conf_user *u = user_of(&o, RIGHT_READ, "user:*", NULL);
    char packed[1200] = "\x92\xdc";
    for (unsigned n = 990; n < 1020; n++) {
        const struct rpc_msg m = {
            .method = slice_str("verb"), .param_count = 1, .params = slice_of(packed, 4 + n + 2)};
        struct params p;
        static const struct conf conf = {.max_batch = 3};
        packed[2] = (char)(n >> 8);
        packed[3] = (char)n;
        memset(packed + 4, 7, n);
        memcpy(packed + 4 + n, "\xa1k", 2);
        params_init(&p, "verb", &m, &conf);
        bool looked = n + 2 <= params_tokens_max(&p);
        if (rights_check(u, RIGHT_READ, NAMES_KEYS, &m, 3, &e) != (looked ? ERR_DENIED : 0))
            fail_msg("an array of %u values before it", n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_nobody_may_do_what_anybody_may),
        cmocka_unit_test(rights_go_by_groups),
        cmocka_unit_test(with_patterns_every_key_is_looked_at),
        cmocka_unit_test(with_patterns_tags_are_denied),
        cmocka_unit_test(wishes_are_looked_at_one_by_one),
        cmocka_unit_test(more_than_a_method_takes_is_not_looked_at),
        cmocka_unit_test(what_is_no_wish_ends_the_look),
        cmocka_unit_test(values_behind_what_a_method_looks_through_are_left_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
