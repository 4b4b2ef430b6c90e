#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"

#include <stdio.h>
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
        if (conf_sql_parameters(cases[i].sql, NULL, 0) != cases[i].highest)
            fail_msg("%s: %d", cases[i].sql, conf_sql_parameters(cases[i].sql, NULL, 0));
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

/* <$name> is a parameter of that name, and nothing else is one. */
static void names_are_parameters_where_one_can_stand(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "SELECT <$id>",
        "SELECT <$id>::bigint, <$slug> ||'x'",
        "SELECT * FROM t WHERE id=<$id> AND slug = <$slug>;",
        "SELECT '$id', 'it''s $id', E'\\'$id', \"$id\", <$id>",
        "SELECT 1 -- $id\n, <$id> /* $id /* $id */ $id */",
        "SELECT $$ $id $$, $id$ $slug $id$, <$id>",
        "SELECT $q$ '$id' $q$ || <$id>",
        "SELECT a$id, a.b$id, <$id>",
        "SELECT <$id>, $1, <$id>",
        "SELECT <$_a9>, <$Id>",
        "SELECT $ id, <$id>",
        "SELECT 'open $id",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256], got[256] = "";
        size_t size = 0;
        for (const char *c = cases[i]; *c; c++)
            if (*c != '<' && *c != '>')
                sql[size++] = *c;
        sql[size] = '\0';
        const char *from = sql, *at, *end;
        int number;
        for (; (at = conf_sql_next(from, &end, &number)) != NULL; from = end) {
            size_t used = strlen(got);
            snprintf(got + used, sizeof got - used, number == 0 ? "%.*s<%.*s>" : "%.*s%.*s",
                     (int)(at - from), from, (int)(end - at), at);
        }
        strcat(got, from);
        if (strcmp(got, cases[i]) != 0)
            fail_msg("want %s\ngot  %s", cases[i], got);
    }
}

static void a_name_is_the_number_of_its_star(void **state)
{
    (void)state;
    struct glob_star stars[GLOB_STARS_MAX];
    unsigned count = glob_stars(slice_str("a:*:{id:int}:{slug:text}"), stars);
    assert_int_equal(count, 3);
    assert_int_equal(conf_sql_number(slice_str("$id"), 0, stars, count), 2);
    assert_int_equal(conf_sql_number(slice_str("$slug"), 0, stars, count), 3);
    assert_int_equal(conf_sql_number(slice_str("$idd"), 0, stars, count), 0);
    assert_int_equal(conf_sql_number(slice_str("$i"), 0, stars, count), 0);
    assert_int_equal(conf_sql_number(slice_str("$7"), 7, stars, count), 7);
    assert_int_equal(conf_sql_parameters("SELECT $id", stars, count), 2);
    assert_int_equal(conf_sql_parameters("SELECT $slug, $1", stars, count), 3);
    assert_int_equal(conf_sql_parameters("SELECT $1, '$slug'", stars, count), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_highest_parameter_where_one_can_stand),
        cmocka_unit_test(gives_the_place_and_the_number_of_each),
        cmocka_unit_test(names_are_parameters_where_one_can_stand),
        cmocka_unit_test(a_name_is_the_number_of_its_star),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
