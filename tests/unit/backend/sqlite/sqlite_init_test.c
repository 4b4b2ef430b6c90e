#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite_init.h"

#include "backend/sqlite/sqlite_files.h"

#include <limits.h>
#include <pthread.h>

static int answer;

static int keep_answer(void *arg, int count, char **values, char **names)
{
    (void)arg, (void)count, (void)names;
    answer = values[0] ? atoi(values[0]) : -1;
    return 0;
}

static int ask(const char *path, const char *sql)
{
    sqlite3 *db;
    answer = -2;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, keep_answer, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    return answer;
}

static void makes_a_database_from_a_file(void **state)
{
    (void)state;
    struct err e;
    const char *db = files_path("a.db"), *sql = files_path("a.sql");
    files_write(sql, "-- a comment\nCREATE TABLE t (a);\nBEGIN;\nINSERT INTO t VALUES (1);\n"
                     "INSERT INTO t VALUES (41) RETURNING a;\nCOMMIT;\n-- the end");
    assert_int_equal(sqlite_init_make(db, sql, &e), 0);
    assert_int_equal(ask(db, "SELECT sum(a) FROM t"), 42);
    assert_int_equal(ask(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"),
                     1);
    assert_int_equal(files_count("a.db", false), 1); /* nothing is left beside it */
}

static void leaves_a_database_that_is_there(void **state)
{
    (void)state;
    struct err e;
    const char *db = files_path("there.db"), *sql = files_path("there.sql");
    files_sql(db, "CREATE TABLE t (a); INSERT INTO t VALUES (7)");
    files_write(sql, "CREATE TABLE t (a); INSERT INTO t VALUES (8);");
    assert_int_equal(sqlite_init_make(db, sql, &e), 0);
    assert_int_equal(ask(db, "SELECT sum(a) FROM t"), 7);
    assert_int_equal(files_count("there.db", false), 1);
}

static void says_where_the_file_is_wrong_and_makes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *says;
    } wrong[] = {
        {"CREATE TABLE t (a);\n\n  INSERT INTO t\n  VALUE (1);\n", "wrong.sql:4: near \"VALUE\""},
        {"CREATE TABLE t (a);\n\nINSERT INTO u VALUES (1);\n", "wrong.sql:3: no such table: u"},
        {"CREATE TABLE t (a UNIQUE);\nINSERT INTO t VALUES (1);\n\nINSERT INTO t\nVALUES (1);\n",
         "wrong.sql:4: UNIQUE constraint failed"},
        {"CREATE TABLE t (a);\nBEGIN;\n", "BEGIN without COMMIT"},
        {"CREATE TABLE t (a", "incomplete input"},
    };
    const char *db = files_path("wrong.db"), *sql = files_path("wrong.sql");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err e;
        files_write(sql, wrong[i].sql);
        assert_int_equal(sqlite_init_make(db, sql, &e), ERR_BACKEND_DOWN);
        if (!strstr(e.text, wrong[i].says))
            fail_msg("case %zu: %s", i, e.text);
        assert_int_equal(files_count("wrong.db", false), 0);
    }
    struct err e;
    assert_int_equal(sqlite_init_make(db, files_path("missing.sql"), &e), ERR_BACKEND_DOWN);
    assert_non_null(strstr(e.text, "missing.sql: No such file"));
    files_write(sql, "CREATE TABLE t (a);");
    assert_int_equal(sqlite_init_make(files_path("none/x.db"), sql, &e), ERR_BACKEND_DOWN);
    assert_non_null(strstr(e.text, "unable to open database file"));
}

/* SQLite leaves a journal where the file wants that. */
static void nothing_is_left_beside_it(void **state)
{
    (void)state;
    static const char *const files[] = {
        "PRAGMA journal_mode = PERSIST;\nCREATE TABLE t (a);\nINSERT INTO t VALUES (1);\n",
        "PRAGMA journal_mode = PERSIST;\nCREATE TABLE t (a);\nINSERT INTO u VALUES (1);\n"};
    for (int wrong = 0; wrong < 2; wrong++) {
        struct err e;
        const char *db = files_path("left.db"), *sql = files_path("left.sql");
        files_write(sql, files[wrong]);
        assert_int_equal(sqlite_init_make(db, sql, &e), wrong ? ERR_BACKEND_DOWN : 0);
        assert_int_equal(files_count("left.db", true), !wrong);
    }
}

static void a_nul_byte_is_no_text(void **state)
{
    (void)state;
    struct err e;
    const char *db = files_path("nul.db"), *sql = files_path("nul.sql");
    static const char text[] = "CREATE TABLE t (a);\0CREATE TABLE u (a);";
    FILE *f = fopen(sql, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, sizeof text - 1, f), sizeof text - 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(sqlite_init_make(db, sql, &e), ERR_BACKEND_DOWN);
    assert_non_null(strstr(e.text, "nul.sql: a NUL byte in it"));
    assert_int_equal(files_count("nul.db", false), 0);
}

