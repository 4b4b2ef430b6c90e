#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/budget.h"

static int spent(struct budget *b, int64_t now_ms, int tries)
{
    int n = 0;
    while (tries-- > 0)
        n += budget_spend(b, now_ms);
    return n;
}

static void few_loads_may_be_tried_again(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 1000);
    assert_int_equal(spent(&b, 1000, 10), 10);
}

static void an_outage_sees_a_share_more_and_no_more(void **state)
{
    (void)state;
    struct budget b;
    int64_t now_ms = 1000;
    int loads = 0, retries = 0;
    budget_init(&b, now_ms);
    for (; loads < 100000; loads++) {
        now_ms += loads % 10 == 0; /* ten thousand a second, each of which fails */
        budget_earn(&b, 0.1, now_ms);
        retries += spent(&b, now_ms, 3);
    }
    assert_in_range(retries, loads / 10 - 5, loads / 10 + 25 + 20 + 5); /* saved, and 2 a second */
}

static void what_is_saved_has_an_end(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 1000);
    budget_earn(&b, 0, 1000 + 3600 * 1000);
    assert_int_equal(spent(&b, 1000 + 3600 * 1000, 1000), (int)BUDGET_MOST);
}

static void two_a_second_come_by_themselves(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 1000);
    spent(&b, 1000, 1000);
    assert_int_equal(spent(&b, 1400, 10), 0);
    assert_int_equal(spent(&b, 2000, 10), 2);
    assert_int_equal(spent(&b, 900, 10), 0); /* a clock that went back gives nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_loads_may_be_tried_again),
        cmocka_unit_test(an_outage_sees_a_share_more_and_no_more),
        cmocka_unit_test(what_is_saved_has_an_end),
        cmocka_unit_test(two_a_second_come_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
