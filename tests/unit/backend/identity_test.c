#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/identity.h"

static const struct identity known = {"7", "00000001", "100", 500};

static bool same(const struct identity *before, struct identity now)
{
    return identity_same(before, &now);
}

static void race_35_the_timeline_and_the_system_tell_histories_apart(void **state)
{
    (void)state;
    assert_true(same(&known, (struct identity){"7", "00000001", "100", 500}));
    assert_true(same(&known, (struct identity){"7", "00000001", "200", 600})); /* a restart */
    assert_false(same(&known, (struct identity){"7", "00000002", "200", 600}));
    assert_false(same(&known, (struct identity){"8", "00000001", "200", 600}));
    assert_false(same(&known, (struct identity){"8", "00000001", "100", 600}));
}

static void a_wal_does_not_go_back(void **state)
{
    (void)state;
    assert_false(same(&known, (struct identity){"7", "00000001", "100", 499}));
    assert_true(same(&known, (struct identity){"7", "00000001", "100", 0}));
}

static void what_is_refused_leaves_the_postmaster_as_proof(void **state)
{
    (void)state;
    assert_true(same(&known, (struct identity){"", "", "100", 0}));
    assert_true(same(&known, (struct identity){"7", "", "100", 0}));
    assert_false(same(&known, (struct identity){"7", "", "200", 0}));
    assert_false(same(&known, (struct identity){"", "00000001", "200", 600}));
    const struct identity nothing = {.wal_end = 0};
    assert_true(identity_empty(&nothing));
    assert_false(identity_empty(&known));
    assert_false(same(&nothing, known));
    assert_false(same(&known, nothing));
    assert_false(same(&nothing, nothing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(race_35_the_timeline_and_the_system_tell_histories_apart),
        cmocka_unit_test(a_wal_does_not_go_back),
        cmocka_unit_test(what_is_refused_leaves_the_postmaster_as_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
