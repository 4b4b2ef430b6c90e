/* The statements of a connection: by their text, by use, and what their words say of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_stmt.h"

#include <stdio.h>
#include <stdlib.h>

static struct pg_stmt *add(struct pg_stmts *s, const char *sql)
{
    struct pg_stmt *st;
    struct err e;
    if (pg_stmt_add(s, slice_str(sql), &st, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    return st;
}

static void a_statement_is_found_by_its_whole_text(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct pg_stmts s;
    struct pg_stmt *all[COUNT];
    char sql[40];
    assert_int_equal(pg_stmt_init(&s, 3), 0); /* many in each bucket */
    assert_null(pg_stmt_find(&s, slice_str("SELECT 0")));
    for (int i = 0; i < COUNT; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        all[i] = add(&s, sql);
        assert_string_equal(all[i]->sql, sql);
        assert_int_equal(all[i]->sql_size, strlen(sql));
        assert_int_equal(all[i]->refs, 1);
        assert_int_equal(s.count, i + 1);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_ptr_equal(pg_stmt_find(&s, slice_str(sql)), all[i]);
    }
    assert_null(pg_stmt_find(&s, slice_str("SELECT")));
    for (int i = 0; i < COUNT; i += 2) { /* out of the middle of its bucket */
        pg_stmt_take(&s, all[i]);
        pg_stmt_unref(all[i]);
    }
    assert_int_equal(s.count, COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_ptr_equal(pg_stmt_find(&s, slice_str(sql)), i % 2 ? all[i] : NULL);
    }
    pg_stmt_clear(&s);
    assert_int_equal(s.count, 0);
    assert_null(pg_stmt_find(&s, slice_str("SELECT 1")));
    pg_stmt_fini(&s);
}

static void the_least_used_one_goes_first_once_it_is_described(void **state)
{
    (void)state;
    struct pg_stmts s;
    assert_int_equal(pg_stmt_init(&s, 2), 0);
    struct pg_stmt *a = add(&s, "SELECT 1"), *b = add(&s, "SELECT 2");
    a->described = b->described = true;
    assert_null(pg_stmt_evictable(&s)); /* as many as there may be */
    struct pg_stmt *c = add(&s, "SELECT 3");
    assert_ptr_equal(pg_stmt_evictable(&s), a);
    assert_ptr_equal(pg_stmt_find(&s, slice_str("SELECT 1")), a); /* it is used */
    assert_ptr_equal(pg_stmt_evictable(&s), b);
    b->describing = true;
    assert_ptr_equal(pg_stmt_evictable(&s), a);
    a->described = false;
    assert_null(pg_stmt_evictable(&s));
    c->described = true; /* the most recent one */
    assert_ptr_equal(pg_stmt_evictable(&s), c);
    pg_stmt_fini(&s);
    assert_null(s.buckets);
}

static void at_least_one_is_kept(void **state)
{
    (void)state;
    struct pg_stmts s;
    assert_int_equal(pg_stmt_init(&s, 0), 0);
    add(&s, "SELECT 1")->described = true;
    assert_null(pg_stmt_evictable(&s));
    add(&s, "SELECT 2");
    assert_non_null(pg_stmt_evictable(&s));
    pg_stmt_fini(&s);
    assert_int_equal(pg_stmt_init(&s, 64), 0);
    assert_int_equal(s.bucket_mask, 63);
    pg_stmt_fini(&s);
    assert_int_equal(pg_stmt_init(&s, 65), 0);
    assert_int_equal(s.bucket_mask, 127);
    pg_stmt_fini(&s);
}

/* A reference of its own outlives the cache. */
static void a_statement_lives_as_long_as_it_is_used(void **state)
{
    (void)state;
    struct pg_stmts s;
    assert_int_equal(pg_stmt_init(&s, 2), 0);
    struct pg_stmt *st = add(&s, "SELECT 1");
    st->refs++;
    pg_stmt_fini(&s);
    assert_int_equal(st->refs, 1);
    assert_string_equal(st->sql, "SELECT 1");
    assert_true(list_empty(&st->lru));
    pg_stmt_unref(st);
}

