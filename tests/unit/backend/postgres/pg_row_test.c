/* Rows as they are packed, shape by shape, from results that no server sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_row.h"
#include "backend/postgres/pg_stmt.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 8

/* columns: "NAME:TYPE ..."; rows of values with spaces between them, where ~ is NULL. */
static PGresult *result_of(const char *columns, const char *const *rows)
{
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc of[COLUMNS_MAX];
    char text[2000], *at = text, *word;
    int count = 0;
    memset(of, 0, sizeof of);
    snprintf(text, sizeof text, "%s", columns);
    while ((word = strsep(&at, " ")) != NULL && *word) {
        char *colon = strrchr(word, ':');
        *colon = '\0';
        of[count].name = word;
        of[count++].typid = (Oid)atoi(colon + 1);
    }
    assert_true(PQsetResultAttrs(res, count, of));
    for (int row = 0; rows && rows[row]; row++) {
        char values[2000];
        snprintf(values, sizeof values, "%s", rows[row]);
        at = values;
        for (int i = 0; i < count; i++) {
            word = strsep(&at, " ");
            bool null = strcmp(word, "~") == 0;
            assert_true(PQsetvalue(res, row, i, null ? NULL : word, null ? -1 : (int)strlen(word)));
        }
    }
    return res;
}

/* What a result of these columns and rows is packed as; max 0: there is no bound. */
static int pack(struct call *q, enum call_shape shape, const char *columns, const char *const *rows,
                size_t max)
{
    struct pg_desc d = {.params = 0};
    struct pg_types types;
    bool changed;
    pg_types_init(&types);
    buf_init(&d.keys, 0);
    *q = (struct call){.shape = shape};
    call_reset(q, max);
    PGresult *res = result_of(columns, rows);
    int rc = pg_desc_take_columns(&d, res, &changed, &q->err);
    assert_int_equal(rc, 0);
    assert_true(changed);
    struct pg_rows taken = {.types = &types};
    rc = pg_row_check_shape(q, &d);
    if (rc == 0)
        rc = pg_row_add(&taken, q, &d, res);
    if (rc == 0)
        rc = pg_row_finish(&taken, q, &d, res);
    PQclear(res);
    pg_desc_fini(&d);
    pg_types_fini(&types);
    return rc;
}

