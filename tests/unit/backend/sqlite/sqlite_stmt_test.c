/* A statement of SQLite: its numbers, its columns, what its values become, and what codes mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite_stmt.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    sqlite3 *db;
    *state = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        return -1;
    *state = db;
    return sqlite3_exec(db, "CREATE TABLE t (yes BOOL, d DECIMAL(9,2), j JSON, p)", NULL, NULL,
                        NULL);
}

static int teardown(void **state)
{
    return sqlite3_close(*state);
}

static struct sqlite_stmt *make(sqlite3 *db, const char *sql)
{
    struct sqlite_stmt *s;
    struct err e;
    if (sqlite_stmt_new(&s, db, slice_str(sql), 77, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    assert_string_equal(s->sql, sql);
    assert_int_equal(s->sql_size, strlen(sql));
    assert_int_equal(s->hash, 77);
    return s;
}

static void parameters_have_the_numbers_that_are_written(void **state)
{
    static const struct {
        const char *sql;
        unsigned params;
        const char *says; /* NULL: it is taken */
    } cases[] = {
        {"SELECT 1", 0, NULL},
        {"SELECT ?", 1, NULL},
        {"SELECT ?, ?", 2, NULL},
        {"SELECT ?7", 7, NULL},
        {"SELECT $1", 1, NULL},
        {"SELECT $9, $2", 9, NULL},
        {"SELECT $10", 10, NULL},
        {"SELECT $32766", 32766, NULL},
        {"SELECT $32767", 0, "parameter \"$32767\": parameters are written $1, $2, ... or ?"},
        {"SELECT $01", 0, "parameter \"$01\": parameters are written $1, $2, ... or ?"},
        {"SELECT $1a", 0, "parameter \"$1a\": parameters are written $1, $2, ... or ?"},
        {"SELECT :1", 0, "parameter \":1\": parameters are written $1, $2, ... or ?"},
        {"SELECT @a", 0, "parameter \"@a\": parameters are written $1, $2, ... or ?"},
        {"SELECT $1, ?", 0, "parameters are written $1, $2, ... or ?, not both"},
        {"SELECT ?3, $1", 0, "parameters are written $1, $2, ... or ?, not both"},
        {"SELECT 1; SELECT 2", 0, "more than one statement in a query"},
        {"SELECT 1;;; x", 0, "more than one statement in a query"},
        {"SELECT 1; /* a */ ; -- b", 0, NULL},
        {"-- nothing", 0, "a query without a statement"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sqlite_stmt *s = (void *)&i;
        struct err e;
        int rc = sqlite_stmt_new(&s, *state, slice_str(cases[i].sql), 1, &e);
        assert_int_equal(rc, cases[i].says ? ERR_BAD_REQUEST : 0);
        if (rc != 0) {
            assert_null(s);
            assert_string_equal(e.text, cases[i].says);
            continue;
        }
        if (s->params != cases[i].params)
            fail_msg("%s: %u", cases[i].sql, s->params);
        sqlite_stmt_free(s);
    }
    sqlite_stmt_free(NULL);
}

