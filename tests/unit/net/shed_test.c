/* Who holds most is found at once, and what is done at which part of the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "net/shed.h"
#include "store/store.h"

#include <stdlib.h>

#define MEMBERS 100
#define KB      ((size_t)1024)
#define MB      (1024 * KB)

static void the_largest_is_one_of_its_power_of_two(void **state)
{
    (void)state;
    struct shed s;
    struct shed_member members[MEMBERS];
    struct rng rng = {.state = 7};
    shed_init(&s);
    assert_null(shed_largest(&s));
    assert_int_equal(shed_edge(&s), 0);
    for (int i = 0; i < MEMBERS; i++)
        shed_enter(&s, &members[i]);
    for (int round = 0; round < 20000; round++) {
        unsigned i = (unsigned)rng_below(&rng, MEMBERS);
        shed_move(&s, &members[i], rng_below(&rng, (uint64_t)1 << rng_below(&rng, 40)));
        size_t most = 0;
        for (int k = 0; k < MEMBERS; k++)
            most = members[k].held > most ? members[k].held : most;
        struct shed_member *m = shed_largest(&s);
        assert_non_null(m);
        assert_true(m->held <= most && m->held >= shed_edge(&s) / 2 * (most > 1));
        assert_true(most == 0 || (shed_edge(&s) <= most && most / 2 < shed_edge(&s)));
    }
    for (int i = 0; i < MEMBERS; i++)
        shed_leave(&s, &members[i]);
    assert_null(shed_largest(&s));
}

static void who_keeps_the_highest_bit_keeps_the_list(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 4, 7, 8, MB - 1, MB, MB + 1, 2 * MB - 1, 2 * MB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            const struct shed_member m = {.held = sizes[i]};
            int from = sizes[i] ? 63 - __builtin_clzll(sizes[i]) : -1;
            int to = sizes[k] ? 63 - __builtin_clzll(sizes[k]) : -1;
            assert_int_equal(shed_moves(&m, sizes[k]), from != to);
        }
}

static void each_part_of_the_limit_has_its_state(void **state)
{
    (void)state;
    assert_int_equal(shed_state_of(0, 160), SHED_QUIET);
    assert_int_equal(shed_state_of(140, 160), SHED_QUIET);
    assert_int_equal(shed_state_of(141, 160), SHED_NEAR);
    assert_int_equal(shed_state_of(150, 160), SHED_NEAR);
    assert_int_equal(shed_state_of(151, 160), SHED_OVER);
    assert_int_equal(shed_state_of(160, 160), SHED_OVER);
    assert_int_equal(shed_state_of(161, 160), SHED_FULL);
    assert_int_equal(shed_state_of(SIZE_MAX, 160), SHED_FULL);
}

static void what_is_large_leaves_the_last_part_to_what_is_small(void **state)
{
    (void)state;
    const size_t limit = 160 * MB, large = limit / 1024 + 1;
    assert_true(shed_admits(0, 150 * MB, limit));
    assert_false(shed_admits(0, 150 * MB + 1, limit));
    assert_true(shed_admits(150 * MB - large, large, limit));
    assert_false(shed_admits(150 * MB - large + 1, large, limit));
    assert_true(shed_admits(150 * MB, large - 1, limit));
    assert_true(shed_admits(limit - 1, 1, limit));
    assert_false(shed_admits(limit, 1, limit));
    assert_true(shed_admits(limit, 0, limit));
    assert_false(shed_admits(limit + 1, 0, limit));
    assert_false(shed_admits(1, SIZE_MAX, limit));
}

static void a_fair_share_is_never_less_than_what_a_small_one_needs(void **state)
{
    (void)state;
    assert_int_equal(shed_fair_share(256 * MB, 0), 256 * MB);
    assert_int_equal(shed_fair_share(256 * MB, 4), 64 * MB);
    assert_int_equal(shed_fair_share(256 * MB, 4096), SHED_SMALL);
    assert_int_equal(shed_fair_share(256 * MB, 1000000), SHED_SMALL);
}

static void who_is_not_read_goes_on_in_the_order_in_which_that_began(void **state)
{
    (void)state;
    struct shed s;
    struct shed_member a, b, c;
    shed_init(&s);
    shed_enter(&s, &a);
    shed_enter(&s, &b);
    shed_enter(&s, &c);
    shed_pause(&s, &b);
    shed_pause(&s, &a);
    shed_pause(&s, &b);
    shed_pause(&s, &c);
    assert_true(shed_is_paused(&b));
    shed_leave(&s, &a);
    assert_ptr_equal(shed_resume(&s), &b);
    assert_false(shed_is_paused(&b));
    assert_ptr_equal(shed_resume(&s), &c);
    assert_null(shed_resume(&s));
    shed_leave(&s, &b);
    shed_leave(&s, &c);
    assert_null(shed_largest(&s));
}

static void it_is_stuck_once_its_patience_is_over_and_then_once_more(void **state)
{
    (void)state;
    struct shed s;
    shed_init(&s);
    shed_begin(&s, 1000);
    assert_false(shed_is_stuck(&s, 1000 + SHED_PATIENCE_MS - 1));
    assert_true(shed_is_stuck(&s, 1000 + SHED_PATIENCE_MS));
    assert_false(shed_is_stuck(&s, 1000 + SHED_PATIENCE_MS + 1));
    assert_false(shed_is_stuck(&s, 1000 + 2 * SHED_PATIENCE_MS - 1));
    assert_true(shed_is_stuck(&s, 1000 + 2 * SHED_PATIENCE_MS));
}

/* Whether a result that takes so much, its head included, is admitted. */
static bool admits_result(const struct ledger *l, size_t bytes)
{
    static char value[31 * MB];
    struct entry *small = entry_new_value(slice_of(value, 1));
    assert_non_null(small);
    size_t head = entry_outside_size(small) - 1;
    entry_unref(small);
    struct entry *e = entry_new_value(slice_of(value, bytes - head));
    assert_non_null(e);
    size_t size = entry_outside_size(e);
    assert_true(size >= bytes && size < bytes + 16); /* rounded */
    bool admitted = shed_admits_result(l, size);
    entry_unref(e);
    return admitted;
}

