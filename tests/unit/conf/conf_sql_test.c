#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"

#include <string.h>

static void finds_the_highest_parameter_where_one_can_stand(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int highest;
    } cases[] = {
        {"", 0},
        {"SELECT 1", 0},
        {"SELECT $1", 1},
        {"SELECT $2 + $10 + $1", 10},
        {"SELECT $1::text||$2", 2},
        {"SELECT '$9', $1", 1},
        {"SELECT 'it''s $9', $1", 1},
        {"SELECT 'back\\', $2", 2},
        {"SELECT E'it\\'s $9', $1", 1},
        {"SELECT e'\\\\', $2", 2},
        {"SELECT \"$9\" FROM t WHERE a = $1", 1},
        {"SELECT \"a\"\"$9\", $1", 1},
        {"SELECT $$ $9 $$, $1", 1},
        {"SELECT $q$ $9 $$ $qq$ $q$, $1", 1},
        {"SELECT $q$ $9", 0},
        {"SELECT a$9, $1", 1},
        {"SELECT 1 -- $9\n, $1", 1},
        {"SELECT 1 -- $9", 0},
        {"SELECT /* $9 /* $8 */ $7 */ $1", 1},
        {"SELECT /* $9", 0},
        {"SELECT 4/$1*$2", 2},
        {"SELECT 4-$1", 1},
        {"SELECT $", 0},
        {"SELECT $99999999999999999999", 65535},
        {"SELECT 'open $9", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (conf_sql_parameters(cases[i].sql) != cases[i].highest)
            fail_msg("%s: %d", cases[i].sql, conf_sql_parameters(cases[i].sql));
}

static void gives_the_place_and_the_number_of_each(void **state)
{
    (void)state;
    const char *sql = "SELECT '$3', $2 /* $4 */, $1::int, $99999999999999999999", *at, *end;
    static const struct {
        int number;
        const char *after;
    } wanted[] = {{2, " /* $4 */"}, {1, "::int"}, {65536, ""}};
    int number;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++, sql = end) {
        at = conf_sql_next(sql, &end, &number);
        assert_non_null(at);
        assert_int_equal(*at, '$');
        assert_int_equal(number, wanted[i].number);
        assert_int_equal(strncmp(end, wanted[i].after, strlen(wanted[i].after)), 0);
    }
    assert_null(conf_sql_next(sql, &end, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_highest_parameter_where_one_can_stand),
        cmocka_unit_test(gives_the_place_and_the_number_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