/* A number in the middle that is not used takes a value as well, and does nothing with it. */
static void values_go_to_their_numbers(void **state)
{
    struct sqlite_stmt *s = make(*state, "SELECT $3 || '-' || $1");
    struct err e;
    assert_int_equal(sqlite_stmt_bind(s,
                                      slice_of("\x93\xa1"
                                               "a\xa1"
                                               "b\xa1"
                                               "c",
                                               7),
                                      &e),
                     0);
    assert_int_equal(sqlite3_step(s->raw), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s->raw, 0), "c-a");
    sqlite3_reset(s->raw);
    static const struct {
        struct slice params;
        int code;
        const char *says;
    } wrong[] = {
        {{"", 0}, ERR_BAD_REQUEST, "the query takes 3 parameters, 0 were given"},
        {{"\x91\x01", 2}, ERR_BAD_REQUEST, "the query takes 3 parameters, 1 was given"},
        {{"\x94\x01\x01\x01\x01", 5},
         ERR_BAD_REQUEST,
         "the query takes 3 parameters, 4 were given"},
        {{"\x81\x01\x01", 3}, ERR_BACKEND, "the parameters are no array"},
        {{"\xc1", 1}, ERR_BACKEND, "the parameters are no array"},
        {{"\x93\x01\x01", 3}, ERR_BACKEND, "parameter 3: malformed MessagePack"},
        {{"\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", 12},
         ERR_BACKEND,
         "parameter 1: 18446744073709551615 is past the largest integer, 9223372036854775807"},
        {{"\x93\x01\x01\xa1\xff", 5}, ERR_BACKEND, "parameter 3: a string that is not UTF-8"},
        {{"\x93\x01\x01\xa2x\0", 6}, ERR_BACKEND, "parameter 3: a string with a NUL byte in it"},
        {{"\x93\x01\x01\xcb\x7f\xf8\0\0\0\0\0\0", 12},
         ERR_BACKEND,
         "parameter 3: nan has no form in SQLite"},
        {{"\x93\x01\x01\xd4\x01x", 6},
         ERR_BACKEND,
         "parameter 3: an ext value has no form in SQLite"},
        {{"\x93\x01\x01\x91\xc4\x01x", 7},
         ERR_BACKEND,
         "parameter 3: binary data (bin) has no form in JSON"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(sqlite_stmt_bind(s, wrong[i].params, &e), wrong[i].code);
        assert_string_equal(e.text, wrong[i].says);
    }
    sqlite_stmt_free(s);
    s = make(*state, "SELECT ?");
    assert_int_equal(sqlite_stmt_bind(s, slice_of("\x92\x01\x01", 3), &e), ERR_BAD_REQUEST);
    assert_string_equal(e.text, "the query takes 1 parameter, 2 were given");
    sqlite_stmt_free(s);
}

static void a_value_past_sqlites_bound_is_too_large(void **state)
{
    struct sqlite_stmt *s = make(*state, "SELECT ?");
    struct err e;
    int before = sqlite3_limit(*state, SQLITE_LIMIT_LENGTH, 3);
    assert_int_equal(sqlite_stmt_bind(s, slice_of("\x91\xa3xxx", 5), &e), 0);
    assert_int_equal(sqlite_stmt_bind(s, slice_of("\x91\xa4xxxx", 6), &e), ERR_TOO_LARGE);
    assert_string_equal(e.text, "parameter 1: string or blob too big");
    assert_int_equal(sqlite_stmt_bind(s, slice_of("\x91\xc4\x04xxxx", 7), &e), ERR_TOO_LARGE);
    assert_int_equal(sqlite_stmt_bind(s, slice_of("\x91\x94\x01\x01\x01\x01", 6), &e),
                     ERR_TOO_LARGE);
    sqlite3_limit(*state, SQLITE_LIMIT_LENGTH, before);
    sqlite_stmt_free(s);
    int most = sqlite3_limit(*state, SQLITE_LIMIT_SQL_LENGTH, 20);
    struct sqlite_stmt *none;
    s = make(*state, "SELECT 456789012345"); /* 19 bytes, and a NUL */
    sqlite_stmt_free(s);
    sqlite3_limit(*state, SQLITE_LIMIT_SQL_LENGTH, 19);
    assert_int_equal(sqlite_stmt_new(&none, *state, slice_str("SELECT 456789012345"), 1, &e),
                     ERR_TOO_LARGE);
    assert_string_equal(e.text, "a query of 19 bytes");
    sqlite3_limit(*state, SQLITE_LIMIT_SQL_LENGTH, most);
}

