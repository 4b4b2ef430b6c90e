/*
 * pg_server: a PostgreSQL of the test's own: a temporary folder, a Unix socket in it, no TCP.
 *
 * Started as the user postgres where the test runs as root, which PostgreSQL refuses. A process
 * beside the test stops it and removes its folder when pg_server_free says so, and when the test
 * has ended in any other way, SIGKILL too: it waits for the end of a pipe that the test alone
 * holds. Needs the server's programs: PG_BIN, or Debian's place.
 */
#ifndef RTCACHE_TESTS_BACKEND_PG_SERVER_H
#define RTCACHE_TESTS_BACKEND_PG_SERVER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct pg_server {
    char folder[64];
    char url[256];
    char bin[256];
    int test_lives, cleaner_lives; /* the ends of pipes: ours to close, and to wait for */
};

/* Runs a shell command as the server's user; its output goes to `log` in the folder. 0: success. */
__attribute__((format(printf, 2, 3))) static inline int pg_server_sh(const struct pg_server *s,
                                                                     const char *fmt, ...)
{
    char command[1024], whole[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    snprintf(whole, sizeof whole, "cd %s && %s sh -c '%s' >>%s/log 2>&1 </dev/null", s->folder,
             geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups env -u "
                              "LD_PRELOAD LC_ALL=C"
                            : "env LC_ALL=C",
             command, s->folder);
    int rc = system(whole);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static inline int pg_server_start(const struct pg_server *s)
{
    return pg_server_sh(s, "%s/pg_ctl -D %s/data -w -t 60 -l %s/server.log start", s->bin,
                        s->folder, s->folder);
}

/* how: fast or immediate */
static inline int pg_server_stop(const struct pg_server *s, const char *how)
{
    return pg_server_sh(s, "%s/pg_ctl -D %s/data -w -t 60 -m %s stop", s->bin, s->folder, how);
}

/* The process that cleans up. It is nobody's child and has its own group: what ends the test and
 * its children, or the terminal's SIGINT, does not reach it. */
static inline void pg_server_clean_up(const struct pg_server *s, int test_lives, int cleaner_lives)
{
    char command[1024];
    snprintf(command, sizeof command,
             "read -r word; cd / && %s %s/pg_ctl -D %s/data -w -t 60 -m immediate stop "
             ">/dev/null 2>&1; test \"$word$PG_SERVER_KEEP\" || rm -rf '%s'",
             geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups" : "",
             s->bin, s->folder, s->folder);
    if (setsid() < 0 || dup2(test_lives, 0) < 0 || dup2(cleaner_lives, 1) < 0)
        _exit(1);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(1);
}

static inline int pg_server_watch(struct pg_server *s)
{
    int test[2], cleaner[2];
    if (pipe2(test, O_CLOEXEC) != 0 || pipe2(cleaner, O_CLOEXEC) != 0)
        return -1;
    pid_t between = fork();
    if (between == 0) {
        close(test[1]);
        pid_t pid = fork();
        if (pid == 0)
            pg_server_clean_up(s, test[0], cleaner[1]);
        _exit(pid < 0);
    }
    close(test[0]);
    close(cleaner[1]);
    s->test_lives = test[1];
    s->cleaner_lives = cleaner[0];
    int status = -1;
    return between > 0 && waitpid(between, &status, 0) == between && status == 0 ? 0 : -1;
}

static inline void pg_server_free(struct pg_server *s)
{
    char end;
    if (!s)
        return;
    close(s->test_lives);
    while (read(s->cleaner_lives, &end, 1) < 0 && errno == EINTR) {
    }
    close(s->cleaner_lives);
    if (access(s->folder, F_OK) == 0)
        fprintf(stderr, "%s stays\n", s->folder);
    free(s);
}

/* NULL: it could not be started; the folder's log says why. */
static inline struct pg_server *pg_server_new(void)
{
    struct pg_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    const char *bin = getenv("PG_BIN");
    snprintf(s->bin, sizeof s->bin, "%s", bin ? bin : "/usr/lib/postgresql/15/bin");
    const char *tmp = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%.40s/rtcache-pg-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(s->folder) || pg_server_watch(s) != 0) {
        free(s);
        return NULL;
    }
    const struct passwd *owner = getpwnam("postgres");
    if (geteuid() == 0 && (!owner || chown(s->folder, owner->pw_uid, owner->pw_gid) != 0))
        fprintf(stderr, "there is no user postgres to run the server as\n");
    snprintf(s->url, sizeof s->url, "postgresql:///postgres?host=%s&user=postgres", s->folder);
    int rc = pg_server_sh(s, "%s/initdb -D %s/data -U postgres -A trust -E UTF8 --no-sync", s->bin,
                          s->folder);
    if (rc == 0)
        rc = pg_server_sh(s,
                          "printf \"listen_addresses = \\\"\\\"\\nfsync = off\\n"
                          "unix_socket_directories = \\\"%s\\\"\\nshared_buffers = 32MB\\n"
                          "max_connections = 40\\nautovacuum = off\\n\" | tr \\\" \"\\047\" "
                          ">>%s/data/postgresql.conf",
                          s->folder, s->folder);
    if (rc == 0)
        rc = pg_server_start(s);
    if (rc == 0)
        return s;
    fprintf(stderr, "no PostgreSQL: see %s/log\n", s->folder);
    (void)!write(s->test_lives, "keep\n", 5);
    pg_server_free(s);
    return NULL;
}

#endif
