/* What is wrong with a configuration, in the order of its text, and how much of it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/problems.h"

#include <stdio.h>
#include <string.h>

static struct problems p;
static struct buf report;
static struct err e;

static int start(void **state)
{
    (void)state;
    problems_init(&p);
    buf_init(&report, 0);
    err_clear(&e);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    problems_fini(&p);
    buf_fini(&report);
    return 0;
}

static void tells(const char *want)
{
    assert_int_equal(problems_tell(&p, &report, &e), ERR_CONFIG);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    assert_string_equal(report.data, want);
}

static void they_stand_in_the_order_of_the_text(void **state)
{
    (void)state;
    problems_add(&p, "b.conf", 7, 30, "the third");
    problems_add(&p, "a.conf", 9, 20, "the %s", "second");
    problems_add(&p, "a.conf", 3, 10, "the first");
    problems_add(&p, "b.conf", 7, 30, "the fourth, of that place");
    problems_add(&p, "b.conf", 7, 30, "the fifth");
    tells("a.conf:3: the first\n"
          "a.conf:9: the second\n"
          "b.conf:7: the third\n"
          "b.conf:7: the fourth, of that place\n"
          "b.conf:7: the fifth\n");
    assert_string_equal(e.text, "a.conf:3: the first");
}

static void one_without_a_line_is_the_files(void **state)
{
    (void)state;
    problems_add(&p, "a.conf", 0, 0, "cannot be read");
    tells("a.conf: cannot be read\n");
    assert_string_equal(e.text, "a.conf: cannot be read");
}

static void what_is_no_text_is_shown_as_marks(void **state)
{
    (void)state;
    problems_add(&p, "a.conf", 1, 1,
                 "a\tb\nc\x7f"
                 "d \x1f~");
    tells("a.conf:1: a?b?c?d ?~\n");
}

static void where_none_is_there_nothing_is_told(void **state)
{
    (void)state;
    assert_int_equal(problems_tell(&p, &report, &e), 0);
    assert_int_equal(report.size, 0);
    problems_add(&p, "a.conf", 1, 1, "wrong");
    assert_int_equal(problems_tell(&p, NULL, &e), ERR_CONFIG);
    assert_string_equal(e.text, "a.conf:1: wrong");
}

static void so_many_are_told_and_of_the_rest_how_many(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS_MAX; i++)
        problems_add(&p, "a.conf", i + 1, (size_t)i + 1, "problem %d", i);
    assert_int_equal(problems_tell(&p, &report, &e), ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    char last[64];
    snprintf(last, sizeof last, "\na.conf:%d: problem %d\n", PROBLEMS_MAX, PROBLEMS_MAX - 1);
    assert_string_equal(report.data + report.size - 1 - strlen(last), last);
    problems_add(&p, "a.conf", 5000, 5000, "one more");
    problems_add(&p, "a.conf", 5001, 5001, "and another");
    buf_clear(&report);
    assert_int_equal(problems_tell(&p, &report, &e), ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    const char *more = "and 2 problems more\n";
    assert_string_equal(report.data + report.size - 1 - strlen(more), more);
}

static void without_memory_nothing_else_is_told(void **state)
{
    (void)state;
    problems_add(&p, "a.conf", 1, 1, "wrong");
    p.nomem = true;
    assert_int_equal(problems_tell(&p, &report, &e), ERR_NOMEM);
    assert_string_equal(e.text, "no memory to read the configuration");
    assert_int_equal(report.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, start, stop)
        ONE(they_stand_in_the_order_of_the_text),       ONE(one_without_a_line_is_the_files),
        ONE(what_is_no_text_is_shown_as_marks),         ONE(where_none_is_there_nothing_is_told),
        ONE(so_many_are_told_and_of_the_rest_how_many), ONE(without_memory_nothing_else_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