/* The row of a SELECT, as JSON. */
static void row_is(sqlite3 *db, const char *sql, const char *want)
{
    struct sqlite_stmt *s = make(db, sql);
    struct buf out, text;
    struct err e;
    buf_init(&out, 0);
    buf_init(&text, 0);
    assert_int_equal(sqlite3_step(s->raw), SQLITE_ROW);
    assert_int_equal(sqlite_stmt_look(s, &e), 0);
    if (sqlite_stmt_pack_row(s, &out, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    assert_int_equal(json_from_mp(buf_slice(&out), &text, &e), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal(text.data, want);
    size_t whole = out.size;
    for (size_t max = 1; max < whole; max++) { /* never a part of it */
        struct buf small;
        char says[80];
        buf_init(&small, max);
        assert_int_equal(sqlite_stmt_pack_row(s, &small, &e), ERR_TOO_LARGE);
        snprintf(says, sizeof says, "the result takes more than %zu bytes (max_result)", max);
        assert_string_equal(e.text, says);
        buf_fini(&small);
    }
    buf_fini(&out);
    buf_fini(&text);
    sqlite_stmt_free(s);
}

static void a_declared_type_says_what_a_value_is(void **state)
{
    static const struct {
        const char *values, *want;
    } cases[] = {
        {"1, 2.5, '[1]', 7", "{\"yes\":true,\"d\":\"2.5\",\"j\":[1],\"p\":7}"},
        {"0, 12, '{}', 0.5", "{\"yes\":false,\"d\":\"12\",\"j\":{},\"p\":0.5}"},
        {"-1, 9e999, '1', 'x'", "{\"yes\":-1,\"d\":\"Infinity\",\"j\":1,\"p\":\"x\"}"},
        {"'y', -9e999, 3, 2.0", "{\"yes\":\"y\",\"d\":\"-Infinity\",\"j\":3,\"p\":2}"},
        {"2, -9223372036854775808, NULL, NULL",
         "{\"yes\":2,\"d\":\"-9223372036854775808\",\"j\":null,\"p\":null}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "DELETE FROM t; INSERT INTO t VALUES (%s)", cases[i].values);
        assert_int_equal(sqlite3_exec(*state, sql, NULL, NULL, NULL), SQLITE_OK);
        row_is(*state, "SELECT * FROM t", cases[i].want);
    }
}

static void names_of_types_are_known_whatever_stands_behind(void **state)
{
    (void)state;
    static const struct {
        const char *declared;
        enum sqlite_kind kind;
    } cases[] = {
        {NULL, SQLITE_KIND_PLAIN},
        {"", SQLITE_KIND_PLAIN},
        {"JSON", SQLITE_KIND_JSON},
        {"jsonb", SQLITE_KIND_JSON},
        {"Boolean", SQLITE_KIND_BOOL},
        {"BOOL NOT", SQLITE_KIND_BOOL},
        {"DECIMAL(9,2)", SQLITE_KIND_DECIMAL},
        {"numeric (3)", SQLITE_KIND_DECIMAL},
        {"JSONS", SQLITE_KIND_PLAIN},
        {"JSO", SQLITE_KIND_PLAIN},
        {"INTEGER", SQLITE_KIND_PLAIN},
        {" JSON", SQLITE_KIND_PLAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sqlite_value_kind(cases[i].declared) != cases[i].kind)
            fail_msg("%s", cases[i].declared);
}

static void a_column_that_cannot_be_read_is_named(void **state)
{
    struct sqlite_stmt *s;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(sqlite3_exec(*state, "DELETE FROM t; INSERT INTO t VALUES (1, 1, '{', 1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    s = make(*state, "SELECT 1 AS a, j AS \"odd one\" FROM t");
    assert_int_equal(sqlite3_step(s->raw), SQLITE_ROW);
    assert_int_equal(sqlite_stmt_look(s, &e), 0);
    assert_int_equal(s->column_count, 2);
    assert_int_equal(sqlite_stmt_pack_row(s, &out, &e), ERR_BACKEND);
    assert_int_equal(strncmp(e.text, "column \"odd one\": no JSON at line 1, column ", 44), 0);
    assert_int_equal(sqlite_stmt_pack_row(s, &out, NULL), ERR_BACKEND);
    sqlite_stmt_free(s);
    static const struct {
        const char *sql, *twice;
    } names[] = {
        {"SELECT 1 AS a, 2 AS b, 3 AS a", "a"},
        {"SELECT 1 AS x, 2 AS a, 3 AS b, 4 AS b", "b"},
        {"SELECT 1 AS a, 2 AS A", NULL},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char want[80];
        s = make(*state, names[i].sql);
        assert_int_equal(sqlite3_step(s->raw), SQLITE_ROW);
        assert_int_equal(sqlite_stmt_look(s, &e), 0);
        buf_clear(&out);
        int rc = sqlite_stmt_pack_row(s, &out, &e);
        assert_int_equal(rc, names[i].twice ? ERR_BAD_REQUEST : 0);
        snprintf(want, sizeof want, "two columns are named \"%s\": name one with AS",
                 names[i].twice);
        if (rc != 0)
            assert_string_equal(e.text, want);
        buf_clear(&out);
        assert_int_equal(sqlite_stmt_pack_value(s, &out, &e), 0); /* the first one alone */
        assert_int_equal(out.size, 1);
        assert_int_equal(out.data[0], 1);
        sqlite_stmt_free(s);
    }
    buf_fini(&out);
}

static void what_sqlite_says_has_a_code_of_ours(void **state)
{
    static const struct {
        int rc, code;
        const char *text;
        bool sick;
    } cases[] = {
        {SQLITE_NOMEM, ERR_NOMEM, "no memory for SQLite", false},
        {SQLITE_IOERR_NOMEM & 0xff, ERR_BACKEND_DOWN, "disk I/O error", true},
        {SQLITE_INTERRUPT, ERR_CANCELLED, "the query was given up", false},
        {SQLITE_TOOBIG, ERR_TOO_LARGE,
         "too big: a value or a row of more than 0 bytes (4 x max_result)", false},
        {SQLITE_BUSY, ERR_BACKEND_DOWN, "database is locked", true},
        {SQLITE_BUSY_SNAPSHOT, ERR_BACKEND_DOWN, "database is locked", true},
        {SQLITE_CANTOPEN, ERR_BACKEND_DOWN, "unable to open database file", true},
        {SQLITE_IOERR_READ, ERR_BACKEND_DOWN, "disk I/O error", true},
        {SQLITE_FULL, ERR_BACKEND, "database or disk is full", true},
        {SQLITE_CORRUPT, ERR_BACKEND, "database disk image is malformed", true},
        {SQLITE_NOTADB, ERR_BACKEND, "file is not a database", true},
        {SQLITE_PROTOCOL, ERR_BACKEND, "locking protocol", true},
        {SQLITE_CONSTRAINT_UNIQUE, ERR_BACKEND, "constraint failed", false},
        {SQLITE_ERROR, ERR_BACKEND, "SQL logic error", false},
        {SQLITE_READONLY, ERR_BACKEND, "attempt to write a readonly database", false},
    };
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sqlite_stmt_failed(NULL, cases[i].rc, &e), cases[i].code);
        assert_int_equal(e.code, cases[i].code);
        assert_string_equal(e.text, cases[i].text);
        if (err_is_sick(&e) != cases[i].sick)
            fail_msg("%s: %d", e.text, err_is_sick(&e));
    }
    sqlite3_exec(*state, "SELEC 1", NULL, NULL, NULL);
    sqlite_stmt_failed(*state, SQLITE_ERROR, &e);
    assert_string_equal(e.text, "near \"SELEC\": syntax error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_have_the_numbers_that_are_written),
        cmocka_unit_test(values_go_to_their_numbers),
        cmocka_unit_test(a_value_past_sqlites_bound_is_too_large),
        cmocka_unit_test(a_declared_type_says_what_a_value_is),
        cmocka_unit_test(names_of_types_are_known_whatever_stands_behind),
        cmocka_unit_test(a_column_that_cannot_be_read_is_named),
        cmocka_unit_test(what_sqlite_says_has_a_code_of_ours),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