/* The file has a longer name until it is whole: 21 bytes more, and the NUL behind it. */
static void a_path_has_room_for_the_name_that_comes_before_it(void **state)
{
    (void)state;
    struct err e;
    char path[PATH_MAX];
    const char *sql = files_path("long.sql");
    files_write(sql, "CREATE TABLE t (a);");
    memset(path, 'x', sizeof path);
    path[0] = path[2] = '/'; /* in a folder that is not there */
    path[PATH_MAX - 21] = '\0';
    assert_int_equal(sqlite_init_make(path, sql, &e), ERR_BACKEND_DOWN);
    assert_string_equal(e.text, "the path of the database is too long");
    path[PATH_MAX - 22] = '\0';
    assert_int_equal(sqlite_init_make(path, sql, &e), ERR_BACKEND_DOWN);
    assert_memory_equal(e.text, "cannot make /x/x", 16);
}

enum { MAKERS = 6 };

struct maker {
    pthread_barrier_t *start;
    const char *db, *sql;
    int code, rows;
};

static void *make(void *arg)
{
    struct maker *m = arg;
    struct err e;
    pthread_barrier_wait(m->start);
    m->code = sqlite_init_make(m->db, m->sql, &e);
    /* Whoever made it: it is complete for everybody from now on. */
    sqlite3 *db;
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_open_v2(m->db, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, 30000) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        m->rows = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return NULL;
}

static void makes_one_when_many_start_at_once(void **state)
{
    (void)state;
    pthread_t threads[MAKERS];
    pthread_barrier_t begin;
    struct maker makers[MAKERS];
    char db[128], sql[128];
    snprintf(db, sizeof db, "%s", files_path("many.db"));
    snprintf(sql, sizeof sql, "%s", files_path("many.sql"));
    files_write(sql, "CREATE TABLE t (a);"
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
                     "INSERT INTO t SELECT i FROM n;");
    pthread_barrier_init(&begin, NULL, MAKERS);
    for (int i = 0; i < MAKERS; i++) {
        makers[i] = (struct maker){.start = &begin, .db = db, .sql = sql};
        assert_int_equal(pthread_create(&threads[i], NULL, make, &makers[i]), 0);
    }
    for (int i = 0; i < MAKERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&begin);
    for (int i = 0; i < MAKERS; i++) {
        assert_int_equal(makers[i].code, 0);
        assert_int_equal(makers[i].rows, 500);
    }
    assert_int_equal(files_count("many.db.new", false), 0);
}

static void the_demo_is_made(void **state)
{
    (void)state;
    struct err e;
    const char *db = files_path("demo.db");
    if (access("scripts/demo.sql", R_OK) != 0)
        fail_msg("scripts/demo.sql is not there: start the test in the project's folder");
    if (sqlite_init_make(db, "scripts/demo.sql", &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(ask(db, "SELECT count(*) FROM users"), 1000);
    assert_int_equal(ask(db, "SELECT count(*) FROM products"), 500);
    assert_true(ask(db, "SELECT count(*) FROM teams") >= 10);
    assert_int_equal(ask(db, "SELECT count(*) FROM users WHERE name IS NULL OR team_id IS NULL "
                             "OR NOT json_valid(settings) OR version IS NULL"),
                     0);
    assert_int_equal(ask(db, "SELECT count(*) FROM products WHERE name IS NULL OR price_cents <= 0 "
                             "OR stock < 0 OR NOT json_valid(tags) OR version IS NULL"),
                     0);
    assert_int_equal(ask(db, "SELECT count(DISTINCT email) FROM users"), 1000);
    assert_int_equal(ask(db, "SELECT count(DISTINCT name) FROM products"), 500);
    assert_true(ask(db, "SELECT count(DISTINCT name) FROM users") > 900);
    assert_int_equal(ask(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_database_from_a_file),
        cmocka_unit_test(leaves_a_database_that_is_there),
        cmocka_unit_test(says_where_the_file_is_wrong_and_makes_nothing),
        cmocka_unit_test(nothing_is_left_beside_it),
        cmocka_unit_test(a_nul_byte_is_no_text),
        cmocka_unit_test(a_path_has_room_for_the_name_that_comes_before_it),
        cmocka_unit_test(makes_one_when_many_start_at_once),
        cmocka_unit_test(the_demo_is_made),
    };
    return cmocka_run_group_tests(tests, files_make, files_remove);
}
