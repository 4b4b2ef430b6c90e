/* What the grammar says of a statement: a candidate, or why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_pure_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* why: a part of the reason; NULL: it is a candidate. */
static const struct {
    const char *sql, *why;
} texts[] = {
    {"SELECT id, name FROM users WHERE id = $1", NULL},
    {"select * from users where id=$1;", NULL},
    {"  /* a /* nested */ comment */ SELECT -- and another\n id FROM users", NULL},
    {"(SELECT id FROM users)", NULL},
    {"TABLE users", NULL},
    {"SELECT \"Id\" FROM \"My Schema\".\"Users\" AS \"U\" WHERE \"U\".\"Id\" = $1", NULL},
    {"SELECT u.*, t.name FROM users u LEFT JOIN teams t ON t.id = u.team_id", NULL},
    {"SELECT a FROM t JOIN s USING (id)", NULL},
    {"SELECT a FROM t NATURAL JOIN s", NULL},
    {"SELECT a FROM ONLY t, s WHERE t.id = s.id AND NOT (a IS NULL OR b IS NOT TRUE)", NULL},
    {"SELECT id FROM users WHERE id = ANY($1::bigint[]) ORDER BY id DESC LIMIT 10 OFFSET $2", NULL},
    {"SELECT id FROM users WHERE id IN (1, 2, 3) AND name LIKE 'a%' AND x NOT IN ('a')", NULL},
    {"SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, CASE WHEN a > 1 THEN 2 END FROM t", NULL},
    {"SELECT coalesce(a, 'x'), greatest(a, b), nullif(a, 1), a BETWEEN 1 AND 2 FROM t", NULL},
    {"SELECT a, count(*), sum(DISTINCT b) FILTER (WHERE c) FROM t GROUP BY a HAVING count(*) > 1",
     NULL},
    {"SELECT DISTINCT a FROM t", NULL},
    {"SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b", NULL},
    {"SELECT array_agg(a ORDER BY b) FROM t", NULL},
    {"SELECT lower(a), trim(b), position('x' in c), extract(epoch FROM d), d AT TIME ZONE 'UTC'"
     " FROM t",
     NULL},
    {"SELECT pg_catalog.lower(a) FROM t WHERE b OPERATOR(pg_catalog.=) 1", NULL},
    {"SELECT a::text, CAST(b AS numeric(10, 2)), DATE '2020-01-01', 'x'::public.mood FROM t", NULL},
    {"SELECT ARRAY[a, 1], a -> 'b' ->> 'c' FROM t", NULL},
    {"SELECT $$it's$$, 1.5, true, NULL, -1, B'101' FROM t", NULL},
    {"SELECT 'SELECT now() FOR' || 'UPDATE', 1 AS \"now()\" FROM t", "the time"},
    {"SELECT 1", NULL},
    /* it does something, or tells of the transaction */
    {"SELECT now()", "now()"},
    {"SELECT pg_catalog.now()", "now()"},
    {"SELECT CURRENT_TIMESTAMP", "SQLValueFunction"},
    {"SELECT current_user", "SQLValueFunction"},
    {"SELECT LOCALTIME", "SQLValueFunction"},
    {"SELECT 'now'::timestamptz", "the time"},
    {"SELECT id FROM t WHERE at > 'YESTERDAY'", "the time"},
    {"SELECT U&'!006eow' UESCAPE '!' FROM t", "the time"},
    {"SELECT age(at) FROM t", "age()"},
    {"SELECT date('2020-01-01')", "date()"},
    {"SELECT random()", "random()"},
    {"SELECT nextval('s')", "nextval()"},
    {"SELECT set_config('a.b', $1, true)", "set_config()"},
    {"SELECT current_setting('a.b')", "current_setting()"},
    {"SELECT pg_try_advisory_xact_lock(1)", "pg_try_advisory_xact_lock()"},
    {"SELECT \"pg_advisory_lock\"(1)", "pg_advisory_lock()"},
    {"SELECT pg_sleep(1)", "pg_sleep()"},
    {"SELECT txid_current()", "txid_current()"},
    {"SELECT lo_get(1)", "lo_get()"},
    {"SELECT id FROM users WHERE id = $1 AND pg_notify('a', 'b') IS NULL", "pg_notify()"},
    {"SELECT public.lower(a) FROM t", "not built in"},
    {"SELECT my_function($1)", "my_function()"},
    {"SELECT a FROM t ORDER BY my_function(a)", "my_function()"},
    {"SELECT a FROM t GROUP BY a HAVING bool_or(my_function(a))", "my_function()"},
    {"SELECT a FROM t LIMIT my_function(1)", "my_function()"},
    {"SELECT count(*) FILTER (WHERE my_function(a)) FROM t", "my_function()"},
    {"SELECT array_agg(a ORDER BY my_function(b)) FROM t", "my_function()"},
    {"SELECT CASE WHEN a THEN 1 ELSE my_function(1) END FROM t", "my_function()"},
    {"SELECT DISTINCT ON (my_function(a)) a FROM t", "my_function()"},
    {"SELECT a FROM t JOIN s ON my_function(t.id)", "my_function()"},
    {"SELECT a FROM t WHERE b OPERATOR(public.=) 1", "operator"},
    {"SELECT a FROM t ORDER BY a USING OPERATOR(public.<)", "useOp"},
    {"SELECT 1 FROM t FOR UPDATE", "lockingClause"},
    {"SELECT 1 FROM t FOR SHARE", "lockingClause"},
    {"SELECT id FROM jobs FOR NO KEY UPDATE SKIP LOCKED LIMIT 1", "lockingClause"},
    {"SELECT a INTO s FROM t", "intoClause"},
    {"SELECT a FROM t TABLESAMPLE system (1)", "RangeTableSample"},
    {"SELECT xmin FROM t", "system column"},
    {"SELECT t.ctid FROM t", "system column"},
    {"SELECT a FROM t WHERE tableoid = 1", "system column"},
    /* more than is looked at */
    {"WITH w AS (SELECT 1) SELECT * FROM w", "withClause"},
    {"WITH w AS (DELETE FROM t RETURNING *) SELECT * FROM w", "withClause"},
    {"SELECT 1 UNION SELECT 2", "UNION"},
    {"VALUES (1)", "valuesLists"},
    {"SELECT (SELECT 1)", "SubLink"},
    {"SELECT * FROM (SELECT 1) s", "RangeSubselect"},
    {"SELECT * FROM t WHERE EXISTS (SELECT 1)", "SubLink"},
    {"SELECT * FROM t, LATERAL (SELECT 1) s", "RangeSubselect"},
    {"SELECT * FROM generate_series(1, 2)", "RangeFunction"},
    {"SELECT * FROM doc_of($1, $2)", "RangeFunction"},
    {"SELECT * FROM dblink('x', 'SELECT 1') AS d(a int)", "RangeFunction"},
    {"SELECT * FROM json_to_recordset('[]') AS x(a int)", "RangeFunction"},
    {"SELECT row_number() OVER (ORDER BY a) FROM t", "row_number()"},
    {"SELECT sum(a) OVER () FROM t", "FuncCall.over"},
    {"SELECT sum(a) OVER w FROM t WINDOW w AS ()", "FuncCall.over"},
    {"SELECT concat(VARIADIC a) FROM t", "func_variadic"},
    {"SELECT t FROM t", "whole row"},
    {"SELECT to_json(u) FROM users u", "whole row"},
    {"SELECT count(t.*) FROM t", "column"},
    {"SELECT (t).fullname FROM t", "A_Indirection"},
    {"SELECT s.t.a FROM s.t", "column"},
    {"SELECT x.a FROM t", "column"},
    {"SELECT j.a FROM (t JOIN s USING (id)) AS j", "JoinExpr.alias"},
    {"SELECT a FROM t AS u (a, b)", "alias"},
    {"SELECT a FROM t, other.t", "two relations"},
    {"SELECT ROW(1, 2)", "RowExpr"},
    {"SELECT a SIMILAR TO 'b' FROM t", "unusual expression"},
    {"SELECT a COLLATE \"C\" FROM t", "CollateClause"},
    {"SELECT a FROM t GROUP BY ROLLUP (a)", "GroupingSet"},
    {"SELECT xmlelement(name a)", "XmlExpr"},
    {"SELECT 1; SELECT 2", "not a SELECT"},
    {"INSERT INTO t VALUES (1)", "not a SELECT"},
    {"SHOW work_mem", "not a SELECT"},
    {"EXPLAIN ANALYZE SELECT 1", "not a SELECT"},
    {"", "not a SELECT"},
    {";", "not a SELECT"},
    {"SELECT FROM WHERE", "grammar"},
    {"SELECT E'\\n'", "backslash"},
    {"SELECT 'it\\'' , now() --'", "backslash"},
    {"SELECT 'gr\xc3\xbc\xc3\x9f'", "ASCII"},
    {"SELECT 0x1f", "grammar"},
};

