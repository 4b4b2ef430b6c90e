#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sql.h"

static void what_may_commit_on_its_way_is_not_undone_by_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum call_fate fate;
    } cases[] = {
        {"UPDATE a SET b = 1", CALL_UNDONE},
        {" update a SET b = 1", CALL_UNDONE},
        {"(SELECT 1)", CALL_UNDONE},
        {"/* who /* asks */ */ UPDATE a SET b = 1", CALL_UNDONE},
        {"-- CALL\nUPDATE a SET b = 1", CALL_UNDONE},
        {"-- UPDATE\nCALL f(1)", CALL_DONE},
        {"CALL f(1)", CALL_DONE},
        {"DO $$ $$", CALL_DONE},
        {"UPDATES", CALL_DONE},
        {"", CALL_DONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sql_fate_undone(slice_str(cases[i].sql)) != cases[i].fate)
            fail_msg("%s", cases[i].sql);
}

static void scripts_get_at_no_verb_of_a_batch(void **state)
{
    (void)state;
    for (int i = 0; i <= SQL_BATCH_ROWS; i++) {
        const struct verb *v = &sql_verbs[i];
        assert_non_null(v->name);
        assert_int_equal(v->hidden, i >= SQL_TYPES);
        assert_int_equal(v->at_once, v->shape == CALL_TYPES);
        assert_true(!sql_is_batch(i) || v->hidden);
    }
    assert_null(sql_verbs[SQL_BATCH_ROWS + 1].name);
    assert_true(sql_is_batch(SQL_BATCH_ROWS) && sql_is_batch(SQL_BATCH_TYPES));
    assert_false(sql_is_batch(SQL_TYPES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_commit_on_its_way_is_not_undone_by_an_error),
        cmocka_unit_test(scripts_get_at_no_verb_of_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
