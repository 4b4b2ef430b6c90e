#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tier/tier_slots.h"

static void a_change_is_seen_by_what_was_loaded_before_it_and_by_no_later(void **state)
{
    (void)state;
    struct tier_slots s;
    struct err e;
    assert_int_equal(tier_slots_init(&s, 1024, &e), 0);
    uint64_t before = tier_slots_now(&s);
    assert_int_equal(0, tier_slots_of(&s, 7));
    tier_slots_stamp(&s, 7);
    assert_true(tier_slots_of(&s, 7) > before);
    assert_true(tier_slots_of(&s, 7) <= tier_slots_now(&s));
    assert_int_equal(0, tier_slots_of(&s, 8));
    tier_slots_fini(&s);
}

static void keys_of_a_slot_share_it(void **state)
{
    (void)state;
    struct tier_slots s;
    struct err e;
    assert_int_equal(tier_slots_init(&s, 1024, &e), 0);
    tier_slots_stamp(&s, 1024 + 7);
    assert_int_equal(1, tier_slots_of(&s, 7));
    tier_slots_fini(&s);
}

static void a_number_of_its_own_is_above_all_before(void **state)
{
    (void)state;
    struct tier_slots s;
    struct err e;
    assert_int_equal(tier_slots_init(&s, 1024, &e), 0);
    tier_slots_stamp(&s, 7);
    uint64_t own = tier_slots_next(&s);
    assert_true(own > tier_slots_of(&s, 7));
    assert_int_equal(own, tier_slots_now(&s));
    tier_slots_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_seen_by_what_was_loaded_before_it_and_by_no_later),
        cmocka_unit_test(keys_of_a_slot_share_it),
        cmocka_unit_test(a_number_of_its_own_is_above_all_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
