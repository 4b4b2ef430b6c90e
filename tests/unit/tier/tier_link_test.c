/* What the log is told of a tier that several threads reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log_taken.h"
#include "tier/tier_link.h"

#define DOWN "tier.down backend=\"cache\" table=\"cache_entry\""
#define UP   "tier.up backend=\"cache\" table=\"cache_entry\""

static char backend[] = "cache", table[] = "cache_entry";
static struct tier tier;
static struct tier_link links[2];

static int start(void **state)
{
    (void)state;
    tier = (struct tier){.conf = {.backend = backend, .table = table}};
    for (size_t i = 0; i < 2; i++)
        links[i] = (struct tier_link){.tier = &tier};
    log_taken_begin(LOG_DEBUG);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    log_taken_end();
    return 0;
}

static void fail_one(size_t i)
{
    struct err e;
    err_set(&e, ERR_BACKEND_DOWN, "nobody listens");
    tier_link_failed(&links[i], &e);
}

static void told(int down, int up)
{
    assert_int_equal(log_taken_count(DOWN), down);
    assert_int_equal(log_taken_count(UP), up);
}

static void an_outage_is_told_once_whichever_thread_meets_it(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        fail_one(first);
        told((int)first + 1, (int)first);
        fail_one(1 - first);
        fail_one(first);
        told((int)first + 1, (int)first);
        tier_link_well(&links[1 - first]);
        tier_link_well(&links[first]);
        tier_link_well(&links[first]);
        told((int)first + 1, (int)first + 1);
    }
    assert_int_equal(tier.numbers.failures, 6);
}

static void three_that_are_late_are_one_outage_of_a_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tier_link_late(&links[0], "read", 50);
        tier_link_late(&links[1], "read", 50);
        told(0, 0);
    }
    tier_link_well(&links[0]);
    tier_link_late(&links[0], "read", 50);
    told(0, 0);
    tier_link_late(&links[1], "read", 50);
    told(1, 0);
    log_taken_has("a read took more than 50 ms");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(an_outage_is_told_once_whichever_thread_meets_it),
        TEST(three_that_are_late_are_one_outage_of_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
