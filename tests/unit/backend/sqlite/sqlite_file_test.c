/* What a connection answers when the file under its path is not what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite_conn.h"
#include "backend/sqlite/sqlite_file.h"
#include "wire/mp.h"

#include "backend/sqlite/sqlite_files.h"
#include "log_taken.h"

#include <limits.h>
#include <sys/stat.h>
#include <time.h>

#define CONNS 2

static char path[128];
static struct sqlite_settings settings;
static struct sqlite_conn *conns[CONNS];
static struct err why;

static bool never(const struct sqlite_run *r)
{
    (void)r;
    return false;
}

/* A file with a row 1 of that name, and so many more that pages differ in number. */
static void make(const char *file, const char *name, int rows)
{
    char sql[400];
    unlink(file);
    snprintf(sql, sizeof sql,
             "CREATE TABLE u (id INTEGER PRIMARY KEY, name TEXT);"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             "INSERT INTO u SELECT i, '%s' FROM n",
             rows, name);
    files_sql(file, sql);
}

/* The name under id 1, or "" with the reason in why. */
static const char *ask(struct sqlite_conn *conn, const char *sql, enum call_shape shape)
{
    static char name[64];
    struct sqlite_run run = {.sql = slice_str(sql), .shape = shape, .given_up = never};
    buf_init(&run.result, 1 << 20);
    sqlite_conn_run(conn, &run);
    name[0] = '\0';
    why = run.err;
    if (run.code == 0 && run.found) {
        struct mp_reader r = mp_reader_of(buf_slice(&run.result));
        struct mp_token t;
        assert_int_equal(mp_next(&r, &t), MP_OK);
        snprintf(name, sizeof name, "%.*s", (int)t.bytes.size, t.bytes.data);
    }
    int code = run.code;
    buf_fini(&run.result);
    if (code == 0 && shape == CALL_VALUE)
        assert_string_not_equal(name, "");
    return name;
}

static const char *name_of(int i)
{
    return ask(conns[i], "SELECT name FROM u WHERE id = 1", CALL_VALUE);
}

/* All connections, each more than once: none may answer in turn. */
static void all_say(const char *name)
{
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < CONNS; i++)
            if (strcmp(name_of(i), name) != 0)
                fail_msg("connection %d says \"%s\" (%s), not \"%s\"", i, name_of(i), why.text,
                         name);
}

