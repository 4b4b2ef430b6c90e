/* What is remembered of passwords: whose failures are whose, for how long, and who pushes whom out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/auth_memory.h"

#include <stdio.h>
#include <string.h>

static struct auth_memory *memory;

static int make(void **state)
{
    (void)state;
    struct err e;
    return auth_memory_new(&memory, &e);
}

static int drop(void **state)
{
    (void)state;
    auth_memory_free(memory);
    return 0;
}

/* from: an address of one letter for the network and one more. */
static struct auth_key who(const char *name, const char *from)
{
    return auth_memory_who(memory, slice_str(name), slice_str(from), slice_of(from, 1));
}

static bool same(struct auth_key a, struct auth_key b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static struct auth_key digest(const char *text)
{
    const struct slice part = slice_str(text);
    return auth_memory_key(memory, &part, 1);
}

static void parts_are_not_run_together(void **state)
{
    (void)state;
    const struct slice a[] = {slice_str("ab"), slice_str("c")};
    const struct slice b[] = {slice_str("a"), slice_str("bc")};
    const struct slice c[] = {slice_of("ab\0", 3), slice_str("c")};
    assert_true(same(auth_memory_key(memory, a, 2), auth_memory_key(memory, a, 2)));
    assert_false(same(auth_memory_key(memory, a, 2), auth_memory_key(memory, b, 2)));
    assert_false(same(auth_memory_key(memory, a, 2), auth_memory_key(memory, c, 2)));
}

static void addresses_of_a_network_count_together_by_name(void **state)
{
    (void)state;
    struct auth_key one = who("app", "n1"), two = who("app", "n2");
    assert_true(same(one, two));
    assert_false(same(one, who("app", "m1")));
    assert_false(same(one, who("jobs", "n1")));
    auth_memory_failed(memory, &one, 100);
    auth_memory_failed(memory, &two, 100);
    assert_int_equal(auth_memory_failures(memory, &one, 100), 2);
    struct auth_key other = who("app", "m1");
    assert_int_equal(auth_memory_failures(memory, &other, 100), 0);
}

static void who_has_got_in_is_counted_for_itself(void **state)
{
    (void)state;
    struct auth_key network = who("app", "n1");
    for (int i = 0; i < 5; i++)
        auth_memory_failed(memory, &network, 100);
    auth_memory_befriend(memory, slice_str("app"), slice_str("n1"), 100);
    struct auth_key own = who("app", "n1");
    assert_int_equal(auth_memory_failures(memory, &own, 100), 0);
    auth_memory_failed(memory, &own, 100);
    assert_int_equal(auth_memory_failures(memory, &own, 100), 1);
    assert_int_equal(auth_memory_failures(memory, &network, 100), 5);
    assert_true(same(who("app", "n2"), network));            /* its neighbour is not */
    assert_true(same(who("jobs", "n1"), who("jobs", "n2"))); /* nor is it with another name */
}

static void failures_are_forgotten_when_there_are_no_more(void **state)
{
    (void)state;
    struct auth_key one = who("app", "n1");
    auth_memory_failed(memory, &one, 100);
    auth_memory_failed(memory, &one, 100 + AUTH_MEMORY_FORGET_MS - 1);
    assert_int_equal(auth_memory_failures(memory, &one, 100 + AUTH_MEMORY_FORGET_MS), 2);
    int64_t end_ms = 100 + 2 * AUTH_MEMORY_FORGET_MS - 1;
    assert_int_equal(auth_memory_failures(memory, &one, end_ms - 1), 2);
    assert_int_equal(auth_memory_failures(memory, &one, end_ms), 0);
    auth_memory_failed(memory, &one, end_ms);
    assert_int_equal(auth_memory_failures(memory, &one, end_ms), 1);
}

static void a_password_that_was_right_is_known_for_a_time(void **state)
{
    (void)state;
    struct auth_key one = who("app", "n1"), right = digest("right");
    assert_false(auth_memory_look(memory, &one, &right, 100));
    auth_memory_right(memory, &right, 100, 200);
    auth_memory_right(memory, &right, 150, 250); /* it is known already: no longer for that */
    assert_true(auth_memory_look(memory, &one, &right, 199));
    assert_false(auth_memory_look(memory, &one, &right, 200));
    auth_memory_right(memory, &right, 300, 300); /* auth_cache = 0 */
    assert_false(auth_memory_look(memory, &one, &right, 300));
}

static void guesses_are_not_held_against_digests_for_long(void **state)
{
    (void)state;
    struct auth_key one = who("app", "n1"), right = digest("right"), wrong = digest("wrong");
    auth_memory_right(memory, &right, 100, 100000);
    for (int i = 0; i < AUTH_MEMORY_LOOKS; i++) {
        assert_true(auth_memory_look(memory, &one, &right, 100)); /* which costs none */
        assert_false(auth_memory_look(memory, &one, &wrong, 100));
    }
    assert_false(auth_memory_look(memory, &one, &right, 100));
    struct auth_key other = who("app", "m1");
    assert_true(auth_memory_look(memory, &other, &right, 100));
    auth_memory_looked_well(memory, &one); /* one of them was right after all */
    assert_true(auth_memory_look(memory, &one, &right, 100));
}

/* Only what was right makes rows in those tables. */
static void guesses_push_out_no_friends_and_nothing_known(void **state)
{
    (void)state;
    struct auth_key right = digest("right");
    auth_memory_right(memory, &right, 100, 1000000);
    auth_memory_befriend(memory, slice_str("app"), slice_str("n1"), 100);
    struct auth_key own = who("app", "n1");
    for (int i = 0; i < 20 * AUTH_MEMORY_ROWS; i++) {
        char name[16];
        snprintf(name, sizeof name, "u%d", i);
        struct auth_key guess = who(name, "x1");
        auth_memory_failed(memory, &guess, 200 + i);
    }
    assert_true(auth_memory_look(memory, &own, &right, 300));
    assert_true(same(who("app", "n1"), own));
    assert_false(same(who("app", "n2"), own));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_are_not_run_together, make, drop),
        cmocka_unit_test_setup_teardown(addresses_of_a_network_count_together_by_name, make, drop),
        cmocka_unit_test_setup_teardown(who_has_got_in_is_counted_for_itself, make, drop),
        cmocka_unit_test_setup_teardown(failures_are_forgotten_when_there_are_no_more, make, drop),
        cmocka_unit_test_setup_teardown(a_password_that_was_right_is_known_for_a_time, make, drop),
        cmocka_unit_test_setup_teardown(guesses_are_not_held_against_digests_for_long, make, drop),
        cmocka_unit_test_setup_teardown(guesses_push_out_no_friends_and_nothing_known, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
