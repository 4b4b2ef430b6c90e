#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/json.h"
#include "backend/sqlite/sqlite_conn.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include "backend/sqlite/sqlite_files.h"

#include <math.h>
#include <sys/stat.h>

static struct sqlite_settings settings;
static struct sqlite_conn *conn;
static struct sqlite_run run;
static struct buf text;

static bool never(const struct sqlite_run *r)
{
    (void)r;
    return false;
}

static int start(void **state)
{
    if (files_make(state) != 0)
        return -1;
    static char path[128];
    snprintf(path, sizeof path, "%s", files_path("t.db"));
    files_sql(path,
              "CREATE TABLE t (id INTEGER PRIMARY KEY, i INT, r REAL, s TEXT, b BLOB, "
              "j JSON, jb JSONB, yes BOOLEAN, d DECIMAL(20, 4), n NUMERIC, at DATETIME);"
              "CREATE TABLE child (id INTEGER PRIMARY KEY, t INT REFERENCES t (id), u UNIQUE)");
    settings = (struct sqlite_settings){
        .path = path, .statements = 4, .max_result = 1 << 20, .busy_timeout_ms = 50};
    conn = sqlite_conn_new(&settings);
    return conn ? 0 : -1;
}

static int stop(void **state)
{
    sqlite_conn_free(conn);
    buf_fini(&run.result);
    buf_fini(&text);
    return files_remove(state);
}

static int query_packed(const char *sql, struct slice params, enum call_shape shape)
{
    buf_fini(&run.result);
    run = (struct sqlite_run){
        .sql = slice_str(sql), .params = params, .shape = shape, .given_up = never};
    buf_init(&run.result, settings.max_result);
    sqlite_conn_run(conn, &run);
    return run.code;
}

/* params: as JSON, or NULL. */
static int query(const char *sql, const char *params, enum call_shape shape)
{
    struct buf packed;
    struct err e;
    buf_init(&packed, 0);
    if (params)
        assert_int_equal(json_to_mp(slice_str(params), &packed, &e), 0);
    int code = query_packed(sql, buf_slice(&packed), shape);
    buf_fini(&packed);
    return code;
}