static void is(enum call_shape shape, const char *columns, const char *const *rows,
               const char *want)
{
    struct call q;
    struct buf text;
    struct err e;
    buf_init(&text, 0);
    if (pack(&q, shape, columns, rows, 0) != 0)
        fail_msg("%s: %s", columns, q.err.text);
    bool maybe = shape == CALL_ROW || shape == CALL_VALUE;
    if (maybe && !q.found)
        assert_int_equal(q.result.size, 0);
    else
        assert_int_equal(json_from_mp(buf_slice(&q.result), &text, &e), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal(text.data, want);
    buf_fini(&text);
    buf_fini(&q.result);
}

#define AB "a:23 b:25"

static const char *const none[] = {NULL}, *const one[] = {"1 x", NULL},
                         *const two[] = {"1 x", "~ ~", NULL};

static void each_shape_takes_what_it_needs(void **state)
{
    (void)state;
    is(CALL_ROWS, AB, none, "[]");
    is(CALL_ROWS, AB, one, "[{\"a\":1,\"b\":\"x\"}]");
    is(CALL_ROWS, AB, two, "[{\"a\":1,\"b\":\"x\"},{\"a\":null,\"b\":null}]");
    is(CALL_ROW, AB, none, "");
    is(CALL_ROW, AB, two, "{\"a\":1,\"b\":\"x\"}");
    is(CALL_VALUE, AB, none, "");
    is(CALL_VALUE, AB, two, "1");
    is(CALL_COUNT, AB, two, "0"); /* no server has said how many */
    is(CALL_VALUE, "a:3802 b:25", (const char *[]){"{\"k\":[1]} x", NULL}, "{\"k\":[1]}");
    is(CALL_ROW, "", (const char *[]){NULL}, "");
}

/* Rows that come one by one make one answer. */
static void rows_of_many_results_are_one_answer(void **state)
{
    (void)state;
    for (int shape = CALL_ROW; shape <= CALL_VALUE; shape++) {
        struct pg_desc d = {.params = 0};
        struct pg_types types;
        struct call q = {.shape = (enum call_shape)shape};
        struct buf text;
        struct err e;
        bool changed;
        pg_types_init(&types);
        buf_init(&d.keys, 0);
        buf_init(&text, 0);
        call_reset(&q, 0);
        struct pg_rows taken = {.types = &types};
        for (int i = 1; i <= 3; i++) {
            char value[12];
            snprintf(value, sizeof value, "%d", i);
            const char *const rows[] = {value, NULL};
            PGresult *res = result_of("n:23", rows);
            assert_int_equal(pg_desc_take_columns(&d, res, &changed, &e), 0);
            assert_int_equal(changed, i == 1);
            assert_int_equal(pg_row_add(&taken, &q, &d, res), 0);
            assert_int_equal(taken.count, i);
            PQclear(res);
        }
        PGresult *last = result_of("n:23", none);
        assert_int_equal(pg_row_finish(&taken, &q, &d, last), 0);
        PQclear(last);
        assert_int_equal(json_from_mp(buf_slice(&q.result), &text, &e), 0);
        assert_true(slice_eq_str(buf_slice(&text), shape == CALL_ROWS  ? "[{\"n\":1},{\"n\":2},"
                                                                         "{\"n\":3}]"
                                                   : shape == CALL_ROW ? "{\"n\":1}"
                                                                       : "1"));
        buf_fini(&text);
        buf_fini(&q.result);
        pg_desc_fini(&d);
        pg_types_fini(&types);
    }
}

static void fails(enum call_shape shape, const char *columns, const char *const *rows, size_t max,
                  int code, const char *says)
{
    struct call q;
    assert_int_equal(pack(&q, shape, columns, rows, max), code);
    assert_int_equal(q.err.code, code);
    assert_string_equal(q.err.text, says);
    buf_fini(&q.result);
}

static void what_cannot_be_an_answer_says_why(void **state)
{
    (void)state;
    static const char *const three[] = {"1 2 3", NULL};
    static const char twice[] = "two columns are named \"b\": give one of them another name (AS)";
    fails(CALL_ROW, "a:23 b:23 b:23", three, 0, ERR_BAD_REQUEST, twice);
    fails(CALL_ROWS, "b:23 a:23 b:23", three, 0, ERR_BAD_REQUEST, twice);
    is(CALL_VALUE, "b:23 a:23 b:23", three, "1");
    is(CALL_ROW, "b:23 a:23 B:23", three, "{\"b\":1,\"a\":2,\"B\":3}");
    fails(CALL_ROW, "a:25 n:23", one, 0, ERR_BACKEND, "column \"n\": 'x' is no number");
    fails(CALL_VALUE, "j:114", (const char *[]){"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", NULL}, 0,
          ERR_BACKEND, "column \"j\": JSON nested deeper than 16");
    fails(CALL_ROWS, "j:114", (const char *[]){"[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]", NULL}, 0,
          ERR_BACKEND, "the result is nested deeper than 16");
    is(CALL_ROWS, "j:114", (const char *[]){"[[[[[[[[[[[[[[]]]]]]]]]]]]]]", NULL},
       "[{\"j\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}]");
    is(CALL_VALUE, "a:1007", (const char *[]){"{{{{{{1}}}}}}", NULL}, "[[[[[[1]]]]]]");
}

/* An array has its longest head until it is closed. */
static void a_result_fits_or_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum call_shape shape;
        size_t needs;
    } cases[] = {{CALL_ROWS, 13}, {CALL_ROW, 8}, {CALL_VALUE, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call q;
        assert_int_equal(pack(&q, cases[i].shape, AB, one, cases[i].needs), 0);
        buf_fini(&q.result);
        for (size_t max = 1; max < cases[i].needs; max++) {
            char says[80];
            snprintf(says, sizeof says, "the result takes more than %zu bytes (max_result)", max);
            fails(cases[i].shape, AB, one, max, ERR_TOO_LARGE, says);
        }
    }
}

/* Whether columns count as changed after others: by their number, names and types. */
static void columns_are_compared_to_the_letter(void **state)
{
    (void)state;
    char names[5][300];
    static const int sizes[] = {31, 32, 255, 256, 290};
    struct pg_desc d = {.params = 0};
    struct err e;
    buf_init(&d.keys, 0);
    for (int i = 0; i < 5; i++) {
        memset(names[i], 'n', sizeof names[i]);
        snprintf(names[i] + sizes[i], 6, ":%d", 25);
    }
    const char *const lists[] = {AB,          "a:23",   "a:23 c:25", "a:23 b:23", "a:23 b:25 c:23",
                                 "b:25 a:23", names[0], names[1],    names[2],    names[3],
                                 names[4]};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        PGresult *res = result_of(lists[i], none);
        bool changed = false;
        assert_int_equal(pg_desc_take_columns(&d, res, &changed, &e), 0);
        assert_true(changed);
        assert_int_equal(pg_desc_take_columns(&d, res, &changed, &e), 0);
        if (changed)
            fail_msg("%s", lists[i]);
        assert_int_equal(d.columns, PQnfields(res));
        for (int k = 0; k < d.columns; k++) {
            assert_true(slice_eq_str(pg_desc_column(&d, k), PQfname(res, k)));
            assert_int_equal(d.column_types[k], PQftype(res, k));
        }
        PQclear(res);
    }
    PGresult *bad = result_of("a:23 \xff:23", none);
    bool changed = false;
    assert_int_equal(pg_desc_take_columns(&d, bad, &changed, &e), ERR_BACKEND);
    assert_string_equal(e.text, "the name of column 2 is not UTF-8");
    assert_int_equal(d.columns, 1); /* those before */
    PQclear(bad);
    pg_desc_fini(&d);
    assert_int_equal(d.columns, 0);
    assert_null(d.column_types);
}

