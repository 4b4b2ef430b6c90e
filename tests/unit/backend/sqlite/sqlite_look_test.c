/* What is known of a file and of those beside it, by a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite_beside.h"
#include "backend/sqlite/sqlite_file.h"

#include "backend/sqlite/sqlite_files.h"

#include <dlfcn.h>
#include <time.h>

/* The wall clock says this, unless it is 0. */
static int64_t now_ns;

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int (*of_libc)(clockid_t, struct timespec *);
    if (clock == CLOCK_REALTIME && now_ns != 0) {
        *out = (struct timespec){.tv_sec = now_ns / 1000000000, .tv_nsec = now_ns % 1000000000};
        return 0;
    }
    void *at = dlsym(RTLD_NEXT, "clock_gettime");
    memcpy(&of_libc, &at, sizeof at);
    return of_libc(clock, out);
}

static void a_look_is_what_stat_says(void **state)
{
    (void)state;
    struct stat st;
    const char *path = files_path("a");
    files_write(path, "twelve bytes");
    assert_int_equal(stat(path, &st), 0);
    struct sqlite_file f = sqlite_file_look(path);
    assert_true(f.there);
    assert_true(f.dev == st.st_dev && f.ino == st.st_ino);
    assert_int_equal(f.size, 12);
    assert_true(f.written_ns == st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    assert_true(f.changed_ns == st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
    assert_false(sqlite_file_look(files_path("none")).there);
}

/* Twenty milliseconds on either side: the clock may have been set back. */
static void a_file_is_fresh_for_a_tick(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ns;
        bool fresh;
    } cases[] = {{0, true},           {19999999, true},  {20000000, false},
                 {1000000000, false}, {-19999999, true}, {-20000000, false}};
    const char *path = files_path("a");
    files_write(path, "x");
    int64_t changed_ns = sqlite_file_look(path).changed_ns;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        now_ns = changed_ns + cases[i].after_ns;
        if (sqlite_file_look(path).fresh != cases[i].fresh)
            fail_msg("after %lld ns", (long long)cases[i].after_ns);
    }
    now_ns = 0;
}

static void each_thing_that_differs_is_a_change(void **state)
{
    (void)state;
    const struct sqlite_file f = {
        .there = true, .dev = 1, .ino = 2, .size = 3, .written_ns = 4, .changed_ns = 5};
    struct sqlite_file other[7];
    for (int i = 0; i < 7; i++)
        other[i] = f;
    other[0].there = false;
    other[1].dev++;
    other[2].ino++;
    other[3].size++;
    other[4].written_ns++;
    other[5].changed_ns++;
    assert_true(sqlite_file_unchanged(&f, &other[6]));
    for (int i = 0; i < 7; i++) {
        assert_int_equal(sqlite_file_is_same(&f, &other[i]), i >= 3);
        assert_int_equal(sqlite_file_is_same(&other[i], &f), i >= 3);
        assert_int_equal(sqlite_file_unchanged(&f, &other[i]), i == 6);
        assert_int_equal(sqlite_file_unchanged(&other[i], &f), i == 6);
    }
    other[6].fresh = true; /* of the first look */
    assert_false(sqlite_file_unchanged(&other[6], &f));
    assert_true(sqlite_file_unchanged(&f, &other[6]));
}

static void make_all(const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char file[40];
        snprintf(file, sizeof file, "%s%s", name, suffixes[i]);
        files_write(files_path(file), "x");
    }
}

static bool is_there(const char *name)
{
    return access(files_path(name), F_OK) == 0;
}

/* What stands beside a file that was replaced is the former one's. It is dropped once. */
static void what_is_beside_a_replaced_file_goes_with_it(void **state)
{
    (void)state;
    char path[128], other[128];
    snprintf(path, sizeof path, "%s", files_path("db"));
    snprintf(other, sizeof other, "%s", files_path("other"));
    assert_false(sqlite_beside_drop(path)); /* nobody has looked */
    make_all("db");
    make_all("other");
    struct sqlite_file f = sqlite_file_look(other);
    sqlite_beside_look(other, &f);
    f = sqlite_file_look(path);
    sqlite_beside_look(path, &f);
    assert_false(sqlite_beside_drop(path)); /* it is the one that was seen */
    assert_true(is_there("db-wal") && is_there("db-shm"));
    files_write(files_path("next"), "y");
    assert_int_equal(rename(files_path("next"), path), 0);
    assert_true(sqlite_beside_drop(path));
    assert_false(is_there("db-wal"));
    assert_false(is_there("db-shm"));
    assert_true(is_there("db"));
    assert_true(is_there("other-wal") && is_there("other-shm"));
    assert_false(sqlite_beside_drop(path)); /* it was told */
    make_all("db");
    f = sqlite_file_look(path); /* and then once more */
    sqlite_beside_look(path, &f);
    assert_int_equal(unlink(path), 0);
    assert_true(sqlite_beside_drop(path));
    assert_false(is_there("db-wal"));
}

/* One that somebody has put there meanwhile is another's, and stays. */
static void what_is_another_file_by_now_stays(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s", files_path("kept"));
    make_all("kept");
    struct sqlite_file f = sqlite_file_look(path);
    sqlite_beside_look(path, &f);
    files_write(files_path("new"), "y");
    assert_int_equal(rename(files_path("new"), path), 0);
    files_write(files_path("new"), "y");
    assert_int_equal(rename(files_path("new"), files_path("kept-wal")), 0);
    assert_true(sqlite_beside_drop(path));
    assert_true(is_there("kept-wal"));
    assert_false(is_there("kept-shm"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_is_what_stat_says),
        cmocka_unit_test(a_file_is_fresh_for_a_tick),
        cmocka_unit_test(each_thing_that_differs_is_a_change),
        cmocka_unit_test(what_is_beside_a_replaced_file_goes_with_it),
        cmocka_unit_test(what_is_another_file_by_now_stays),
    };
    return cmocka_run_group_tests(tests, files_make, files_remove);
}
