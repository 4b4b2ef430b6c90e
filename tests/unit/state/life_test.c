#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "state/life.h"
#include "state_folder.h"

static uint64_t next_life(void)
{
    struct state_dir *d = state_opened();
    struct err e;
    uint64_t life = 0;
    assert_int_equal(0, life_begin(d, &life, &e));
    state_dir_close(d);
    return life;
}

static void each_life_has_the_next_number(void **state)
{
    (void)state;
    assert_int_equal(1, next_life());
    assert_int_equal(2, next_life());
    assert_int_equal(3, next_life());
}

static void one_that_is_undone_was_not(void **state)
{
    (void)state;
    struct err e;
    next_life();
    struct state_dir *d = state_opened();
    uint64_t life = 0;
    assert_int_equal(0, life_begin(d, &life, &e));
    assert_int_equal(2, life);
    assert_int_equal(0, life_undo(d, life, &e));
    state_dir_close(d);
    assert_int_equal(2, next_life());
}

static void a_number_that_is_damaged_or_gone_begins_anew(void **state)
{
    (void)state;
    size_t size;
    next_life();
    next_life();
    char *bytes = state_bytes("life", &size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(bytes[i] ^ 1);
        state_write("life", bytes, size);
        assert_int_equal(1, next_life());
        bytes[i] = (char)(bytes[i] ^ 1);
        state_write("life", bytes, i);
        assert_int_equal(1, next_life());
    }
    free(bytes);
    unlink(state_path("life"));
    assert_int_equal(1, next_life());
}

static void the_one_before_says_when_it_was_there_last(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    assert_int_equal(0, state_dir_alive_wall_ms(d));
    state_dir_touch(d);
    state_dir_close(d);
    /* A minute ago, to the millisecond. */
    const struct timespec then[2] = {{.tv_nsec = UTIME_OMIT},
                                     {.tv_sec = 1700000000, .tv_nsec = 123999999}};
    assert_int_equal(0, utimensat(AT_FDCWD, state_path("lock"), then, 0));
    d = state_opened();
    assert_true(state_dir_alive_wall_ms(d) == INT64_C(1700000000123));
    state_dir_touch(d);
    struct stat st;
    assert_int_equal(0, stat(state_path("lock"), &st));
    assert_true(st.st_mtim.tv_sec > 1700000000);
    state_dir_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_life_has_the_next_number, state_folder_make,
                                        state_folder_remove),
        cmocka_unit_test_setup_teardown(one_that_is_undone_was_not, state_folder_make,
                                        state_folder_remove),
        cmocka_unit_test_setup_teardown(a_number_that_is_damaged_or_gone_begins_anew,
                                        state_folder_make, state_folder_remove),
        cmocka_unit_test_setup_teardown(the_one_before_says_when_it_was_there_last,
                                        state_folder_make, state_folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
