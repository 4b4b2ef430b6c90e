#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/tier_words.h"

#include <string.h>

static int parse(struct tier_words *w, struct err *e, const char *a, const char *b)
{
    char *argv[] = {(char *)"tier-sql", (char *)a, (char *)b, NULL};
    return tier_words_parse(w, a ? b ? 3 : 2 : 1, argv, e);
}

static void words_choose_the_table_and_the_database(void **state)
{
    (void)state;
    struct tier_words w;
    struct err e;
    assert_int_equal(parse(&w, &e, NULL, NULL), 0);
    assert_string_equal(w.table, "cache_entry");
    assert_false(w.sqlite);
    assert_int_equal(parse(&w, &e, "a.b", "--sqlite"), 0);
    assert_string_equal(w.table, "a.b");
    assert_true(w.sqlite);
}

static void other_words_are_refused(void **state)
{
    (void)state;
    struct tier_words w;
    struct err e;
    assert_int_equal(parse(&w, &e, "--log", NULL), ERR_BAD_REQUEST);
    assert_string_equal(e.text, "tier-sql takes --sqlite, not --log");
    assert_int_equal(parse(&w, &e, "a", "b"), ERR_BAD_REQUEST);
    assert_string_equal(e.text, "\"b\" is one word too many");
}

static void a_name_that_is_none_is_refused(void **state)
{
    (void)state;
    struct tier_words w;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(parse(&w, &e, "\"open", NULL), 0);
    assert_int_equal(tier_words_write(&out, &w, &e), ERR_BAD_REQUEST);
    assert_int_equal(parse(&w, &e, "\"it's\"", NULL), 0);
    assert_int_equal(tier_words_write(&out, &w, &e), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_non_null(strstr(out.data, "UNLOGGED TABLE IF NOT EXISTS \"it's\" ("));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_choose_the_table_and_the_database),
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(a_name_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
