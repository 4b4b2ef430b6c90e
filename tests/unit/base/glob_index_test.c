#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob_index.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

#define MOST 12000

struct owner {
    struct glob_item item;
    char text[GLOB_MAX + 1];
    bool in;
    unsigned met;
};

static struct owner owners[MOST];

static int setup(void **state)
{
    memset(owners, 0, sizeof owners);
    *state = glob_index_new(11);
    return *state ? 0 : -1;
}

static void take_out(struct glob_index *ix, struct owner *o)
{
    glob_index_remove(ix, &o->item);
    o->in = false;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < MOST; i++)
        take_out(*state, &owners[i]);
    glob_index_free(*state);
    return 0;
}

static void put_in(struct glob_index *ix, struct owner *o)
{
    assert_int_equal(glob_index_add(ix, &o->item, slice_str(o->text)), 0);
    o->in = true;
}

/* The definition: each pattern is compared. */
static bool matches(const struct owner *o, struct slice key)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, slice_str(o->text), room);
    return glob_matches(&g, key, NULL);
}

static size_t walk(struct glob_index *ix, struct slice key)
{
    size_t met = 0;
    struct glob_item *item;
    glob_index_walk(ix, key);
    while (glob_index_step(ix, &item))
        if (item) {
            container_of(item, struct owner, item)->met++;
            met++;
        }
    return met;
}

static void assert_as_defined(struct glob_index *ix, size_t count, struct slice key)
{
    for (size_t i = 0; i < count; i++)
        owners[i].met = 0;
    walk(ix, key);
    for (size_t i = 0; i < count; i++)
        if (owners[i].met != (owners[i].in && matches(&owners[i], key)))
            fail_msg("\"%s\" and the key \"%.*s\": met %u times", owners[i].text, (int)key.size,
                     key.data, owners[i].met);
}

static const char *const tokens[] = {
    "a",        "b",  "1",     "-",   ":",         "*",         "*",
    "{%u:int}", "ab", "user:", "\\*", "{%u:text}", "{%u:uuid}", "\xc3\xa9"};
#define TOKENS (sizeof tokens / sizeof *tokens)

/* A random pattern that may stand in a configuration. */
static void spell_pattern(struct rng *rng, char *out)
{
    do {
        size_t size = 0;
        unsigned parts = 1 + (unsigned)(rng_next(rng) % 9);
        for (unsigned i = 0; i < parts; i++) {
            char name[24];
            const char *token = tokens[rng_next(rng) % TOKENS];
            size_t n = strlen(token);
            memcpy(name, token, n + 1);
            if (token[0] == '{') /* a name of its own, by its place and by chance */
                n = (size_t)snprintf(name, sizeof name, "{n%u%c%s", i,
                                     (int)('a' + rng_next(rng) % 2), token + 3);
            memcpy(out + size, name, n);
            size += n;
        }
        out[size] = '\0';
    } while (glob_check(slice_str(out), NULL) != 0);
}

static struct slice spell_key(struct rng *rng, char *out)
{
    static const char *const parts[] = {
        "a",        "b",     "1", "-",  ":",
        "ab",       "user:", "*", "42", "0f8fad5b-d9cb-469f-a165-70867728950e",
        "\xc3\xa9", "\xff"};
    size_t size = 0;
    for (uint64_t n = 1 + rng_next(rng) % 8; n > 0; n--) {
        const char *part = parts[rng_next(rng) % (sizeof parts / sizeof *parts)];
        memcpy(out + size, part, strlen(part));
        size += strlen(part);
    }
    return slice_of(out, size);
}

static void it_finds_what_comparing_each_pattern_finds(void **state)
{
    struct glob_index *ix = *state;
    struct rng rng = {.state = 3};
    char key[512];
    size_t count = 600, matched = 0;
    for (size_t i = 0; i < count; i++) {
        spell_pattern(&rng, owners[i].text);
        put_in(ix, &owners[i]);
    }
    for (size_t round = 0; round < 600; round++) {
        assert_as_defined(ix, count, spell_key(&rng, key));
        for (size_t i = 0; i < count; i++)
            matched += owners[i].met;
        for (size_t k = 0; k < 5; k++) { /* some come and go */
            struct owner *o = &owners[rng_next(&rng) % count];
            if (o->in)
                take_out(ix, o);
            else
                put_in(ix, o);
        }
    }
    assert_true(matched > 600);
}