static void texts_and_what_the_grammar_says_of_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct pg_pure_tree t;
        struct err e;
        err_clear(&e);
        int rc = pg_pure_tree_init(&t, texts[i].sql, &e);
        pg_pure_tree_fini(&t);
        if ((rc == 0) != (texts[i].why == NULL))
            fail_msg("%s: %s", texts[i].sql, rc == 0 ? "a candidate" : e.text);
        if (texts[i].why && !strstr(e.text, texts[i].why))
            fail_msg("%s: '%s' is not in '%s'", texts[i].sql, texts[i].why, e.text);
    }
}

static void names_are_told_with_what_stands_before_them(void **state)
{
    (void)state;
    struct pg_pure_tree t;
    struct err e;
    assert_int_equal(pg_pure_tree_init(&t,
                                       "SELECT u.name, n, s.* FROM x.\"Users\" u JOIN s USING (id) "
                                       "WHERE lower(a) || 'b' = $1::public.mood",
                                       &e),
                     0);
    assert_int_equal(t.relation_count, 2);
    assert_string_equal(t.relations[0].schema, "x");
    assert_string_equal(t.relations[0].name, "Users");
    assert_string_equal(t.relations[0].alias, "u");
    assert_string_equal(t.relations[1].alias, "s");
    for (int i = 0; i < t.column_count; i++) {
        const struct pg_pure_column *c = &t.columns[i];
        assert_int_equal(c->relation, strcmp(c->name, "name") == 0 ? 1 : *c->name ? 0 : 2);
    }
    assert_int_equal(t.column_count, 5); /* name, n, all of s, id, a */
    assert_int_equal(t.operator_count, 2);
    assert_int_equal(t.function_count, 1);
    assert_string_equal(t.functions[0], "lower");
    assert_int_equal(t.type_count, 1);
    assert_string_equal(t.types[0].schema, "public");
    assert_string_equal(t.types[0].name, "mood");
    assert_false(t.types[0].constant);
    pg_pure_tree_fini(&t);
}

