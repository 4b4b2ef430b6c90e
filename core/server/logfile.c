/* The log's file and level. */
#include "server/server.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the process, as it is now, could write there. 0 or an errno. */
static int try_path(const char *path)
{
    char folder[PATH_MAX];
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return EISDIR;
    if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) != 0 && errno == ENOENT) {
        snprintf(folder, sizeof folder, "%s", path);
        char *slash = strrchr(folder, '/');
        if (slash)
            slash[slash == folder] = '\0';
        path = slash ? folder : ".";
    }
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

static int refused(const char *path, const struct account *a, int reason, struct err *e)
{
    return err_set(e, ERR_IO, "log_file: %s: %s%s%s%s", path, strerror(reason),
                   a->name ? " (as \"" : "", a->name ? a->name : "",
                   a->name ? "\", which the server becomes)" : "");
}

int logfile_check(const char *path, struct account *a, struct err *e)
{
    int rc = account_enter(a, e);
    if (rc != 0)
        return rc;
    int reason = try_path(path);
    account_leave(a);
    return reason == 0 ? 0 : refused(path, a, reason, e);
}

/* Whoever opens it again after a rotation is that user: so it is from the first time on, and what
 * it may not write is refused at the start. */
static int open_as(const char *path, struct account *a, int *fd, struct err *e)
{
    int rc = account_enter(a, e);
    if (rc != 0)
        return rc;
    *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    int reason = errno;
    account_leave(a);
    return *fd >= 0 ? 0 : refused(path, a, reason, e);
}

int logfile_open(struct server *s, const struct conf *conf, struct account *a, struct err *e)
{
    int level = log_level_parse(conf->log_level);
    if (!conf->log_file) {
        log_setup(2, (enum log_level)level);
        return 0;
    }
    int fd;
    int rc = open_as(conf->log_file, a, &fd, e);
    if (rc != 0)
        return rc;
    if (s->log_fd >= 0) {
        /* Under the same number: other threads may be writing. */
        dup3(fd, s->log_fd, O_CLOEXEC);
        close(fd);
        fd = s->log_fd;
    }
    s->log_fd = fd;
    log_setup(fd, (enum log_level)level);
    return 0;
}

int logfile_reopen(struct server *s, const struct conf *conf, struct err *e)
{
    struct account nobody_else = {.name = NULL};
    return logfile_open(s, conf, &nobody_else, e);
}