static void expect(const char *sql, const char *params, enum call_shape shape, const char *json)
{
    struct err e;
    if (query(sql, params, shape) != 0)
        fail_msg("%s: %s %s", sql, err_name(run.code), run.err.text);
    buf_clear(&text);
    assert_int_equal(json_from_mp(buf_slice(&run.result), &text, &e), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal(text.data, json);
}

static void expect_fault(const char *sql, const char *params, int code, const char *says)
{
    int got = query(sql, params, CALL_ROWS);
    if (got != code || !strstr(run.err.text, says))
        fail_msg("%s: %s \"%s\"", sql, err_name(got), run.err.text);
    assert_int_equal(run.err.code, code);
    assert_int_equal(run.result.size, 0);
    assert_false(run.found);
}

static void gives_what_each_shape_asks_for(void **state)
{
    (void)state;
    const char *three = "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y' UNION ALL SELECT 3, NULL";
    expect(three, NULL, CALL_ROW, "{\"a\":1,\"b\":\"x\"}");
    assert_true(run.found);
    expect(three, NULL, CALL_VALUE, "1");
    assert_true(run.found);
    expect(three, NULL, CALL_ROWS,
           "[{\"a\":1,\"b\":\"x\"},{\"a\":2,\"b\":\"y\"},{\"a\":3,\"b\":null}]");
    expect("SELECT 1 AS a WHERE 0", NULL, CALL_ROWS, "[]");
    assert_int_equal(query("SELECT 1 WHERE 0", NULL, CALL_ROW), 0);
    assert_false(run.found);
    assert_int_equal(run.result.size, 0);
    assert_int_equal(query("SELECT 1 WHERE 0", NULL, CALL_VALUE), 0);
    assert_false(run.found);
    expect("SELECT NULL", NULL, CALL_VALUE, "null"); /* a row whose value is NULL */
    assert_true(run.found);
}

static void counts_changed_rows(void **state)
{
    (void)state;
    expect("INSERT INTO t (id) VALUES (1), (2), (3)", NULL, CALL_COUNT, "3");
    expect("UPDATE t SET i = ? WHERE id > ?", "[7, 1]", CALL_COUNT, "2");
    expect("UPDATE t SET i = 8 WHERE id > 10", NULL, CALL_COUNT, "0");
    expect("CREATE TABLE other (x)", NULL, CALL_COUNT, "0");
    expect("SELECT * FROM t", NULL, CALL_COUNT, "0");
    expect("INSERT INTO t (id, i) VALUES (4, 9), (5, 10) RETURNING i", NULL, CALL_VALUE, "9");
    expect("SELECT count(*) FROM t", NULL, CALL_VALUE, "5"); /* it ran to its end */
    expect("DELETE FROM t", NULL, CALL_COUNT, "5");
}

static void takes_values_and_gives_them_back(void **state)
{
    (void)state;
    static const char *const values[] = {"null",
                                         "0",
                                         "-1",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "0.5",
                                         "1e300",
                                         "\"\"",
                                         "\"a'; DROP TABLE t; --\"",
                                         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\x8e\""};
    static const char *const back[] = {"null",
                                       "0",
                                       "-1",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "0.5",
                                       "1e+300",
                                       "\"\"",
                                       "\"a'; DROP TABLE t; --\"",
                                       "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\x8e\""};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char params[100];
        snprintf(params, sizeof params, "[%s]", values[i]);
        expect("SELECT ?", params, CALL_VALUE, back[i]);
        expect("SELECT $1 AS v", params, CALL_VALUE, back[i]);
    }
    expect("SELECT typeof(?)", "[2.5]", CALL_VALUE, "\"real\"");
    expect("SELECT 2.0", "[]", CALL_VALUE, "2"); /* as a script's number, which has one form */
    expect("SELECT typeof(?1) || ?1 || typeof(?2) || ?2", "[true, false]", CALL_VALUE,
           "\"integer1integer0\"");
    expect("SELECT ?", "[{\"a\": [1, {\"b\": null}]}]", CALL_VALUE,
           "\"{\\\"a\\\":[1,{\\\"b\\\":null}]}\"");
}

static void keeps_bytes_apart_from_text(void **state)
{
    (void)state;
    static const char *const blobs[] = {"", "abc", "\0\xff\x80\0"};
    static const size_t sizes[] = {0, 3, 4};
    for (int i = 0; i < 3; i++) {
        struct buf params;
        struct mp_token t;
        buf_init(&params, 0);
        assert_int_equal(mpw_array(&params, 1), 0);
        assert_int_equal(mpw_bin(&params, slice_of(blobs[i], sizes[i])), 0);
        assert_int_equal(query_packed("SELECT ?", buf_slice(&params), CALL_VALUE), 0);
        struct mp_reader r = mp_reader_of(buf_slice(&run.result));
        assert_int_equal(mp_next(&r, &t), MP_OK);
        assert_int_equal(t.type, MP_BIN);
        assert_true(slice_eq(t.bytes, slice_of(blobs[i], sizes[i])));
        assert_int_equal(query_packed("SELECT typeof(?)", buf_slice(&params), CALL_VALUE), 0);
        assert_true(slice_eq_str(buf_slice(&run.result), "\xa4"
                                                         "blob"));
        buf_fini(&params);
    }
    struct mp_token t;
    assert_int_equal(query("SELECT CAST(x'61ff62' AS TEXT)", NULL, CALL_VALUE), 0);
    struct mp_reader r = mp_reader_of(buf_slice(&run.result));
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.type, MP_BIN); /* no UTF-8, so no str */
    assert_true(slice_eq_str(t.bytes, "a\xff"
                                      "b"));
    assert_int_equal(query("SELECT 'a' || char(0) || 'b'", NULL, CALL_VALUE), 0);
    assert_true(slice_eq(buf_slice(&run.result), slice_of("\xa3"
                                                          "a\0b",
                                                          4)));
}