/* With 32 MB: results of 1 MB together may be there whatever else is, more of them as there is
 * room. */
static void results_are_admitted_while_they_are_few_or_fit_beside_all_else(void **state)
{
    (void)state;
    struct ledger *l;
    assert_int_equal(ledger_new(&l, 2, NULL), 0);
    ledger_tell_limit(l, 32 * MB);
    assert_true(admits_result(l, MB - KB));
    assert_true(admits_result(l, 30 * MB - KB));
    assert_false(admits_result(l, 30 * MB + KB)); /* 15/16 for what is large */
    ledger_add(&l->pages[0], LEDGER_INPUT, 20 * MB);
    ledger_add(&l->pages[1], LEDGER_OUTPUT, 8 * MB);
    assert_true(admits_result(l, MB - KB));
    assert_true(admits_result(l, 2 * MB - KB));
    assert_false(admits_result(l, 2 * MB + KB));
    ledger_add(&l->pages[1], LEDGER_OUTPUT, 4 * MB); /* all of it */
    assert_true(admits_result(l, MB - KB));
    assert_false(admits_result(l, MB + KB));
    ledger_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_is_one_of_its_power_of_two),
        cmocka_unit_test(who_keeps_the_highest_bit_keeps_the_list),
        cmocka_unit_test(each_part_of_the_limit_has_its_state),
        cmocka_unit_test(what_is_large_leaves_the_last_part_to_what_is_small),
        cmocka_unit_test(a_fair_share_is_never_less_than_what_a_small_one_needs),
        cmocka_unit_test(who_is_not_read_goes_on_in_the_order_in_which_that_began),
        cmocka_unit_test(results_are_admitted_while_they_are_few_or_fit_beside_all_else),
        cmocka_unit_test(it_is_stuck_once_its_patience_is_over_and_then_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