static void what_nests_and_what_stands_twice_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *columns;
        int repeated;
        bool nests;
    } cases[] = {
        {AB, 0, false},           {"a:23 a:23", 2, false},  {"a:23 b:23 b:23 a:23", 3, false},
        {"a:23 j:3802", 0, true}, {"a:1007 b:23", 0, true}, {"j:114", 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pg_desc d = {.params = 0};
        struct err e;
        bool changed;
        buf_init(&d.keys, 0);
        PGresult *res = result_of(cases[i].columns, none);
        assert_int_equal(pg_desc_take_columns(&d, res, &changed, &e), 0);
        assert_int_equal(d.repeated, cases[i].repeated);
        assert_int_equal(d.nests, cases[i].nests);
        PQclear(res);
        pg_desc_fini(&d);
    }
}

/* A statement counts the descriptions that differ, and is plain no more by one. */
static void a_statement_takes_the_columns_of_an_answer(void **state)
{
    (void)state;
    struct pg_stmts s;
    struct pg_stmt *st;
    struct err e;
    assert_int_equal(pg_stmt_init(&s, 1), 0);
    assert_int_equal(pg_stmt_add(&s, slice_str("SELECT 1"), &st, &e), 0);
    static const char *const lists[] = {AB, AB, "a:23", "a:23"};
    static const uint32_t generations[] = {1, 1, 2, 2};
    for (int i = 0; i < 4; i++) {
        PGresult *res = result_of(lists[i], none);
        st->plain = true;
        assert_int_equal(pg_stmt_adopt(st, res, &e), 0);
        assert_int_equal(st->generation, generations[i]);
        assert_int_equal(st->plain, i % 2);
        assert_int_equal(st->changed, i >= 2);
        PQclear(res);
    }
    pg_stmt_fini(&s);
}

static void types_are_told_with_what_they_take(void **state)
{
    (void)state;
    struct pg_desc d = {.params = 0};
    struct call q = {.shape = CALL_TYPES};
    struct err e;
    struct buf text;
    bool changed;
    Oid params[] = {23, 4294967295};
    buf_init(&d.keys, 0);
    buf_init(&text, 0);
    PGresult *res = result_of(AB, none);
    assert_int_equal(pg_desc_take_columns(&d, res, &changed, &e), 0);
    PQclear(res);
    d.params = 2;
    d.param_types = params;
    d.exact = true;
    call_reset(&q, 0);
    assert_int_equal(pg_row_types(&q, &d, false), 0);
    assert_true(q.found);
    assert_int_equal(json_from_mp(buf_slice(&q.result), &text, &e), 0);
    assert_true(slice_eq_str(buf_slice(&text), "[[23,4294967295],[\"a\",\"b\"],true,false]"));
    size_t whole = q.result.size;
    buf_fini(&q.result);
    d.exact = false;
    for (size_t max = 1; max <= whole; max++) {
        call_reset(&q, max);
        int rc = pg_row_types(&q, &d, true);
        assert_int_equal(rc, max == whole ? 0 : ERR_TOO_LARGE);
        assert_int_equal(q.found, max == whole);
        if (rc == 0)
            assert_memory_equal(q.result.data + whole - 2, "\xc2\xc3", 2);
        buf_fini(&q.result);
    }
    d.param_types = NULL;
    d.params = 0;
    buf_fini(&text);
    pg_desc_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shape_takes_what_it_needs),
        cmocka_unit_test(rows_of_many_results_are_one_answer),
        cmocka_unit_test(what_cannot_be_an_answer_says_why),
        cmocka_unit_test(a_result_fits_or_is_refused),
        cmocka_unit_test(columns_are_compared_to_the_letter),
        cmocka_unit_test(what_nests_and_what_stands_twice_is_known),
        cmocka_unit_test(a_statement_takes_the_columns_of_an_answer),
        cmocka_unit_test(types_are_told_with_what_they_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