static void decodes_what_columns_are_declared_as(void **state)
{
    (void)state;
    expect("INSERT INTO t (id, i, j, jb, yes, d, n, at) VALUES (1, $1, $2, $3, $4, $5, $6, $7)",
           "[5, {\"tags\": [\"a\", 2]}, [1, 2.5, null], true, \"19.99\", 9007199254740993, "
           "\"2026-01-31 12:00:00\"]",
           CALL_COUNT, "1");
    expect("SELECT i, j, jb, yes, d, n, at FROM t", NULL, CALL_ROW,
           "{\"i\":5,\"j\":{\"tags\":[\"a\",2]},\"jb\":[1,2.5,null],\"yes\":true,\"d\":\"19.99\","
           "\"n\":\"9007199254740993\",\"at\":\"2026-01-31 12:00:00\"}");
    expect("SELECT j AS renamed FROM t", NULL, CALL_VALUE, "{\"tags\":[\"a\",2]}");
    expect("SELECT j || '' FROM t", NULL, CALL_VALUE, "\"{\\\"tags\\\":[\\\"a\\\",2]}\"");
    expect("UPDATE t SET yes = 0, d = 0.1, j = NULL, jb = 17", NULL, CALL_COUNT, "1");
    expect("SELECT yes, d, j, jb FROM t", NULL, CALL_ROW,
           "{\"yes\":false,\"d\":\"0.1\",\"j\":null,\"jb\":17}");
    expect("UPDATE t SET j = '{broken'", NULL, CALL_COUNT, "1");
    expect_fault("SELECT j FROM t", NULL, ERR_BACKEND, "column \"j\": no JSON at line 1");
    expect("DELETE FROM t", NULL, CALL_COUNT, "1");
}

