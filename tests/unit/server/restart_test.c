/* What a server knows of its folder before anything of it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "server/restart.h"
#include "state/state_folder.h"

static struct err e;

static void without_a_folder_there_is_neither_a_seed_nor_a_life(void **state)
{
    (void)state;
    struct conf conf = {.state = NULL};
    struct server s = {.conf = &conf};
    struct restart *r;
    uint64_t seed = 42;
    assert_int_equal(restart_open(&r, &s, &e), 0);
    assert_null(r);
    assert_false(restart_seed(r, &seed));
    assert_int_equal(seed, 42);
    assert_null(restart_numbers(r));
    restart_free(r);
}

static void with_one_the_hash_has_the_seed_of_the_folder(void **state)
{
    (void)state;
    struct conf conf = {.state = state_path("")};
    struct server s = {.conf = &conf, .loop = ev_loop_new(EVFLAG_AUTO)};
    struct restart *r;
    uint64_t first = 42, again = 43;
    if (restart_open(&r, &s, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(restart_seed(r, &first));
    assert_int_not_equal(first, 42);
    assert_true(restart_seed(r, &again));
    assert_int_equal(first, again);
    assert_non_null(restart_numbers(r));
    restart_free(r);
    ev_loop_destroy(s.loop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_folder_there_is_neither_a_seed_nor_a_life),
        TEST(with_one_the_hash_has_the_seed_of_the_folder),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
