#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tier/tier_proof.h"

/* A row of this process, of whose key nothing was heard since its load. */
static struct tier_facts own(void)
{
    return (struct tier_facts){.own = true,
                               .same_loader = true,
                               .seen = 10,
                               .changed = 10,
                               .kept_from = 3,
                               .fresh = true,
                               .dated = true,
                               .warm = "off"};
}

static struct tier_facts other(const char *warm)
{
    struct tier_facts f = own();
    f.own = false;
    f.changed = 0;
    f.warm = warm;
    return f;
}

static void a_row_of_ours_is_an_answer_while_it_is_fresh(void **state)
{
    (void)state;
    struct tier_facts f = own();
    assert_int_equal(TIER_PROVEN, tier_proof_of(&f));
    f.fresh = false;
    assert_int_equal(TIER_KEPT, tier_proof_of(&f));
}

static void a_row_of_another_loader_is_nothing(void **state)
{
    (void)state;
    struct tier_facts f = own(), g = other("stale");
    f.same_loader = g.same_loader = false;
    assert_int_equal(TIER_NOTHING, tier_proof_of(&f));
    assert_int_equal(TIER_NOTHING, tier_proof_of(&g));
}

static void a_row_behind_a_write_that_waits_is_nothing(void **state)
{
    (void)state;
    struct tier_facts f = own(), g = other("stale");
    f.waits = g.waits = true;
    assert_int_equal(TIER_NOTHING, tier_proof_of(&f));
    assert_int_equal(TIER_NOTHING, tier_proof_of(&g));
}

static void a_row_whose_key_was_changed_since_is_nothing(void **state)
{
    (void)state;
    struct tier_facts f = own(), g = other("stale");
    f.changed = 11;
    assert_int_equal(TIER_NOTHING, tier_proof_of(&f));
    f.changed = 9;
    assert_int_equal(TIER_PROVEN, tier_proof_of(&f));
    g.changed = 1; /* by us; what the row has seen is another process's number */
    assert_int_equal(TIER_NOTHING, tier_proof_of(&g));
}

static void a_row_that_a_mark_is_about_is_nothing(void **state)
{
    (void)state;
    struct tier_facts f = own(), g = other("stale");
    f.mark = g.mark = MARK_SOFT;
    assert_int_equal(TIER_NOTHING, tier_proof_of(&f));
    assert_int_equal(TIER_NOTHING, tier_proof_of(&g));
    f.mark = MARK_HARD;
    assert_int_equal(TIER_NOTHING, tier_proof_of(&f));
}

static void a_row_from_before_its_loader_came_to_the_tier_is_nothing(void **state)
{
    (void)state;
    struct tier_facts f = own(), g = other("stale");
    f.kept_from = g.kept_from = 11;
    assert_int_equal(TIER_NOTHING, tier_proof_of(&f));
    f.kept_from = 10;
    assert_int_equal(TIER_PROVEN, tier_proof_of(&f));
    assert_int_equal(TIER_STALE, tier_proof_of(&g)); /* another process kept it */
}

static void a_row_of_others_is_as_warm_says(void **state)
{
    (void)state;
    struct tier_facts off = other("off"), revalidate = other("revalidate"), stale = other("stale");
    assert_int_equal(TIER_NOTHING, tier_proof_of(&off));
    assert_int_equal(TIER_CANDIDATE, tier_proof_of(&revalidate));
    assert_int_equal(TIER_STALE, tier_proof_of(&stale));
}

static void a_row_whose_age_is_not_known_is_not_served(void **state)
{
    (void)state;
    struct tier_facts f = other("stale");
    f.dated = false;
    assert_int_equal(TIER_CANDIDATE, tier_proof_of(&f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_of_ours_is_an_answer_while_it_is_fresh),
        cmocka_unit_test(a_row_of_another_loader_is_nothing),
        cmocka_unit_test(a_row_behind_a_write_that_waits_is_nothing),
        cmocka_unit_test(a_row_whose_key_was_changed_since_is_nothing),
        cmocka_unit_test(a_row_that_a_mark_is_about_is_nothing),
        cmocka_unit_test(a_row_from_before_its_loader_came_to_the_tier_is_nothing),
        cmocka_unit_test(a_row_of_others_is_as_warm_says),
        cmocka_unit_test(a_row_whose_age_is_not_known_is_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
