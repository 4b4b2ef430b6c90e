/* The user that a server started by root becomes, for a while and for good; and its log's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/server.h"

#include "base/log.h"
#include "conf/folder.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>

static struct conf conf = {.file = "/etc/rtcache.conf", .log_level = "info"};
static struct account account;
static struct err e;

static int start(void **state)
{
    conf.user = "nobody";
    conf.log_file = NULL;
    err_clear(&e);
    return folder_make(state);
}

static void only_root_becomes_somebody(void)
{
    if (geteuid() != 0)
        skip();
}

static void a_user_that_there_is_not_is_told(void **state)
{
    (void)state;
    only_root_becomes_somebody();
    conf.user = "no-such-user";
    assert_int_equal(account_of(&conf, &account, &e), ERR_CONFIG);
    assert_string_equal(e.text, "/etc/rtcache.conf: user: there is no user \"no-such-user\"");
    assert_null(account.name);
}

static void without_a_user_nothing_changes(void **state)
{
    (void)state;
    conf.user = NULL;
    assert_int_equal(account_of(&conf, &account, &e), 0);
    assert_null(account.name);
    uid_t uid = geteuid();
    assert_int_equal(account_enter(&account, &e), 0);
    assert_int_equal(geteuid(), uid);
    account_leave(&account);
    assert_int_equal(account_become(&account, &e), 0);
    assert_int_equal(geteuid(), uid);
}

static void for_a_while_it_is_that_user_and_then_itself(void **state)
{
    (void)state;
    only_root_becomes_somebody();
    const struct passwd *pw = getpwnam("nobody");
    gid_t before[ACCOUNT_GROUPS], after[ACCOUNT_GROUPS], egid = getegid();
    int count = getgroups(ACCOUNT_GROUPS, before);
    assert_int_equal(account_of(&conf, &account, &e), 0);
    assert_string_equal(account.name, "nobody");
    assert_int_equal(account.uid, pw->pw_uid);
    assert_int_equal(account.gid, pw->pw_gid);
    assert_int_equal(account_enter(&account, &e), 0);
    assert_int_equal(geteuid(), pw->pw_uid);
    assert_int_equal(getegid(), pw->pw_gid);
    assert_int_equal(getuid(), 0);
    assert_true(getgroups(ACCOUNT_GROUPS, after) >= 1);
    account_leave(&account);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), egid);
    assert_int_equal(getgroups(ACCOUNT_GROUPS, after), count);
    assert_memory_equal(after, before, (size_t)count * sizeof *before);
}

/* In another process, for it cannot be undone. */
static void for_good_it_is_that_user_alone(void **state)
{
    (void)state;
    only_root_becomes_somebody();
    const struct passwd *pw = getpwnam("nobody");
    assert_int_equal(account_of(&conf, &account, &e), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        gid_t groups[ACCOUNT_GROUPS];
        int rc = account_become(&account, &e);
        bool is = getuid() == pw->pw_uid && geteuid() == pw->pw_uid && getgid() == pw->pw_gid &&
                  getegid() == pw->pw_gid && setuid(0) != 0;
        int count = getgroups(ACCOUNT_GROUPS, groups);
        bool own = count == 1 && groups[0] == pw->pw_gid;
        bool gives = account_may_give(pw->pw_gid) && !account_may_give(0);
        bool again = account_become(&account, &e) != 0 &&
                     strcmp(e.text, "user: cannot become \"nobody\"") == 0;
        _exit(rc == 0 && is && own && gives && again ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(account_may_give(0));
    assert_true(account_may_give(12345)); /* root may give any */
}

/* Also in another process. */
static void files_are_given_to_groups_of_ones_own(void **state)
{
    (void)state;
    only_root_becomes_somebody();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const gid_t groups[] = {777, 888};
        bool is = setgroups(2, groups) == 0 && setegid(666) == 0 && seteuid(65534) == 0;
        bool may = account_may_give(666) && account_may_give(777) && account_may_give(888);
        bool may_not = !account_may_give(776) && !account_may_give(0) && !account_may_give(65534);
        _exit(is && may && may_not ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static struct server *server_of(int log_fd)
{
    struct server *s = calloc(1, sizeof *s);
    s->log_fd = log_fd;
    return s;
}

static void the_log_is_made_by_the_user_that_the_server_becomes(void **state)
{
    (void)state;
    only_root_becomes_somebody();
    struct stat st;
    char says[PATH_MAX + 500];
    struct server *s = server_of(-1);
    assert_int_equal(account_of(&conf, &account, &e), 0);
    conf.log_file = in_folder("log");
    assert_int_equal(logfile_open(s, &conf, &account, &e), ERR_IO); /* the folder is root's */
    snprintf(says, sizeof says,
             "log_file: %s: Permission denied (as \"nobody\", which the server becomes)",
             conf.log_file);
    assert_string_equal(e.text, says);
    assert_int_equal(s->log_fd, -1);
    assert_int_equal(logfile_check(conf.log_file, &account, &e), ERR_IO);
    assert_string_equal(e.text, says);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(chown(folder, account.uid, account.gid), 0);
    assert_int_equal(logfile_check(conf.log_file, &account, &e), 0);
    assert_int_equal(access(conf.log_file, F_OK), -1); /* a check makes nothing */
    mode_t mask = umask(0);
    assert_int_equal(logfile_open(s, &conf, &account, &e), 0);
    umask(mask);
    assert_int_equal(stat(conf.log_file, &st), 0);
    assert_int_equal(st.st_uid, account.uid);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(geteuid(), 0);
    int fd = s->log_fd;
    assert_int_equal(rename(conf.log_file, in_folder("old")), 0);
    assert_int_equal(logfile_reopen(s, &conf, &e), 0);
    assert_int_equal(s->log_fd, fd); /* under the same number */
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(stat(conf.log_file, &st), 0);
    assert_int_equal(st.st_size, 1);
    log_setup(2, LOG_INFO);
    close(fd);
    free(s);
}

static void a_log_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    struct account nobody = {.name = NULL};
    char says[PATH_MAX + 500], path[PATH_MAX + 300];
    snprintf(says, sizeof says, "log_file: %s: Is a directory", folder);
    assert_int_equal(logfile_check(folder, &nobody, &e), ERR_IO);
    assert_string_equal(e.text, says);
    snprintf(path, sizeof path, "%s", in_folder("none/log"));
    snprintf(says, sizeof says, "log_file: %s: No such file or directory", path);
    assert_int_equal(logfile_check(path, &nobody, &e), ERR_IO);
    assert_string_equal(e.text, says);
    conf.log_file = path;
    struct server *s = server_of(-1);
    assert_int_equal(logfile_open(s, &conf, &nobody, &e), ERR_IO);
    assert_string_equal(e.text, says);
    conf.log_file = NULL;
    conf.log_level = "error";
    assert_int_equal(logfile_open(s, &conf, &nobody, &e), 0);
    assert_int_equal(log_level_now(), LOG_ERROR);
    assert_int_equal(s->log_fd, -1);
    conf.log_level = "info";
    log_setup(2, LOG_INFO);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, start, folder_remove)
        ONE(a_user_that_there_is_not_is_told),
        ONE(without_a_user_nothing_changes),
        ONE(for_a_while_it_is_that_user_and_then_itself),
        ONE(for_good_it_is_that_user_alone),
        ONE(files_are_given_to_groups_of_ones_own),
        ONE(the_log_is_made_by_the_user_that_the_server_becomes),
        ONE(a_log_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