static void refuses_parameters_that_have_no_form(void **state)
{
    (void)state;
    static const struct {
        const char *packed;
        size_t size;
        const char *says;
    } wrong[] = {
        {"\x92\x01\xa3"
         "a\0b",
         6, "parameter 2: a string with a NUL"},
        {"\x92\x01\xa2\xff\xfe", 5, "parameter 2: a string that is not UTF-8"},
        {"\x92\x01\xcf\x80\0\0\0\0\0\0\0", 11,
         "parameter 2: 9223372036854775808 is past the largest integer"},
        {"\x92\x01\xcb\x7f\xf8\0\0\0\0\0\0", 11, "parameter 2: nan"},
        {"\x92\x01\xd4\x05\x00", 5, "parameter 2: an ext value"},
        {"\x92\x01\x81\xa1"
         "a\xc4\x01x",
         8, "parameter 2: binary data"},
        {"\x92\x01", 2, "parameter 2: malformed"},
        {"\x01", 1, "the parameters are no array"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int code =
            query_packed("SELECT $1, $2 AS b", slice_of(wrong[i].packed, wrong[i].size), CALL_ROW);
        assert_int_equal(code, ERR_BACKEND);
        if (!strstr(run.err.text, wrong[i].says))
            fail_msg("case %zu: %s", i, run.err.text);
    }
    expect("SELECT $1 + $2", "[1, 2]", CALL_VALUE, "3"); /* the statement is unharmed */
}

static void binds_by_number(void **state)
{
    (void)state;
    expect("SELECT $2 || $1 || $2", "[\"a\", \"b\"]", CALL_VALUE, "\"bab\"");
    expect("SELECT ?2 || ?1 || ?2", "[\"a\", \"b\"]", CALL_VALUE, "\"bab\"");
    expect("SELECT ? || ?", "[\"a\", \"b\"]", CALL_VALUE, "\"ab\"");
    expect("SELECT $3", "[1, 2, 3]", CALL_VALUE, "3");
    expect("SELECT 'it costs $1'", NULL, CALL_VALUE, "\"it costs $1\"");
    expect("SELECT 1", "[]", CALL_VALUE, "1");
    expect_fault("SELECT $1, $2", "[1]", ERR_BAD_REQUEST, "takes 2 parameters, 1 was given");
    expect_fault("SELECT ?", "[1, 2, 3]", ERR_BAD_REQUEST, "takes 1 parameter, 3 were given");
    expect_fault("SELECT ?", NULL, ERR_BAD_REQUEST, "takes 1 parameter, 0 were given");
    expect_fault("SELECT 1", "[1]", ERR_BAD_REQUEST, "takes 0 parameters, 1 was given");
    expect_fault("SELECT :id", "[1]", ERR_BAD_REQUEST, "\":id\"");
    expect_fault("SELECT $name", "[1]", ERR_BAD_REQUEST, "\"$name\"");
    expect_fault("SELECT $0", "[1]", ERR_BAD_REQUEST, "\"$0\"");
    expect_fault("SELECT $99999999999", "[1]", ERR_BAD_REQUEST, "\"$99999999999\"");
    expect_fault("SELECT $1, ?", "[1, 2]", ERR_BAD_REQUEST, "not both");
}

static void carries_the_message_of_sqlite(void **state)
{
    (void)state;
    expect_fault("SELEC 1", NULL, ERR_BACKEND, "near \"SELEC\": syntax error");
    expect_fault("SELECT * FROM absent", NULL, ERR_BACKEND, "no such table: absent");
    expect("INSERT INTO child (u) VALUES (1)", NULL, CALL_COUNT, "1");
    expect_fault("INSERT INTO child (u) VALUES (1)", NULL, ERR_BACKEND,
                 "UNIQUE constraint failed: child.u");
    expect_fault("INSERT INTO child (t) VALUES (12345)", NULL, ERR_BACKEND,
                 "FOREIGN KEY constraint failed");
    expect_fault("SELECT abs(-9223372036854775808)", NULL, ERR_BACKEND, "integer overflow");
    expect_fault("", NULL, ERR_BAD_REQUEST, "without a statement");
    expect_fault(" -- nothing\n;", NULL, ERR_BAD_REQUEST, "without a statement");
    expect_fault("SELECT 1; SELECT 2", NULL, ERR_BAD_REQUEST, "more than one statement");
    expect_fault("SELECT 1; rubbish", NULL, ERR_BAD_REQUEST, "more than one statement");
    expect("SELECT 1; -- the end\n ;", NULL, CALL_VALUE, "1");
    expect_fault("SELECT 1 AS a, 2 AS b, 3 AS a", NULL, ERR_BAD_REQUEST,
                 "two columns are named \"a\"");
    expect_fault("SELECT '\xff'", NULL, ERR_BAD_REQUEST, "not UTF-8");
    assert_int_equal(run.code, ERR_BAD_REQUEST);
    run.sql = slice_of("SELECT 1\0 + 1", 13);
    sqlite_conn_run(conn, &run);
    assert_int_equal(run.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(run.err.text, "NUL byte in the query"));
    expect("DELETE FROM child", NULL, CALL_COUNT, "1");
}

static void lets_nothing_outlive_a_query(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *says;
    } refused[] = {
        {"BEGIN", "BEGIN is refused"},
        {"BEGIN IMMEDIATE", "BEGIN is refused"},
        {"COMMIT", "COMMIT is refused"},
        {"END", "COMMIT is refused"},
        {"ROLLBACK", "ROLLBACK is refused"},
        {"SAVEPOINT a", "SAVEPOINT is refused"},
        {"RELEASE a", "SAVEPOINT is refused"},
        {"ROLLBACK TO a", "SAVEPOINT is refused"},
        {"ATTACH '/etc/passwd' AS p", "ATTACH (or VACUUM) is refused"},
        {"DETACH main", "DETACH is refused"},
        {"PRAGMA foreign_keys = OFF", "a PRAGMA that changes a setting is refused"},
        {"PRAGMA writable_schema(1)", "a PRAGMA that changes a setting is refused"},
        {"PRAGMA incremental_vacuum", "a PRAGMA that changes a setting is refused"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_fault(refused[i].sql, NULL, ERR_BAD_REQUEST, refused[i].says);
    expect_fault("VACUUM INTO '/tmp/rtcache-none'", NULL, ERR_BACKEND, "");
    expect("PRAGMA foreign_keys", NULL, CALL_VALUE, "1");
    expect("PRAGMA journal_mode", NULL, CALL_VALUE, "\"wal\"");
    expect("SELECT name FROM pragma_table_info('child') LIMIT 1", NULL, CALL_VALUE, "\"id\"");
}

static void bounds_a_result(void **state)
{
    (void)state;
    expect_fault("SELECT zeroblob(2000000) AS z", NULL, ERR_TOO_LARGE, "max_result");
    expect_fault("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
                 NULL, ERR_TOO_LARGE, "1048576 bytes");
    expect_fault("SELECT zeroblob(2000000000) AS z", NULL, ERR_TOO_LARGE, "too big");
    expect("SELECT 1", NULL, CALL_VALUE, "1");
}

static void tells_what_became_of_a_statement_that_failed(void **state)
{
    (void)state;
    expect_fault("SELEC 1", NULL, ERR_BACKEND, "syntax error");
    assert_int_equal(run.fate, CALL_UNSENT);
    assert_false(err_is_sick(&run.err));
    expect_fault("INSERT INTO t (id) VALUES (?)", NULL, ERR_BAD_REQUEST, "takes 1 parameter");
    assert_int_equal(run.fate, CALL_UNSENT);
    expect_fault("INSERT INTO t (id) VALUES (1), (1)", NULL, ERR_BACKEND, "UNIQUE");
    assert_int_equal(run.fate, CALL_UNDONE);
    assert_false(err_is_sick(&run.err));
    expect("SELECT count(*) FROM t", NULL, CALL_VALUE, "0");
    expect_fault("INSERT INTO t (id) VALUES (1) RETURNING zeroblob(2000000)", NULL, ERR_TOO_LARGE,
                 "max_result");
    assert_int_equal(run.fate, CALL_DONE);
    expect("DELETE FROM t", NULL, CALL_COUNT, "1"); /* it was there */
    expect_fault("INSERT OR FAIL INTO t (id) VALUES (1), (1)", NULL, ERR_BACKEND, "UNIQUE");
    assert_int_equal(run.fate, CALL_DONE);
    expect("DELETE FROM t", NULL, CALL_COUNT, "1"); /* so is what FAIL leaves */
    expect_fault("INSERT OR ROLLBACK INTO t (id) VALUES (1), (1)", NULL, ERR_BACKEND, "UNIQUE");
    assert_int_equal(run.fate, CALL_UNDONE);
    expect("SELECT count(*) FROM t", NULL, CALL_VALUE, "0");
    expect("INSERT INTO t (id, i) VALUES (1, 7), (2, 7)", NULL, CALL_COUNT, "2");
    expect_fault("CREATE UNIQUE INDEX one ON t (i)", NULL, ERR_BACKEND, "UNIQUE");
    assert_int_equal(run.fate, CALL_DONE); /* of its kind it is not said that nothing stays */
    expect("DELETE FROM t", NULL, CALL_COUNT, "2");
}

static void keeps_the_statements_used_last(void **state)
{
    (void)state;
    char sql[40];
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        expect(sql, NULL, CALL_VALUE, sql + 7);
        expect("SELECT 'often'", NULL, CALL_VALUE, "\"often\"");
        assert_true(sqlite_conn_statements(conn) <= 4);
    }
    assert_int_equal(sqlite_conn_statements(conn), 4);
    settings.statements = 0;
    expect("SELECT 1", NULL, CALL_VALUE, "1");
    assert_int_equal(sqlite_conn_statements(conn), 0);
    settings.statements = 4;
}

static void sees_a_changed_schema(void **state)
{
    (void)state;
    expect("CREATE TABLE s (a)", NULL, CALL_COUNT, "0");
    expect("INSERT INTO s VALUES (1)", NULL, CALL_COUNT, "1");
    expect("SELECT * FROM s", NULL, CALL_ROW, "{\"a\":1}");
    files_sql(settings.path, "ALTER TABLE s ADD COLUMN b JSON; UPDATE s SET b = '[1]'");
    expect("SELECT * FROM s", NULL, CALL_ROW, "{\"a\":1,\"b\":[1]}");
    files_sql(settings.path, "DROP TABLE s");
    expect_fault("SELECT * FROM s", NULL, ERR_BACKEND, "no such table: s");
}

static void waits_for_a_lock_and_then_says_busy(void **state)
{
    (void)state;
    sqlite3 *other;
    expect("SELECT 1", NULL, CALL_VALUE, "1");
    assert_int_equal(sqlite3_open(settings.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    expect("SELECT count(*) FROM t", NULL, CALL_VALUE, "0"); /* WAL: readers go on */
    expect_fault("INSERT INTO t (id) VALUES (1)", NULL, ERR_BACKEND_DOWN, "locked");
    assert_true(err_is_sick(&run.err));
    assert_int_equal(run.fate, CALL_UNDONE);
    assert_true(err_retryable(run.code));
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    expect("INSERT INTO t (id) VALUES (1)", NULL, CALL_COUNT, "1");
    expect("DELETE FROM t", NULL, CALL_COUNT, "1");
}

static void says_why_it_cannot_open(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
    } wrong[] = {
        {"missing.db", "no init file"},
        {"none/t.db", "No such file"},
        {"folder.d", "unable to open"},
        {"text", "file is not a database"},
    };
    struct sqlite_conn *kept = conn;
    const char *path = settings.path;
    files_write(files_path("text"),
                "this is no database, and it is longer than a header of one is");
    assert_int_equal(mkdir(files_path("folder.d"), 0700), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        settings.path = files_path(wrong[i].name);
        conn = sqlite_conn_new(&settings);
        expect_fault("SELECT 1", NULL, ERR_BACKEND_DOWN, wrong[i].says);
        assert_non_null(strstr(run.err.text, settings.path));
        assert_int_equal(run.opened, 0);
        sqlite_conn_free(conn);
    }
    /* A connection that could not open tries again. */
    settings.path = files_path("missing.db");
    conn = sqlite_conn_new(&settings);
    expect_fault("SELECT 1", NULL, ERR_BACKEND_DOWN, "missing.db");
    files_sql(settings.path, "CREATE TABLE t (a)");
    expect("SELECT 1", NULL, CALL_VALUE, "1");
    assert_int_equal(run.opened, 1);
    sqlite_conn_free(conn);
    rmdir(files_path("folder.d"));
    settings.path = path;
    conn = kept;
}

static void reads_a_file_that_it_may_not_write(void **state)
{
    (void)state;
    if (geteuid() == 0) /* root may write everything */
        skip();
    struct sqlite_conn *kept = conn;
    const char *path = settings.path;
    settings.path = files_path("readonly.db");
    files_sql(settings.path, "CREATE TABLE t (a); INSERT INTO t VALUES (7)");
    assert_int_equal(chmod(settings.path, 0400), 0);
    conn = sqlite_conn_new(&settings);
    expect("SELECT a FROM t", NULL, CALL_VALUE, "7");
    expect_fault("INSERT INTO t VALUES (8)", NULL, ERR_BACKEND, "readonly");
    sqlite_conn_free(conn);
    settings.path = path;
    conn = kept;
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_each_shape_asks_for),
        cmocka_unit_test(counts_changed_rows),
        cmocka_unit_test(takes_values_and_gives_them_back),
        cmocka_unit_test(keeps_bytes_apart_from_text),
        cmocka_unit_test(decodes_what_columns_are_declared_as),
        cmocka_unit_test(refuses_parameters_that_have_no_form),
        cmocka_unit_test(binds_by_number),
        cmocka_unit_test(carries_the_message_of_sqlite),
        cmocka_unit_test(lets_nothing_outlive_a_query),
        cmocka_unit_test(bounds_a_result),
        cmocka_unit_test(tells_what_became_of_a_statement_that_failed),
        cmocka_unit_test(keeps_the_statements_used_last),
        cmocka_unit_test(sees_a_changed_schema),
        cmocka_unit_test(waits_for_a_lock_and_then_says_busy),
        cmocka_unit_test(says_why_it_cannot_open),
        cmocka_unit_test(reads_a_file_that_it_may_not_write),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