/* Who is there from the walk's begin to its end is met once, whoever else comes or goes. */
static void a_walk_bears_that_patterns_come_and_go(void **state)
{
    struct glob_index *ix = *state;
    struct rng rng = {.state = 4};
    char room[512];
    size_t count = 300;
    static bool touched[300];
    for (size_t i = 0; i < count; i++) {
        spell_pattern(&rng, owners[i].text);
        put_in(ix, &owners[i]);
    }
    for (size_t round = 0; round < 400; round++) {
        struct slice key = spell_key(&rng, room);
        struct glob_item *item;
        memset(touched, 0, sizeof touched);
        for (size_t i = 0; i < count; i++)
            owners[i].met = 0;
        glob_index_walk(ix, key);
        while (glob_index_step(ix, &item)) {
            if (item)
                container_of(item, struct owner, item)->met++;
            for (size_t k = rng_next(&rng) % 8; k > 4; k--) {
                size_t i = rng_next(&rng) % count;
                touched[i] = true;
                if (owners[i].in)
                    take_out(ix, &owners[i]);
                else
                    put_in(ix, &owners[i]);
            }
        }
        for (size_t i = 0; i < count; i++)
            if (!touched[i])
                assert_int_equal(owners[i].met, owners[i].in && matches(&owners[i], key));
    }
}

static void fill(struct glob_index *ix, size_t count, const char *format)
{
    for (size_t i = 0; i < count; i++) {
        struct owner *o = &owners[i];
        snprintf(o->text, sizeof o->text, format, (unsigned)i);
        put_in(ix, o);
    }
}

/* How many comparisons a walk takes. */
static uint64_t compared(struct glob_index *ix, const char *key)
{
    uint64_t before = glob_index_compared(ix);
    walk(ix, slice_str(key));
    return glob_index_compared(ix) - before;
}

static void a_key_is_compared_with_few_of_many_patterns(void **state)
{
    struct glob_index *ix = *state;
    static const struct {
        const char *format, *matching, *other;
    } cases[] = {
        {"user:%u:*", "user:77:x", "user:x:77"},
        {"*:user:%u", "x:user:77", "x:user:77:"},
        {"user:*:%u", "user:x:77", "user:77:x"},
        {"user:*:%u:*", "user:x:77:y", "user:x:y:77"},
        {"*:%u:*", "user:77:x", "user:77"},
        {"user:{id:int}:%u", "user:5:77", "user:a:77"},
        {"*99*a*b*c*d*e*%u", "99abcde77", "1a1b1c1d1e1f1a1b1c1d1e1f1a1b1c1d1e1f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(ix, 10000, cases[i].format);
        uint64_t hit = compared(ix, cases[i].matching), miss = compared(ix, cases[i].other);
        if (hit > 40 || miss > 40)
            fail_msg("%s: %llu and %llu comparisons", cases[i].format, (unsigned long long)hit,
                     (unsigned long long)miss);
        assert_true(walk(ix, slice_str(cases[i].matching)) > 0);
        for (size_t k = 0; k < 10000; k++)
            take_out(ix, &owners[k]);
    }
}

/* Names of stars make no difference, nor do owners. */
static void patterns_that_match_the_same_are_compared_once(void **state)
{
    struct glob_index *ix = *state;
    fill(ix, 10000, "user:{n%u:int}");
    assert_int_equal(compared(ix, "user:7"), 1);
    assert_int_equal(compared(ix, "user:x"), 1);
    assert_int_equal(walk(ix, slice_str("user:7")), 10000);
    assert_int_equal(walk(ix, slice_str("user:x")), 0);
}

static void a_gram_that_a_key_has_often_is_looked_at_once(void **state)
{
    struct glob_index *ix = *state;
    char key[4096];
    memset(key, 'a', sizeof key);
    fill(ix, 200, "*aaaa*%u*x*");
    uint64_t before = glob_index_compared(ix);
    assert_int_equal(walk(ix, slice_of(key, sizeof key)), 0);
    assert_true(glob_index_compared(ix) - before <= 200);
}

/* Up to one that is as long as a pattern may be, and has no star. */
static void literals_of_every_length_are_found(void **state)
{
    struct glob_index *ix = *state;
    struct err e;
    char key[GLOB_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (char)('a' + i * 7 % 26);
    for (int size = 1; size <= GLOB_MAX; size++) {
        const char *star = size < GLOB_MAX ? "*" : "";
        snprintf(owners[count++].text, GLOB_MAX + 1, "%.*s%s", size, key, star);
        snprintf(owners[count++].text, GLOB_MAX + 1, "%s%.*s", star, size, key + GLOB_MAX - size);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(glob_check(slice_str(owners[i].text), &e), 0);
        put_in(ix, &owners[i]);
    }
    for (size_t size = 0; size <= sizeof key; size++) {
        assert_as_defined(ix, count, slice_of(key, size));
        assert_as_defined(ix, count, slice_of(key + sizeof key - size, size));
    }
    assert_int_equal(walk(ix, slice_of(key, sizeof key)), count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_finds_what_comparing_each_pattern_finds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_walk_bears_that_patterns_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_is_compared_with_few_of_many_patterns, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(patterns_that_match_the_same_are_compared_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(literals_of_every_length_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gram_that_a_key_has_often_is_looked_at_once, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