/* What a text repeats, as often as it goes: a tree as deep as it gets, and stacks as deep. */
static void long_texts_are_an_answer_too(void **state)
{
    (void)state;
    static const char *const parts[][3] = {
        {"SELECT ", "1+", "1"},
        {"SELECT ", "- ", "1"},
        {"SELECT ", "NOT ", "true"},
        {"SELECT ", "(", "1"},
        {"SELECT 1", "::int", ""},
        {"SELECT ", "lower(", "a"},
        {"SELECT ", "a[", "1"},
        {"SELECT 1", " UNION SELECT 1", ""},
        {"SELECT ", "CASE WHEN ", "1"},
        {"SELECT ", "(SELECT ", "1"},
        {"SELECT a", ".b", ""},
        {"", "(", ""},
        {"SELECT 1 WHERE a", " OR a", ""},
        {"SELECT a", ", a", " FROM t"},
        {"SELECT 1 FROM t", " JOIN t ON a", ""},
        {"/*", "/*", ""},
    };
    char sql[PG_PURE_SQL_MAX + 64];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t size = PG_PURE_SQL_MAX / 16; size <= PG_PURE_SQL_MAX; size *= 2) {
            struct pg_pure_tree t;
            struct err e;
            size_t at = (size_t)snprintf(sql, sizeof sql, "%s", parts[i][0]);
            while (at + strlen(parts[i][1]) + strlen(parts[i][2]) <= size)
                at += (size_t)snprintf(sql + at, sizeof sql - at, "%s", parts[i][1]);
            snprintf(sql + at, sizeof sql - at, "%s", parts[i][2]);
            int rc = pg_pure_tree_init(&t, sql, &e);
            assert_true(rc == 0 || (rc == ERR_BAD_REQUEST && e.text[0]));
            pg_pure_tree_fini(&t);
        }
    memset(sql, ' ', PG_PURE_SQL_MAX);
    snprintf(sql + PG_PURE_SQL_MAX - 7, 16, "SELECT 1");
    struct pg_pure_tree t;
    struct err e;
    assert_int_equal(pg_pure_tree_init(&t, sql, &e), ERR_BAD_REQUEST);
    assert_non_null(strstr(e.text, "4096"));
    pg_pure_tree_fini(&t);
}

/* Pieces of SQL in any order, and any bytes: an answer, and no byte of memory is kept. */
static void any_text_is_an_answer(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "SELECT ",  "a",     ".",    "*",   " FROM ", "t",      " WHERE ", "=",     "$1",    "(",
        ")",        ",",     "'x'",  "\"",  "'",      "$$",     "/*",      "*/",    "--",    "\n",
        " JOIN ",   " ON ",  "::",   "int", "[]",     "lower(", "CASE ",   "WHEN ", "THEN ", "END ",
        " IS NULL", " AND ", "NOT ", "1e",  "U&",     ";",      "\x01",    "{",     ":",
    };
    uint32_t seed = 7;
    for (int i = 0; i < 3000; i++) {
        char sql[512] = "SELECT ";
        size_t at = i % 2 ? 7 : 0;
        for (int n = 0; n < 24; n++) {
            seed = seed * 1664525 + 1013904223;
            const char *piece = pieces[(seed >> 16) % (sizeof pieces / sizeof *pieces)];
            at += (size_t)snprintf(sql + at, sizeof sql - at, "%s", piece);
            if (i % 5 == 0)
                sql[at++] = (char)(1 + (seed >> 8) % 127);
        }
        sql[at] = '\0';
        struct pg_pure_tree t;
        struct err e;
        int rc = pg_pure_tree_init(&t, sql, &e);
        assert_true(rc == 0 || (rc == ERR_BAD_REQUEST && e.text[0]));
        pg_pure_tree_fini(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_what_the_grammar_says_of_them),
        cmocka_unit_test(names_are_told_with_what_stands_before_them),
        cmocka_unit_test(long_texts_are_an_answer_too),
        cmocka_unit_test(any_text_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
