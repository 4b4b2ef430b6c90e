/* What of a statement the database is asked about, by its names, and how many there may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_pure_tree.h"

#include <stdio.h>
#include <string.h>

static char shown[2000];

static void show(const char *format, const char *a, const char *b, const char *c)
{
    size_t n = strlen(shown);
    snprintf(shown + n, sizeof shown - n, format, a, b, c);
}

/* "SCHEMA.NAME=ALIAS" of relations, "NUMBER:NAME" of columns, operators, functions, types with a
 * star where they are of a constant. */
static const char *names_of(const char *sql)
{
    struct pg_pure_tree t;
    struct err e;
    shown[0] = '\0';
    if (pg_pure_tree_init(&t, sql, &e) != 0) {
        pg_pure_tree_fini(&t);
        show("%s", e.text, "", "");
        return shown;
    }
    for (int i = 0; i < t.relation_count; i++)
        show("%s.%s=%s ", t.relations[i].schema, t.relations[i].name, t.relations[i].alias);
    show("|", "", "", "");
    for (int i = 0; i < t.column_count; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", t.columns[i].relation);
        show(" %s:%s", number, *t.columns[i].name ? t.columns[i].name : "*", "");
    }
    show(" |", "", "", "");
    for (int i = 0; i < t.operator_count; i++)
        show(" %s", t.operators[i], "", "");
    show(" |", "", "", "");
    for (int i = 0; i < t.function_count; i++)
        show(" %s", t.functions[i], "", "");
    show(" |", "", "", "");
    for (int i = 0; i < t.type_count; i++)
        show(" %s.%s%s", t.types[i].schema, t.types[i].name, t.types[i].constant ? "*" : "");
    pg_pure_tree_fini(&t);
    return shown;
}

