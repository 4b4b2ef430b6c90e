#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_age.h"
#include "base/clock.h"

#include <stdlib.h>

#define AGE_MS (1000 * 1000) /* no test takes as long as its bounds are apart */

struct world {
    struct pg_conn conn;
    struct pg_stmt *st;
    struct list lru;
    struct pg_pool pool; /* its connections come after it: none */
};

static int make(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct pg_stmt *st = calloc(1, sizeof *st);
    if (!w || !st)
        return -1;
    w->st = st;
    w->conn.pool = &w->pool;
    w->pool.statement_age_ms = AGE_MS;
    w->pool.changed_ms = INT64_MIN;
    w->st->described = true;
    w->st->described_ms = clock_ms();
    list_init(&w->lru);
    list_push_back(&w->lru, &w->st->lru);
    *state = w;
    return 0;
}

static int take_down(void **state)
{
    struct world *w = *state;
    free(w->st);
    free(w);
    return 0;
}

static void described_before_ms(struct world *w, int64_t ms)
{
    w->st->described_ms = clock_ms() - ms;
}

static void a_description_is_used_for_statement_age(void **state)
{
    struct world *w = *state;
    assert_true(pg_age_is_young(&w->conn, w->st));
    described_before_ms(w, AGE_MS * 9 / 10);
    assert_true(pg_age_is_young(&w->conn, w->st));
    described_before_ms(w, AGE_MS);
    assert_false(pg_age_is_young(&w->conn, w->st));
    described_before_ms(w, 0);
    w->st->described = false;
    assert_false(pg_age_is_young(&w->conn, w->st));
}

static void it_is_made_again_from_half_of_that_on_once_at_a_time(void **state)
{
    struct world *w = *state;
    described_before_ms(w, AGE_MS * 4 / 10);
    assert_false(pg_age_is_due(&w->conn, w->st));
    described_before_ms(w, AGE_MS / 2);
    assert_true(pg_age_is_due(&w->conn, w->st));
    w->st->describing = true;
    assert_false(pg_age_is_due(&w->conn, w->st));
    w->st->describing = false;
    list_remove(&w->st->lru); /* dropped from the cache */
    assert_false(pg_age_is_due(&w->conn, w->st));
}

static void a_change_of_one_that_was_not_thought_old_makes_all_before_it_old(void **state)
{
    struct world *w = *state;
    struct pg_stmt other = {.described = true, .described_ms = w->st->described_ms - 10};
    pg_age_hint(&w->pool, &other, w->st->described_ms); /* it has not changed */
    assert_true(pg_age_is_young(&w->conn, w->st));
    other.changed = true;
    pg_age_hint(&w->pool, &other, w->st->described_ms);
    assert_true(pg_age_is_young(&w->conn, w->st)); /* asked for at that time */
    assert_false(pg_age_is_young(&w->conn, &other));
    pg_age_hint(&w->pool, &other, w->st->described_ms + 1); /* known to be old: nothing new */
    assert_true(pg_age_is_young(&w->conn, w->st));
}

static void one_that_is_in_doubt_is_not_used_again(void **state)
{
    struct world *w = *state;
    pg_age_doubt(&w->conn, w->st);
    assert_false(pg_age_is_young(&w->conn, w->st));
    assert_true(pg_age_is_due(&w->conn, w->st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_description_is_used_for_statement_age, make, take_down),
        cmocka_unit_test_setup_teardown(it_is_made_again_from_half_of_that_on_once_at_a_time, make,
                                        take_down),
        cmocka_unit_test_setup_teardown(
            a_change_of_one_that_was_not_thought_old_makes_all_before_it_old, make, take_down),
        cmocka_unit_test_setup_teardown(one_that_is_in_doubt_is_not_used_again, make, take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