static void words_tell_what_may_run_again(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool reads, nameable, repeats;
    } cases[] = {
        {"SELECT 1", true, true, true},
        {"values (1)", true, true, true},
        {"TABLE t", true, true, true},
        {"(SELECT 1)", true, true, true},
        {"/* INSERT */ SELECT 'update'", true, true, true},
        {"WITH x AS (SELECT 1) SELECT * FROM x", false, true, true},
        {"WITH x AS (DELETE FROM t RETURNING *) TABLE x", false, false, true},
        {"WITH x AS (SELECT 1) INSERT INTO t TABLE x", false, false, true},
        {"with x as (select 1) update t set n = 1", false, false, true},
        {"WITH x AS (SELECT 1) MERGE", false, false, true},
        {"WITH merged AS (SELECT 1) TABLE merged", false, true, true},
        {"WITH updates AS (SELECT 1) TABLE updates", false, true, true},
        {"INSERT INTO t VALUES (1)", false, false, true},
        {"update t set n = 1", false, false, true},
        {"DELETE FROM t", false, false, true},
        {"MERGE INTO t", false, false, true},
        {"CALL p()", false, false, false},
        {"DO $$ BEGIN END $$", false, false, false},
        {"CREATE TABLE t ()", false, false, false},
        {"", false, false, false},
        {"SELECTED", false, false, false},
    };
    struct pg_stmts s;
    assert_int_equal(pg_stmt_init(&s, 64), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pg_stmt *st = add(&s, cases[i].sql);
        if (st->reads != cases[i].reads || st->nameable != cases[i].nameable ||
            st->repeats != cases[i].repeats || st->alone == cases[i].reads)
            fail_msg("\"%s\": %d %d %d %d", cases[i].sql, st->reads, st->nameable, st->repeats,
                     st->alone);
    }
    pg_stmt_fini(&s);
}

static void what_a_shared_connection_cannot_run_is_refused_by_its_word(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *word, *why;
    } cases[] = {
        {"begin", "BEGIN", "transactions"},
        {"START TRANSACTION", "START", "transactions"},
        {"COMMIT", "COMMIT", "transactions"},
        {"END", "END", "transactions"},
        {"ROLLBACK", "ROLLBACK", "transactions"},
        {"ABORT", "ABORT", "transactions"},
        {"SAVEPOINT a", "SAVEPOINT", "transactions"},
        {"RELEASE a", "RELEASE", "transactions"},
        {"SET a = 1", "SET", "session settings"},
        {"RESET a", "RESET", "session settings"},
        {"DISCARD ALL", "DISCARD", "session state"},
        {"PREPARE a AS SELECT 1", "PREPARE", "session state"},
        {"DEALLOCATE a", "DEALLOCATE", "session state"},
        {"LISTEN a", "LISTEN", "session state"},
        {"UNLISTEN a", "UNLISTEN", "session state"},
        {"DECLARE a CURSOR FOR SELECT 1", "DECLARE", "cursors"},
        {"FETCH a", "FETCH", "cursors"},
        {"MOVE a", "MOVE", "cursors"},
        {"CLOSE a", "CLOSE", "cursors"},
        {"copy t to stdout", "COPY", "COPY"},
    };
    struct pg_stmts s;
    struct pg_stmt *st;
    struct err e;
    assert_int_equal(pg_stmt_init(&s, 2), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[200];
        assert_int_equal(pg_stmt_add(&s, slice_str(cases[i].sql), &st, &e), ERR_BAD_REQUEST);
        snprintf(want, sizeof want,
                 "%s: connections are shared by all queries, so no %s; a function or a single "
                 "statement can do it",
                 cases[i].word, cases[i].why);
        assert_string_equal(e.text, want);
    }
    assert_int_equal(pg_stmt_add(&s, slice_of("SELECT 1\0", 9), &st, &e), ERR_BAD_REQUEST);
    assert_string_equal(e.text, "SQL with a NUL byte");
    assert_int_equal(s.count, 0);
    add(&s, "SETTLE"); /* begins with such a word, and is another */
    add(&s, "SE");
    assert_int_equal(s.count, 2);
    pg_stmt_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_is_found_by_its_whole_text),
        cmocka_unit_test(the_least_used_one_goes_first_once_it_is_described),
        cmocka_unit_test(at_least_one_is_kept),
        cmocka_unit_test(a_statement_lives_as_long_as_it_is_used),
        cmocka_unit_test(words_tell_what_may_run_again),
        cmocka_unit_test(what_a_shared_connection_cannot_run_is_refused_by_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