static void each_clause_tells_its_names(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *names;
    } cases[] = {
        {"SELECT 1", "| | | |"},
        {"SELECT a FROM t", ".t=t | 0:a | | |"},
        {"SELECT u.a, t.b FROM s.t, u", "s.t=t .u=u | 2:a 1:b | | |"},
        {"SELECT * FROM t", ".t=t | 0:* | | |"},
        {"SELECT u.* FROM t, s.t u", ".t=t s.t=u | 2:* | | |"},
        {"SELECT a FROM t NATURAL JOIN s", ".t=t .s=s | 0:a 0:* | = | |"},
        {"SELECT 1 FROM t JOIN s USING (a, b)", ".t=t .s=s | 0:a 0:b | = | |"},
        {"SELECT 1 FROM t JOIN s ON t.a < s.a", ".t=t .s=s | 1:a 2:a | < | |"},
        {"SELECT 1 FROM t WHERE a BETWEEN 1 AND 2", ".t=t | 0:a | >= <= > < | |"},
        {"SELECT 1 FROM t WHERE a NOT BETWEEN SYMMETRIC 1 AND 2", ".t=t | 0:a | >= <= > < | |"},
        {"SELECT nullif(a, 1), a IS DISTINCT FROM 2 FROM t", ".t=t | 0:a 0:a | = | |"},
        {"SELECT a LIKE 'x', a NOT ILIKE 'x' FROM t", ".t=t | 0:a 0:a | ~~ !~~* | |"},
        {"SELECT 1 FROM t WHERE a NOT IN (1) OR a <> ALL($1)", ".t=t | 0:a 0:a | <> | |"},
        {"SELECT a + a - a FROM t", ".t=t | 0:a 0:a 0:a | - + | |"},
        {"SELECT CASE a WHEN 1 THEN 2 END FROM t", ".t=t | 0:a | = | |"},
        {"SELECT CASE WHEN a THEN 2 END FROM t", ".t=t | 0:a | | |"},
        {"SELECT lower(a), lower(b), upper(a) FROM t", ".t=t | 0:a 0:b 0:a | | lower upper |"},
        {"SELECT a::x.y, 'c'::text FROM t", ".t=t | 0:a | | | x.y .text*"},
        {"SELECT CAST(a AS numeric(3)) FROM t", ".t=t | 0:a | | | pg_catalog.numeric"},
        /* and why not */
        {"SELECT 'today'", "a constant may stand for the time"},
        {"SELECT 'Tomorrow'", "a constant may stand for the time"},
        {"SELECT 'xyesterdayx'", "a constant may stand for the time"},
        {"SELECT ctid FROM t", "it reads a system column"},
        {"SELECT t.xmax FROM t", "it reads a system column"},
        {"SELECT cmin FROM t", "it reads a system column"},
        {"SELECT cmax FROM t", "it reads a system column"},
        {"SELECT 1 UNION SELECT 2", "it is a UNION, INTERSECT or EXCEPT"},
        {"SELECT now()", "it calls now()"},
        {"SELECT x.lower(a) FROM t", "it calls a function that is not built in"},
        {"SELECT t FROM t", "it takes a whole row as a value"},
        {"SELECT u FROM t u", "it takes a whole row as a value"},
        {"SELECT t.a FROM t u", "a column is named in an unusual way"},
        {"SELECT a.b.c.* FROM t", "a column is named in an unusual way"},
        {"SELECT s.t.a FROM s.t", "a column is named in an unusual way"},
        {"SELECT a FROM t u (a)", "an alias names columns"},
        {"SELECT 1 FROM t, t", "two relations have one name"},
        {"SELECT 1 FROM t WHERE a OPERATOR(x.=) 1", "an operator is named in an unusual way"},
        {"SELECT a SIMILAR TO 'x' FROM t", "it has an unusual expression"},
        {"SELECT a::x.y.z FROM t", "a type is named in an unusual way"},
        {"SELECT (SELECT 1)", "it has a SubLink"},
        {"SELECT 1 FOR UPDATE", "it has SelectStmt.lockingClause"},
        {"DELETE FROM t", "it is not a SELECT"},
        {"SELECT '\\'", "its text has a backslash, or a character that is not ASCII"},
        {"SELECT '\x80'", "its text has a backslash, or a character that is not ASCII"},
        {"SELEC 1", "the grammar does not know it: syntax error at or near \"SELEC\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(names_of(cases[i].sql), cases[i].names) != 0)
            fail_msg("%s\n  %s\n  and not %s", cases[i].sql, shown, cases[i].names);
}

/* prefix, so many of what the format makes of a number, suffix */
static const char *repeat(const char *prefix, const char *format, int count, const char *suffix)
{
    static char sql[8000];
    size_t n = (size_t)snprintf(sql, sizeof sql, "%s", prefix);
    for (int i = 0; i < count; i++) {
        char piece[40];
        const char *at = strchr(format, '#');
        snprintf(piece, sizeof piece, "%.*s%d%s", (int)(at - format), format, i, at + 1);
        n += (size_t)snprintf(sql + n, sizeof sql - n, "%s%s", i ? ", " : "", piece);
    }
    snprintf(sql + n, sizeof sql - n, "%s", suffix);
    return sql;
}

static void fits(const char *prefix, const char *format, int most, const char *suffix,
                 const char *why)
{
    if (!strchr(names_of(repeat(prefix, format, most, suffix)), '|'))
        fail_msg("%d of %s: %s", most, format, shown);
    assert_string_equal(names_of(repeat(prefix, format, most + 1, suffix)), why);
}

static void so_many_names_and_no_more(void **state)
{
    (void)state;
    fits("SELECT 1 FROM ", "t#", PG_PURE_RELATIONS, "", "it reads too many relations");
    fits("SELECT ", "a#", PG_PURE_COLUMNS, " FROM t", "it has too many columns");
    fits("SELECT ", "1::t#", PG_PURE_NAMES, "", "it has too many types");
}

/* Operators that no grammar knows, each twice. */
static void a_name_counts_once(void **state)
{
    (void)state;
    static const char first[] = "<>=~!@#%", second[] = "&|`<";
    char sql[PG_PURE_SQL_MAX] = "SELECT 1";
    size_t n = strlen(sql);
    for (int i = 0; i < 2 * PG_PURE_NAMES; i++) {
        int k = i % PG_PURE_NAMES;
        n += (size_t)snprintf(sql + n, sizeof sql - n, ", 1 @%c%c 1", first[k % 8], second[k / 8]);
    }
    if (!strchr(names_of(sql), '@'))
        fail_msg("%s", shown);
    snprintf(sql + n, sizeof sql - n, ", 1 = 1");
    assert_string_equal(names_of(sql), "it has too many names");
}

/* A tree may have so many floors: each pair of brackets of an expression is one. */
static void a_tree_is_so_deep_and_no_deeper(void **state)
{
    (void)state;
    char sql[PG_PURE_SQL_MAX];
    int deepest = 0;
    for (int depth = 1; depth < 100; depth++) {
        size_t n = (size_t)snprintf(sql, sizeof sql, "SELECT ");
        for (int i = 0; i < depth; i++)
            n += (size_t)snprintf(sql + n, sizeof sql - n, "lower(");
        n += (size_t)snprintf(sql + n, sizeof sql - n, "'x'");
        for (int i = 0; i < depth; i++)
            n += (size_t)snprintf(sql + n, sizeof sql - n, ")");
        if (!strchr(names_of(sql), '|'))
            break;
        deepest = depth;
    }
    assert_string_equal(shown, "it is nested too deep");
    assert_int_equal(deepest, 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_clause_tells_its_names),
        cmocka_unit_test(so_many_names_and_no_more),
        cmocka_unit_test(a_name_counts_once),
        cmocka_unit_test(a_tree_is_so_deep_and_no_deeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
