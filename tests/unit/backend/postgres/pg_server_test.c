#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "pg_server.h"

#define PATIENCE_MS 60000

/* What the process that has a server tells of it. */
struct told {
    pid_t postmaster;
    char folder[64];
};

static pid_t postmaster_of(const struct pg_server *s)
{
    char path[256];
    int pid = 0;
    snprintf(path, sizeof path, "%s/data/postmaster.pid", s->folder);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    return pid;
}

/* Starts a server, tells of it, and ends as `how` says once it is allowed to. */
static void be_a_test(int how, int tell, int allowed)
{
    char word;
    struct told told = {0};
    struct pg_server *s = pg_server_new();
    if (!s)
        _exit(1);
    told.postmaster = postmaster_of(s);
    memcpy(told.folder, s->folder, sizeof told.folder);
    if (write(tell, &told, sizeof told) != sizeof told || read(allowed, &word, 1) != 1)
        _exit(1);
    if (how == 0)
        _exit(0);
    raise(how);
}

static void ends_with_its_test(int how)
{
    int tell[2], allow[2], status;
    struct told told;
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    assert_int_equal(pipe2(allow, O_CLOEXEC), 0);
    pid_t test = fork();
    if (test == 0)
        be_a_test(how, tell[1], allow[0]);
    close(tell[1]);
    assert_int_equal(read(tell[0], &told, sizeof told), sizeof told);
    assert_true(told.postmaster > 1);
    int postmaster = (int)syscall(SYS_pidfd_open, told.postmaster, 0);
    assert_true(postmaster >= 0);
    assert_int_equal(write(allow[1], "", 1), 1);
    assert_int_equal(waitpid(test, &status, 0), test);
    assert_int_equal(how == 0 ? WEXITSTATUS(status) : WTERMSIG(status), how);
    struct pollfd ended = {.fd = postmaster, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, PATIENCE_MS), 1);
    for (int ms = 0; access(told.folder, F_OK) == 0 && ms < PATIENCE_MS; ms++)
        usleep(1000);
    assert_int_not_equal(access(told.folder, F_OK), 0);
    close(postmaster);
    close(tell[0]);
    close(allow[0]);
    close(allow[1]);
}

static void a_server_ends_with_a_test_that_just_exits(void **state)
{
    (void)state;
    ends_with_its_test(0);
}

static void a_server_ends_with_a_test_that_is_killed(void **state)
{
    (void)state;
    ends_with_its_test(SIGKILL);
}

static void a_server_is_gone_when_it_was_freed(void **state)
{
    (void)state;
    struct pg_server *s = pg_server_new();
    assert_non_null(s);
    char folder[64];
    memcpy(folder, s->folder, sizeof folder);
    struct pollfd ended = {.events = POLLIN};
    ended.fd = (int)syscall(SYS_pidfd_open, postmaster_of(s), 0);
    assert_true(ended.fd >= 0);
    assert_int_equal(poll(&ended, 1, 0), 0);
    pg_server_free(s);
    assert_int_equal(poll(&ended, 1, 0), 1);
    close(ended.fd);
    assert_int_not_equal(access(folder, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_ends_with_a_test_that_just_exits),
        cmocka_unit_test(a_server_ends_with_a_test_that_is_killed),
        cmocka_unit_test(a_server_is_gone_when_it_was_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
