#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/pg_identity.h"

#include <string.h>

static const struct pg_identity known = {"7", "00000001", "100", 500};

static bool same(const struct pg_identity *before, struct pg_identity now)
{
    return pg_identity_same(before, &now);
}

static void race_35_the_timeline_and_the_system_tell_histories_apart(void **state)
{
    (void)state;
    assert_true(same(&known, (struct pg_identity){"7", "00000001", "100", 500}));
    assert_true(same(&known, (struct pg_identity){"7", "00000001", "200", 600})); /* a restart */
    assert_false(same(&known, (struct pg_identity){"7", "00000002", "200", 600}));
    assert_false(same(&known, (struct pg_identity){"8", "00000001", "200", 600}));
    assert_false(same(&known, (struct pg_identity){"8", "00000001", "100", 600}));
}

static void a_wal_does_not_go_back(void **state)
{
    (void)state;
    assert_false(same(&known, (struct pg_identity){"7", "00000001", "100", 499}));
    assert_true(same(&known, (struct pg_identity){"7", "00000001", "100", 0}));
}

static void what_is_refused_leaves_the_postmaster_as_proof(void **state)
{
    (void)state;
    assert_true(same(&known, (struct pg_identity){"", "", "100", 0}));
    assert_true(same(&known, (struct pg_identity){"7", "", "100", 0}));
    assert_false(same(&known, (struct pg_identity){"7", "", "200", 0}));
    assert_false(same(&known, (struct pg_identity){"", "00000001", "200", 600}));
    const struct pg_identity nothing = {.wal_end = 0};
    assert_true(pg_identity_empty(&nothing));
    assert_false(pg_identity_empty(&known));
    assert_false(same(&nothing, known));
    assert_false(same(&known, nothing));
    assert_false(same(&nothing, nothing));
}

static void an_answer_that_is_none_leaves_the_part_unknown(void **state)
{
    (void)state;
    struct pg_identity id = {.wal_end = 0};
    char shown[PG_IDENTITY_TEXT], longer[200];
    memset(longer, '9', sizeof longer);
    for (int part = 0; part < PG_IDENTITY_PARTS; part++)
        pg_identity_take(&id, (enum pg_identity_part)part, slice_of(longer, sizeof longer));
    assert_true(pg_identity_empty(&id));
    pg_identity_show(&id, shown);
    assert_string_equal(shown, "?/?");
    pg_identity_take(&id, PG_SYSTEM, slice_str("7"));
    pg_identity_take(&id, PG_TIMELINE, slice_str("0000000A"));
    pg_identity_take(&id, PG_WAL_END, slice_str("18446744073709551615"));
    pg_identity_show(&id, shown);
    assert_string_equal(shown, "7/0000000A");
    assert_true(id.wal_end == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(race_35_the_timeline_and_the_system_tell_histories_apart),
        cmocka_unit_test(a_wal_does_not_go_back),
        cmocka_unit_test(what_is_refused_leaves_the_postmaster_as_proof),
        cmocka_unit_test(an_answer_that_is_none_leaves_the_part_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
