#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "calls.h"
#include "state/state_folder.h"

#include <sys/wait.h>

static struct err e;

/* What e says behind the folder's name. */
static const char *says(void)
{
    static char text[2 * ERR_TEXT_MAX];
    char *at = strstr(e.text, state_folder);
    snprintf(text, sizeof text, "%.*sDIR%s", at ? (int)(at - e.text) : 0, e.text,
             at ? at + strlen(state_folder) : e.text);
    return text;
}

static int open_rc(void)
{
    struct state_dir *d = NULL;
    err_clear(&e);
    int rc = state_dir_open(&d, state_folder, &e);
    assert_true((rc == 0) == (d != NULL));
    state_dir_close(d);
    return rc;
}

static void is_made_for_its_owner_alone(void **state)
{
    (void)state;
    struct stat st;
    mode_t before = umask(0);
    struct state_dir *d = state_opened();
    umask(before);
    assert_int_equal(stat(state_folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_string_equal(state_dir_path(d), state_folder);
    int fd;
    assert_int_equal(state_dir_create(d, "one", &fd, &e), 0);
    close(fd);
    assert_int_equal(stat(state_path("one"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    state_dir_close(d);
}

static void a_second_server_is_refused(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    char expected[200];
    snprintf(expected, sizeof expected, "state folder DIR: another server has it, process %d",
             getpid());
    assert_int_equal(open_rc(), ERR_CONFIG);
    assert_string_equal(says(), expected);
    state_dir_close(d);
    assert_int_equal(open_rc(), 0);
}

static void a_second_server_is_refused_also_without_a_number(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    state_write("lock", "", 0);
    assert_int_equal(open_rc(), ERR_CONFIG);
    assert_string_equal(says(), "state folder DIR: another server has it");
    state_dir_close(d);
}

static void the_lock_ends_with_its_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct state_dir *d;
        _exit(state_dir_open(&d, state_folder, NULL) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(open_rc(), 0);
}

static void a_folder_that_others_can_write_to_is_refused(void **state)
{
    (void)state;
    static const int modes[] = {0720, 0702, 0777};
    assert_int_equal(open_rc(), 0);
    for (size_t i = 0; i < 3; i++) {
        char expected[200];
        assert_int_equal(chmod(state_folder, (mode_t)modes[i]), 0);
        assert_int_equal(open_rc(), ERR_CONFIG);
        snprintf(expected, sizeof expected,
                 "state folder DIR: others than its owner can write to the folder (mode %04o)",
                 modes[i]);
        assert_string_equal(says(), expected);
    }
    assert_int_equal(chmod(state_folder, 0755), 0);
    assert_int_equal(open_rc(), 0);
}

/* As root alone it can be given to somebody. */
static void what_is_somebody_elses_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    int fd;
    assert_int_equal(open_rc(), 0);
    assert_int_equal(chown(state_folder, 65534, 65534), 0);
    assert_int_equal(open_rc(), ERR_CONFIG);
    assert_string_equal(says(),
                        "state folder DIR: the folder belongs to user 65534, and this is user 0");
    assert_int_equal(chown(state_folder, 0, 0), 0);
    struct state_dir *d = state_opened();
    state_write("one", "1", 1);
    assert_int_equal(chown(state_path("one"), 65534, 65534), 0);
    assert_int_equal(state_dir_read(d, "one", &fd, &e), ERR_CONFIG);
    assert_int_equal(fd, -1);
    assert_string_equal(says(), "state folder DIR: one belongs to user 65534, and this is user 0");
    state_dir_close(d);
    assert_int_equal(chown(state_path("lock"), 65534, 65534), 0);
    assert_int_equal(open_rc(), ERR_CONFIG);
    assert_string_equal(says(), "state folder DIR: lock belongs to user 65534, and this is user 0");
}

static void who_only_looks_reads_beside_a_server_and_changes_nothing(void **state)
{
    (void)state;
    struct state_dir *look = NULL;
    struct stat st;
    char byte;
    int fd;
    assert_int_equal(state_dir_look(&look, state_folder, &e), ERR_IO);
    assert_null(look);
    assert_int_equal(stat(state_folder, &st), -1);
    struct state_dir *d = state_opened();
    state_write("one", "1", 1);
    state_write("two" STATE_NEW, "2", 1);
    state_write("three" STATE_CLAIMED, "3", 1);
    if (geteuid() == 0) { /* as a server's files are that is another user */
        assert_int_equal(chown(state_folder, 65534, 65534), 0);
        assert_int_equal(chown(state_path("one"), 65534, 65534), 0);
    }
    assert_int_equal(state_dir_look(&look, state_folder, &e), 0);
    assert_string_equal(state_names(), "one three" STATE_CLAIMED " two" STATE_NEW);
    assert_int_equal(state_dir_read(look, "one", &fd, &e), 0);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, '1');
    close(fd);
    assert_int_equal(symlink("one", state_path("link")), 0);
    assert_int_equal(state_dir_read(look, "link", &fd, &e), ERR_IO);
    assert_int_equal(mkfifo(state_path("pipe"), 0600), 0);
    assert_int_equal(state_dir_read(look, "pipe", &fd, &e), ERR_CONFIG);
    state_dir_close(look);
    if (geteuid() == 0)
        assert_int_equal(chown(state_folder, 0, 0), 0);
    assert_int_equal(open_rc(), ERR_CONFIG); /* the server still has it */
    state_dir_close(d);
}

static void a_link_or_a_pipe_is_no_file(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    int fd;
    state_write("real", "1", 1);
    assert_int_equal(symlink("real", state_path("link")), 0);
    assert_int_equal(mkfifo(state_path("pipe"), 0600), 0);
    assert_int_equal(mkdir(state_path("folder"), 0700), 0);
    assert_int_equal(state_dir_read(d, "link", &fd, &e), ERR_IO);
    assert_int_equal(fd, -1);
    assert_string_equal(says(), "state folder DIR: cannot open link: it is a symbolic link");
    assert_int_equal(state_dir_append(d, "link", &fd, &e), ERR_IO);
    assert_int_equal(state_dir_read(d, "pipe", &fd, &e), ERR_CONFIG);
    assert_string_equal(says(), "state folder DIR: pipe is no plain file");
    assert_int_equal(state_dir_read(d, "folder", &fd, &e), ERR_CONFIG);
    assert_int_equal(fd, -1);
    assert_int_equal(chmod(state_path("real"), 0620), 0);
    assert_int_equal(state_dir_read(d, "real", &fd, &e), ERR_CONFIG);
    assert_string_equal(says(),
                        "state folder DIR: others than its owner can write to real (mode 0620)");
    state_dir_close(d);
    assert_int_equal(unlink(state_path("lock")), 0);
    assert_int_equal(symlink("real", state_path("lock")), 0);
    assert_int_equal(open_rc(), ERR_IO);
    assert_string_equal(says(), "state folder DIR: cannot open lock: it is a symbolic link");
}

static void a_new_file_takes_the_place_of_what_was_there(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    int fd;
    size_t size;
    state_write("real", "1", 1);
    assert_int_equal(symlink("real", state_path("one")), 0);
    assert_int_equal(state_dir_create(d, "one", &fd, &e), 0);
    assert_int_equal(write(fd, "new", 3), 3);
    close(fd);
    assert_int_equal(state_dir_append(d, "one", &fd, &e), 0);
    assert_int_equal(write(fd, "er", 2), 2);
    assert_int_equal(ftruncate(fd, 4), 0);
    close(fd);
    char *bytes = state_bytes("one", &size);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "newe", 4);
    free(bytes);
    bytes = state_bytes("real", &size);
    assert_int_equal(size, 1);
    free(bytes);
    state_dir_close(d);
}

static void what_is_not_there_is_no_error_to_read(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    int fd = 7;
    err_clear(&e);
    assert_int_equal(state_dir_read(d, "none", &fd, &e), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(state_dir_remove(d, "none", &e), 0);
    assert_int_equal(e.code, 0);
    assert_int_equal(state_dir_append(d, "none", &fd, &e), ERR_IO);
    assert_string_equal(says(), "state folder DIR: cannot open none: No such file or directory");
    assert_int_equal(state_dir_rename(d, "none", "other", &e), ERR_IO);
    assert_string_equal(says(), "state folder DIR: cannot rename none: No such file or directory");
    state_dir_close(d);
}

static void leftovers_are_removed_at_the_open(void **state)
{
    (void)state;
    assert_int_equal(open_rc(), 0);
    state_write("snapshot" STATE_NEW, "1", 1);
    state_write("snapshot" STATE_CLAIMED, "1", 1);
    state_write("snapshot", "1", 1);
    state_write("notes" STATE_NEW ".txt", "1", 1);
    assert_int_equal(open_rc(), 0);
    assert_string_equal(state_names(), "notes" STATE_NEW ".txt snapshot");
    assert_int_equal(mkdir(state_path("a" STATE_NEW), 0700), 0);
    assert_int_equal(open_rc(), ERR_IO);
    assert_string_equal(says(), "state folder DIR: cannot remove a" STATE_NEW ": Is a directory");
}

static void a_folder_that_cannot_be_is_said(void **state)
{
    (void)state;
    struct state_dir *d;
    char path[100];
    snprintf(path, sizeof path, "%s/no/state", state_above);
    assert_int_equal(state_dir_open(&d, path, &e), ERR_IO);
    assert_null(d);
    assert_non_null(strstr(e.text, "cannot make the state folder /tmp/rtcache-state-"));
    snprintf(path, sizeof path, "%s/file", state_above);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(state_dir_open(&d, path, &e), ERR_IO);
    assert_non_null(strstr(e.text, "/file: Not a directory"));
}

/* One call that fails, and what is said. */
static void each_call_that_fails_is_told(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int nth, reason;
        const char *says; /* NULL: it goes on all the same */
    } cases[] = {
        {CALL_MKDIR, 1, EACCES, "cannot make the state folder DIR: Permission denied"},
        {CALL_FSTAT, 1, EIO, "state folder DIR: cannot look at the folder: Input/output error"},
        {CALL_FSTAT, 2, EIO, "state folder DIR: cannot look at lock: Input/output error"},
        {CALL_FLOCK, 1, ENOLCK, "state folder DIR: cannot lock lock: No locks available"},
        {CALL_OPENAT, 1, ENOENT, "state folder DIR: cannot open lock: No such file or directory"},
        {CALL_OPENAT, 1, EROFS, "state folder DIR: cannot open lock: Read-only file system"},
        {CALL_OPENAT, 2, EMFILE, "state folder DIR: cannot list its files: Too many open files"},
        {CALL_FTRUNCATE, 1, ENOSPC, NULL},
    };
    assert_int_equal(open_rc(), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        call_plan(cases[i].call, cases[i].nth, cases[i].reason);
        int rc = open_rc();
        calls_forget();
        assert_int_equal(rc, cases[i].says ? ERR_IO : 0);
        if (cases[i].says)
            assert_string_equal(says(), cases[i].says);
        assert_int_equal(open_rc(), 0); /* and nothing was left locked */
    }
}

static void a_folder_that_was_made_is_on_the_disk_itself(void **state)
{
    (void)state;
    call_plan(CALL_FSYNC, 1, EIO); /* asked for; that it fails is no harm */
    assert_int_equal(open_rc(), 0);
    calls_forget();
    call_plan(CALL_FSYNC, 1, EIO); /* not asked for where it was there */
    assert_int_equal(open_rc(), 0);
    call_plan(CALL_FSYNC, 0, 0);
}

static void names_reach_the_disk(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    state_write("one", "1", 1);
    call_plan(CALL_FSYNC, 1, EIO);
    assert_int_equal(state_dir_sync(d, &e), ERR_IO);
    assert_string_equal(says(),
                        "state folder DIR: cannot write the folder itself: Input/output error");
    calls_forget();
    assert_int_equal(state_dir_rename(d, "one", "three", &e), 0);
    assert_string_equal(state_names(), "three");
    call_plan(CALL_UNLINKAT, 1, EIO);
    assert_int_equal(state_dir_remove(d, "three", &e), ERR_IO);
    assert_string_equal(says(), "state folder DIR: cannot remove three: Input/output error");
    assert_int_equal(state_dir_remove(d, "three", &e), 0);
    assert_string_equal(state_names(), "");
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_made_for_its_owner_alone),
        TEST(a_second_server_is_refused),
        TEST(a_second_server_is_refused_also_without_a_number),
        TEST(the_lock_ends_with_its_process),
        TEST(a_folder_that_others_can_write_to_is_refused),
        TEST(what_is_somebody_elses_is_refused),
        TEST(who_only_looks_reads_beside_a_server_and_changes_nothing),
        TEST(a_link_or_a_pipe_is_no_file),
        TEST(a_new_file_takes_the_place_of_what_was_there),
        TEST(what_is_not_there_is_no_error_to_read),
        TEST(leftovers_are_removed_at_the_open),
        TEST(a_folder_that_cannot_be_is_said),
        TEST(each_call_that_fails_is_told),
        TEST(a_folder_that_was_made_is_on_the_disk_itself),
        TEST(names_reach_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