static void copy_over(const char *from, const char *to)
{
    char room[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    ssize_t n;
    while ((n = read(in, room, sizeof room)) > 0)
        assert_int_equal(write(out, room, (size_t)n), n);
    close(in);
    close(out);
}

static int start(void **state)
{
    if (files_make(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s", files_path("a.db"));
    make(path, "old", 10);
    settings = (struct sqlite_settings){
        .path = path, .statements = 4, .max_result = 1 << 20, .busy_timeout_ms = 50};
    for (int i = 0; i < CONNS; i++)
        conns[i] = sqlite_conn_new(&settings);
    return conns[0] && conns[1] ? 0 : -1;
}

static int stop(void **state)
{
    for (int i = 0; i < CONNS; i++)
        sqlite_conn_free(conns[i]);
    return files_remove(state);
}

/* A second change within one tick of the clock of files leaves all that stat tells as it was. */
static void what_was_touched_at_the_look_counts_as_changed(void **state)
{
    (void)state;
    struct sqlite_file before = sqlite_file_look(path), now = before;
    before.fresh = false;
    assert_true(sqlite_file_unchanged(&before, &now));
    before.fresh = true;
    assert_false(sqlite_file_unchanged(&before, &now));
}

static void a_file_that_was_moved_in_place_answers(void **state)
{
    (void)state;
    const char *names[] = {"second", "third", "fourth"};
    all_say("old");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *next = files_path("b.db");
        make(next, names[i], 10 + 1000 * (int)i);
        assert_int_equal(rename(next, path), 0);
        all_say(names[i]);
    }
}

static void a_replaced_file_is_told_of_once(void **state)
{
    (void)state;
    char line[200];
    all_say("old");
    log_taken_begin(LOG_INFO);
    const char *next = files_path("b.db");
    make(next, "new", 10);
    assert_int_equal(rename(next, path), 0);
    all_say("new");
    snprintf(line, sizeof line, "info  sqlite.replaced path=\"%s\"\n", path);
    log_taken_has(line);
    assert_int_equal(log_taken_count("sqlite.replaced"), 1);
    log_taken_end();
}

/* The name of the file finds the WAL of the one before it. */
static void changes_of_the_former_file_are_not_played_into_the_next(void **state)
{
    (void)state;
    all_say("old");
    ask(conns[0], "UPDATE u SET name = 'written' WHERE id = 1", CALL_COUNT);
    assert_string_equal(why.text, "");
    all_say("written");
    const char *next = files_path("b.db");
    make(next, "new", 3000);
    assert_int_equal(rename(next, path), 0);
    all_say("new");
    ask(conns[1], "UPDATE u SET name = 'again' WHERE id = 1", CALL_COUNT);
    assert_string_equal(why.text, "");
    all_say("again");
}

/* A worker opens with its first query, which may be the first one after the change. */
static void a_connection_that_opens_after_the_change_plays_nothing_in(void **state)
{
    (void)state;
    assert_string_equal(name_of(0), "old");
    ask(conns[0], "UPDATE u SET name = 'written' WHERE id = 1", CALL_COUNT);
    assert_string_equal(why.text, "");
    const char *next = files_path("b.db");
    make(next, "new", 3000);
    assert_int_equal(rename(next, path), 0);
    assert_string_equal(name_of(1), "new");
    all_say("new");
}

/* One that has had no query since two changes knows the files of the first alone. */
static void a_connection_that_slept_over_a_change_plays_nothing_in(void **state)
{
    (void)state;
    all_say("old");
    const char *next = files_path("b.db");
    make(next, "new", 3000);
    assert_int_equal(rename(next, path), 0);
    assert_string_equal(name_of(0), "new");
    ask(conns[0], "UPDATE u SET name = 'written' WHERE id = 1", CALL_COUNT);
    assert_string_equal(why.text, "");
    make(next, "newer", 6000);
    assert_int_equal(rename(next, path), 0);
    assert_string_equal(name_of(1), "newer");
    all_say("newer");
}

static void a_file_that_was_written_over_answers(void **state)
{
    (void)state;
    const char *next = files_path("b.db");
    all_say("old");
    make(next, "new", 10); /* as long as before */
    copy_over(next, path);
    all_say("new");
    make(next, "longer", 3000);
    copy_over(next, path);
    all_say("longer");
}

static void a_truncated_file_is_no_absence(void **state)
{
    (void)state;
    char kept[128];
    snprintf(kept, sizeof kept, "%s", files_path("kept.db"));
    all_say("old");
    copy_over(path, kept);
    assert_int_equal(truncate(path, 0), 0);
    for (int i = 0; i < CONNS; i++) {
        assert_string_equal(name_of(i), "");
        assert_string_not_equal(why.text, ""); /* not nil */
    }
    copy_over(kept, path);
    all_say("old");
}

static void a_file_that_was_removed_is_down_until_it_is_back(void **state)
{
    (void)state;
    all_say("old");
    assert_int_equal(unlink(path), 0);
    for (int i = 0; i < CONNS; i++) {
        assert_string_equal(name_of(i), "");
        assert_int_equal(why.code, ERR_BACKEND_DOWN);
    }
    make(path, "back", 10);
    all_say("back");
}

static void a_link_is_followed_anew(void **state)
{
    (void)state;
    char v1[128], v2[128];
    snprintf(v1, sizeof v1, "%s", files_path("v1.db"));
    snprintf(v2, sizeof v2, "%s", files_path("v2.db"));
    make(v1, "one", 10);
    make(v2, "two", 10);
    unlink(path);
    assert_int_equal(symlink("v1.db", path), 0);
    all_say("one");
    ask(conns[0], "UPDATE u SET name = 'one, written' WHERE id = 1", CALL_COUNT);
    const char *next = files_path("next");
    assert_int_equal(symlink("v2.db", next), 0);
    assert_int_equal(rename(next, path), 0);
    all_say("two");
    /* What was written to the first is there when the link comes back: its WAL was its own. */
    assert_int_equal(symlink("v1.db", next), 0);
    assert_int_equal(rename(next, path), 0);
    all_say("one, written");
    unlink(path);
    assert_int_equal(link(v2, path), 0); /* a second name of a file */
    all_say("two");
}

static void a_folder_that_came_back_answers(void **state)
{
    (void)state;
    char folder[128], aside[128];
    snprintf(folder, sizeof folder, "%s", files_path("data"));
    snprintf(aside, sizeof aside, "%s", files_path("aside"));
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s", files_path("data/a.db"));
    make(path, "first", 10);
    all_say("first");
    ask(conns[0], "UPDATE u SET name = 'first, written' WHERE id = 1", CALL_COUNT);
    assert_int_equal(rename(folder, aside), 0);
    assert_string_equal(name_of(0), "");
    assert_int_equal(why.code, ERR_BACKEND_DOWN);
    assert_int_equal(mkdir(folder, 0700), 0);
    make(path, "second", 10);
    all_say("second");
    char other[128];
    snprintf(other, sizeof other, "%s", files_path("other"));
    assert_int_equal(rename(folder, other), 0);
    assert_int_equal(rename(aside, folder), 0);
    all_say("first, written");
    for (int i = 0; i < CONNS; i++) {
        sqlite_conn_free(conns[i]);
        conns[i] = NULL;
    }
    char command[400];
    snprintf(command, sizeof command, "rm -r '%s' '%s'", folder, other);
    assert_int_equal(system(command), 0);
}

/* The application's own process writes through the WAL, checkpoints, and vacuums. */
static void what_others_write_by_the_rules_is_seen_and_kept(void **state)
{
    (void)state;
    char name[32], sql[128];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "other %d", i);
        snprintf(sql, sizeof sql, "UPDATE u SET name = '%s' WHERE id = 1%s", name,
                 i % 3 == 0   ? "; PRAGMA wal_checkpoint(TRUNCATE)"
                 : i % 3 == 1 ? "; VACUUM"
                              : "");
        files_sql(path, sql);
        all_say(name);
    }
    ask(conns[0], "UPDATE u SET name = 'ours' WHERE id = 1", CALL_COUNT);
    all_say("ours");
}

