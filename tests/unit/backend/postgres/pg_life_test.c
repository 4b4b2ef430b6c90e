#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_life.h"
#include "base/clock.h"

#include <stdlib.h>

#define HOUR_MS (60 * 60 * 1000)

static int make(void **state)
{
    struct pg_pool *p = calloc(1, sizeof *p + sizeof p->conns[0]);
    if (!p)
        return -1;
    p->name = (char *)"main";
    p->conn_count = 1;
    p->reconnect_base_ms = HOUR_MS;
    p->reconnect_cap_ms = 5 * HOUR_MS;
    p->conns[0].pool = p;
    p->conns[0].retire_ms = INT64_MAX;
    *state = p;
    return 0;
}

static int take_down(void **state)
{
    free(*state);
    return 0;
}

static void lose(struct pg_pool *p, bool was_open, int code)
{
    struct err why;
    err_set(&why, code, "it is gone");
    pg_life_lost(p, &p->conns[0], was_open, &why);
}

/* The longest of many waits after so many failures, and whether one was short. */
static int64_t longest_wait_ms(struct pg_pool *p, uint32_t failures, bool *short_too)
{
    int64_t longest_ms = 0;
    *short_too = false;
    for (int i = 0; i < 200; i++) {
        int64_t now_ms = clock_ms();
        p->failures = failures;
        lose(p, false, ERR_BACKEND_DOWN);
        assert_int_equal(p->failures, failures + 1);
        assert_true(p->retry_ms > now_ms);
        longest_ms = p->retry_ms - now_ms > longest_ms ? p->retry_ms - now_ms : longest_ms;
        *short_too = *short_too || p->retry_ms - now_ms < HOUR_MS / 4;
    }
    return longest_ms;
}

static void each_failure_doubles_what_a_connect_waits_at_most(void **state)
{
    static const int64_t most[] = {1, 2, 4, 5, 5, 5};
    struct pg_pool *p = *state;
    for (uint32_t i = 0; i < sizeof most / sizeof *most; i++) {
        bool short_too;
        int64_t longest_ms = longest_wait_ms(p, i, &short_too);
        assert_true(short_too); /* full jitter */
        assert_in_range(longest_ms, most[i] * HOUR_MS * 9 / 10, most[i] * HOUR_MS + 1000);
    }
    longest_wait_ms(p, UINT32_MAX - 1, &(bool){false});
}

static void what_ends_with_its_backend_or_has_answered_does_not_make_others_wait(void **state)
{
    struct pg_pool *p = *state;
    lose(p, false, ERR_SHUTDOWN);
    lose(p, true, ERR_SHUTDOWN);
    assert_int_equal(p->failures, 0);
    assert_int_equal(p->retry_ms, 0);
    assert_int_equal(p->stats.disconnects, 1);
    p->conns[0].proven = true;
    lose(p, true, ERR_BACKEND_DOWN);
    assert_int_equal(p->failures, 0);
    p->conns[0].proven = false; /* it opens, and closes before it has answered anything */
    lose(p, true, ERR_BACKEND_DOWN);
    assert_int_equal(p->failures, 1);
    assert_string_equal(p->down.text, "it is gone");
}

static void one_that_closes_for_its_age_or_its_size_is_counted_apart(void **state)
{
    struct pg_pool *p = *state;
    p->conns[0].retire_ms = clock_ms();
    lose(p, true, ERR_BACKEND_DOWN);
    assert_int_equal(p->stats.retired, 1);
    p->conns[0].grown = true;
    lose(p, true, ERR_BACKEND_DOWN);
    assert_int_equal(p->stats.retired, 1);
    assert_int_equal(p->stats.grown, 1);
    assert_int_equal(p->failures, 0);
}

static void an_old_one_serves_while_no_other_may_open(void **state)
{
    struct pg_pool *p = *state;
    struct pg_conn *c = &p->conns[0];
    c->retire_ms = 1000;
    p->retry_ms = 2000;
    assert_false(pg_life_is_over(p, c, 999));
    assert_false(pg_life_is_over(p, c, 1999));
    assert_true(pg_life_is_over(p, c, 2000));
    p->retry_ms = 0;
    assert_true(pg_life_is_over(p, c, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_failure_doubles_what_a_connect_waits_at_most, make,
                                        take_down),
        cmocka_unit_test_setup_teardown(
            what_ends_with_its_backend_or_has_answered_does_not_make_others_wait, make, take_down),
        cmocka_unit_test_setup_teardown(one_that_closes_for_its_age_or_its_size_is_counted_apart,
                                        make, take_down),
        cmocka_unit_test_setup_teardown(an_old_one_serves_while_no_other_may_open, make, take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
