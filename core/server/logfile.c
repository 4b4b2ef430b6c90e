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

int logfile_check(const char *path, struct err *e)
{
    char folder[PATH_MAX];
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "log_file: %s: %s", path, strerror(EISDIR));
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        snprintf(folder, sizeof folder, "%s", path);
        char *slash = strrchr(folder, '/');
        if (slash)
            slash[slash == folder] = '\0';
        path = slash ? folder : ".";
    }
    return access(path, W_OK) == 0 ? 0
                                   : err_set(e, ERR_IO, "log_file: %s: %s", path, strerror(errno));
}

int logfile_open(struct server *s, const struct conf *conf, struct err *e)
{
    int level = log_level_parse(conf->log_level);
    if (!conf->log_file) {
        log_setup(2, (enum log_level)level);
        return 0;
    }
    int fd = open(conf->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_set(e, ERR_IO, "log_file: %s: %s", conf->log_file, strerror(errno));
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