static void a_file_at_rest_is_opened_once(void **state)
{
    (void)state;
    struct timespec nap = {.tv_nsec = 1000000};
    assert_string_equal(name_of(0),
                        "old");          /* the first open turns WAL on, which changes the file */
    while (sqlite_file_look(path).fresh) /* until its times tell changes apart */
        nanosleep(&nap, NULL);
    int opened = 0;
    for (int i = 0; i < 100; i++) {
        struct sqlite_run run = {.sql = slice_str("SELECT name FROM u WHERE id = 1"),
                                 .shape = CALL_VALUE,
                                 .given_up = never};
        buf_init(&run.result, 1 << 20);
        sqlite_conn_run(conns[0], &run);
        opened += run.opened;
        buf_fini(&run.result);
        assert_int_equal(run.code, 0);
    }
    assert_in_range(opened, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_touched_at_the_look_counts_as_changed, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_file_that_was_moved_in_place_answers, start, stop),
        cmocka_unit_test_setup_teardown(a_replaced_file_is_told_of_once, start, stop),
        cmocka_unit_test_setup_teardown(changes_of_the_former_file_are_not_played_into_the_next,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_connection_that_opens_after_the_change_plays_nothing_in,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_connection_that_slept_over_a_change_plays_nothing_in,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_file_that_was_written_over_answers, start, stop),
        cmocka_unit_test_setup_teardown(a_truncated_file_is_no_absence, start, stop),
        cmocka_unit_test_setup_teardown(a_file_that_was_removed_is_down_until_it_is_back, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_link_is_followed_anew, start, stop),
        cmocka_unit_test_setup_teardown(a_folder_that_came_back_answers, start, stop),
        cmocka_unit_test_setup_teardown(what_others_write_by_the_rules_is_seen_and_kept, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_file_at_rest_is_opened_once, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
