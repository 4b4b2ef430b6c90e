#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/proof.h"

static const struct policy off = {.warm = "off"}, revalidate = {.warm = "revalidate"},
                           stale = {.warm = "stale"};

static struct proof_start sound_start(void)
{
    return (struct proof_start){.whole = true,
                                .clock_is_sound = true,
                                .passed_ms = 1000,
                                .downtime_ms = 1000,
                                .warm_downtime_ms = 30000};
}

static void assert_worth(const struct proof_start *start, const struct proof_loader *l,
                         enum proof by_off, enum proof by_revalidate, enum proof by_stale)
{
    struct proof_loader of = *l;
    of.policy = &off;
    assert_int_equal(by_off, proof_of(start, &of, false));
    of.policy = &revalidate;
    assert_int_equal(by_revalidate, proof_of(start, &of, false));
    of.policy = &stale;
    assert_int_equal(by_stale, proof_of(start, &of, false));
}

static void what_lacks_nothing_is_proven_whatever_warm_says(void **state)
{
    (void)state;
    struct proof_start start = sound_start();
    struct proof_loader fed = {.same = true, .fed = true, .resumed = true, .policy = &off};
    struct proof_loader unfed = {.same = true, .policy = &off};
    assert_worth(&start, &fed, PROOF_PROVEN, PROOF_PROVEN, PROOF_PROVEN);
    assert_worth(&start, &unfed, PROOF_PROVEN, PROOF_PROVEN, PROOF_PROVEN);
    assert_int_equal(0, proof_missing(&start, &fed));
    assert_int_equal(0, proof_missing(&start, &unfed));
    assert_int_equal(PROOF_PROVEN, proof_of(&start, &fed, true));
}

static void a_change_that_may_be_missing_leaves_it_to_warm(void **state)
{
    (void)state;
    struct proof_start start = sound_start();
    start.whole = false;
    struct proof_loader l = {.same = true, .policy = &off};
    assert_worth(&start, &l, PROOF_DROPPED, PROOF_CANDIDATE, PROOF_STALE);
    assert_int_equal(1, proof_missing(&start, &l));
}

static void a_feed_with_a_gap_leaves_it_to_warm(void **state)
{
    (void)state;
    struct proof_start start = sound_start();
    struct proof_loader l = {.same = true, .fed = true, .policy = &off};
    assert_worth(&start, &l, PROOF_DROPPED, PROOF_CANDIDATE, PROOF_STALE);
    assert_int_equal(2, proof_missing(&start, &l));
}

static void another_loader_drops_it_whatever_warm_says(void **state)
{
    (void)state;
    struct proof_start start = sound_start();
    struct proof_loader l = {.fed = true, .resumed = true, .policy = &off};
    assert_worth(&start, &l, PROOF_DROPPED, PROOF_DROPPED, PROOF_DROPPED);
    assert_int_equal(3, proof_missing(&start, &l));
}

static void a_clock_that_went_back_proves_nothing_and_serves_nothing(void **state)
{
    (void)state;
    struct proof_start start = sound_start();
    start.clock_is_sound = false;
    struct proof_loader l = {.same = true, .policy = &off};
    assert_worth(&start, &l, PROOF_DROPPED, PROOF_CANDIDATE, PROOF_CANDIDATE);
    assert_int_equal(4, proof_missing(&start, &l));
}

static void only_what_has_a_feed_outlasts_warm_downtime(void **state)
{
    (void)state;
    struct proof_start start = sound_start();
    struct proof_loader fed = {.same = true, .fed = true, .resumed = true, .policy = &off};
    struct proof_loader unfed = {.same = true, .policy = &off};
    start.downtime_ms = start.warm_downtime_ms;
    assert_int_equal(0, proof_missing(&start, &unfed));
    start.downtime_ms++;
    assert_worth(&start, &unfed, PROOF_DROPPED, PROOF_CANDIDATE, PROOF_STALE);
    assert_int_equal(5, proof_missing(&start, &unfed));
    assert_worth(&start, &fed, PROOF_PROVEN, PROOF_PROVEN, PROOF_PROVEN);
}

static void an_absence_that_is_not_proven_is_dropped(void **state)
{
    (void)state;
    const struct policy *all[] = {&off, &revalidate, &stale};
    struct proof_start start = sound_start();
    start.whole = false;
    for (size_t i = 0; i < 3; i++) {
        struct proof_loader l = {.same = true, .policy = all[i]};
        assert_int_equal(PROOF_DROPPED, proof_of(&start, &l, true));
    }
}

static void the_first_that_is_missing_is_named(void **state)
{
    (void)state;
    struct proof_start start = {.downtime_ms = 2, .warm_downtime_ms = 1};
    struct proof_loader l = {.fed = true, .policy = &off};
    assert_int_equal(1, proof_missing(&start, &l));
    start.whole = true;
    assert_int_equal(2, proof_missing(&start, &l));
    l.fed = false;
    assert_int_equal(3, proof_missing(&start, &l));
    l.same = true;
    assert_int_equal(4, proof_missing(&start, &l));
    start.clock_is_sound = true;
    assert_int_equal(5, proof_missing(&start, &l));
}

static void the_longer_of_two_clocks_says_what_has_passed(void **state)
{
    (void)state;
    static const struct {
        struct proof_moment from, to;
        bool same_boot, sound;
        int64_t passed_ms;
    } cases[] = {
        {{1000, 50}, {3500, 2050}, true, true, 2500},  /* the wall was set forward by 500 */
        {{1000, 50}, {2500, 2050}, true, true, 2000},  /* back, by less than what passed */
        {{1000, 50}, {900, 2050}, true, false, 2000},  /* back, by more */
        {{1000, 50}, {900, 2050}, false, false, -100}, /* and the machine was started since */
        {{1000, 9000}, {3500, 10}, false, true, 2500}, /* a start: its clock began anew */
        {{1000, 50}, {1000, 50}, true, true, 0},       {{1000, 50}, {1001, 50}, true, true, 1},
        {{1000, 50}, {999, 50}, true, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t passed_ms = 77;
        bool sound = proof_passed(&cases[i].from, &cases[i].to, cases[i].same_boot, &passed_ms);
        assert_int_equal(cases[i].sound, sound);
        assert_int_equal(cases[i].passed_ms < 0 ? 0 : cases[i].passed_ms, passed_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lacks_nothing_is_proven_whatever_warm_says),
        cmocka_unit_test(a_change_that_may_be_missing_leaves_it_to_warm),
        cmocka_unit_test(a_feed_with_a_gap_leaves_it_to_warm),
        cmocka_unit_test(another_loader_drops_it_whatever_warm_says),
        cmocka_unit_test(a_clock_that_went_back_proves_nothing_and_serves_nothing),
        cmocka_unit_test(only_what_has_a_feed_outlasts_warm_downtime),
        cmocka_unit_test(an_absence_that_is_not_proven_is_dropped),
        cmocka_unit_test(the_first_that_is_missing_is_named),
        cmocka_unit_test(the_longer_of_two_clocks_says_what_has_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
