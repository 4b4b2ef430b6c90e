#include "state/state_dir.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK "lock"

struct state_dir {
    int fd, lock_fd;
    bool only_looks;
    int64_t alive_wall_ms;
    char path[];
};

const char *state_dir_path(const struct state_dir *d)
{
    return d->path;
}

int64_t state_dir_alive_wall_ms(const struct state_dir *d)
{
    return d->alive_wall_ms;
}

void state_dir_touch(struct state_dir *d)
{
    (void)futimens(d->lock_fd, NULL);
}

/* errno has the reason. */
static int cannot(const struct state_dir *d, const char *what, const char *name, struct err *e)
{
    return err_set(e, ERR_IO, "state folder %s: cannot %s %s: %s", d->path, what, name,
                   errno == ELOOP ? "it is a symbolic link" : strerror(errno));
}

/* ---- what may be trusted ---- */

static int judge(const struct state_dir *d, int fd, const char *name, bool folder, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return cannot(d, "look at", name, e);
    if (!folder && !S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, "state folder %s: %s is no plain file", d->path, name);
    if (d->only_looks)
        return 0;
    if (st.st_uid != geteuid())
        return err_set(e, ERR_CONFIG, "state folder %s: %s belongs to user %u, and this is user %u",
                       d->path, name, st.st_uid, geteuid());
    if (st.st_mode & 022)
        return err_set(e, ERR_CONFIG,
                       "state folder %s: others than its owner can write to %s (mode %04o)",
                       d->path, name, st.st_mode & 07777);
    return 0;
}

/* *fd is -1 where it is not had. */
static int open_file(struct state_dir *d, const char *name, int flags, int *fd, struct err *e)
{
    /* A pipe would not be waited for. */
    *fd = openat(d->fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (*fd < 0)
        return errno == ENOENT ? 0 : cannot(d, "open", name, e);
    int rc = judge(d, *fd, name, false, e);
    if (rc != 0) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

int state_dir_read(struct state_dir *d, const char *name, int *fd, struct err *e)
{
    return open_file(d, name, O_RDONLY, fd, e);
}

int state_dir_create(struct state_dir *d, const char *name, int *fd, struct err *e)
{
    *fd = -1;
    int rc = state_dir_remove(d, name, e);
    return rc != 0 ? rc : open_file(d, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, fd, e);
}

int state_dir_append(struct state_dir *d, const char *name, int *fd, struct err *e)
{
    int rc = open_file(d, name, O_WRONLY | O_APPEND, fd, e);
    return rc != 0 || *fd >= 0 ? rc : cannot(d, "open", name, e);
}

/* ---- names ---- */

int state_dir_sync(struct state_dir *d, struct err *e)
{
    return fsync(d->fd) == 0 ? 0 : cannot(d, "write", "the folder itself", e);
}

int state_dir_rename(struct state_dir *d, const char *from, const char *to, struct err *e)
{
    return renameat(d->fd, from, d->fd, to) == 0 ? 0 : cannot(d, "rename", from, e);
}

int state_dir_remove(struct state_dir *d, const char *name, struct err *e)
{
    return unlinkat(d->fd, name, 0) == 0 || errno == ENOENT ? 0 : cannot(d, "remove", name, e);
}

int state_dir_each(struct state_dir *d, void (*each)(const char *name, void *arg), void *arg,
                   struct err *e)
{
    int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = fd >= 0 ? fdopendir(fd) : NULL;
    if (!names) {
        int rc = cannot(d, "list", "its files", e);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct dirent *entry;
    for (errno = 0; (entry = readdir(names)); errno = 0)
        if (entry->d_name[0] != '.')
            each(entry->d_name, arg);
    int rc = errno == 0 ? 0 : cannot(d, "list", "its files", e);
    closedir(names);
    return rc;
}

/* ---- open and close ---- */

/* The folder that is there now, or was made. */
static int open_folder(struct state_dir *d, struct err *e)
{
    bool made = mkdir(d->path, 0700) == 0;
    if (!made && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the state folder %s: %s", d->path, strerror(errno));
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0)
        return err_set(e, ERR_IO, "cannot open the state folder %s: %s", d->path, strerror(errno));
    int above = made ? openat(d->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (above >= 0) {
        (void)fsync(above); /* else its files may be lost with it: what is not there is no harm */
        close(above);
    }
    return judge(d, d->fd, "the folder", true, e);
}

static int refuse_second(struct state_dir *d, struct err *e)
{
    char pid[12];
    ssize_t n = pread(d->lock_fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return err_set(e, ERR_CONFIG, "state folder %s: another server has it%s%s", d->path,
                   pid[0] ? ", process " : "", pid);
}

static int lock(struct state_dir *d, struct err *e)
{
    char pid[12];
    int rc = open_file(d, LOCK, O_RDWR | O_CREAT, &d->lock_fd, e);
    if (rc != 0)
        return rc;
    if (d->lock_fd < 0) /* the folder was removed since */
        return cannot(d, "open", LOCK, e);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? refuse_second(d, e) : cannot(d, "lock", LOCK, e);
    struct stat st;
    if (fstat(d->lock_fd, &st) == 0 && st.st_size > 0)
        d->alive_wall_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    /* Only for who is refused: without it that is told without a number. */
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(d->lock_fd, 0) != 0 || pwrite(d->lock_fd, pid, (size_t)size, 0) != size)
        log_warn("state.lock", "path=%s error=%s", log_q(d->path), log_q(strerror(errno)));
    return 0;
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), tail = strlen(end);
    return size > tail && strcmp(name + size - tail, end) == 0;
}

struct leftovers {
    struct state_dir *dir;
    struct err *e;
    int rc;
};

static void remove_leftover(const char *name, void *arg)
{
    struct leftovers *l = arg;
    if (l->rc != 0 || (!ends_with(name, STATE_NEW) && !ends_with(name, STATE_CLAIMED)))
        return;
    log_info("state.leftover", "path=%s name=%s", log_q(l->dir->path), log_q(name));
    l->rc = state_dir_remove(l->dir, name, l->e);
}

static struct state_dir *dir_new(const char *path, struct err *e)
{
    size_t size = strlen(path) + 1;
    struct state_dir *d = calloc(1, sizeof *d + size);
    if (!d) {
        err_set(e, ERR_NOMEM, "no memory for the state folder");
        return NULL;
    }
    d->fd = d->lock_fd = -1;
    memcpy(d->path, path, size);
    return d;
}

int state_dir_look(struct state_dir **out, const char *path, struct err *e)
{
    *out = NULL;
    struct state_dir *d = dir_new(path, e);
    if (!d)
        return ERR_NOMEM;
    d->only_looks = true;
    d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0) {
        int rc = err_set(e, ERR_IO, "cannot open the folder %s: %s", path, strerror(errno));
        state_dir_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

int state_dir_open(struct state_dir **out, const char *path, struct err *e)
{
    *out = NULL;
    struct state_dir *d = dir_new(path, e);
    if (!d)
        return ERR_NOMEM;
    int rc = open_folder(d, e);
    if (rc == 0)
        rc = lock(d, e);
    struct leftovers l = {.dir = d, .e = e};
    if (rc == 0)
        rc = state_dir_each(d, remove_leftover, &l, e);
    if (rc == 0)
        rc = l.rc;
    if (rc == 0)
        *out = d;
    else
        state_dir_close(d);
    return rc;
}

int state_dir_check(const char *path, struct err *e)
{
    struct stat st;
    char above[PATH_MAX];
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode)
                   ? 0
                   : err_set(e, ERR_CONFIG, "the state folder %s is no folder", path);
    const char *slash = strrchr(path, '/');
    snprintf(above, sizeof above, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    if (errno != ENOENT || stat(above, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFIG, "the state folder %s cannot be made: %s", path,
                       strerror(errno));
    return 0;
}

void state_dir_close(struct state_dir *d)
{
    if (!d)
        return;
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    if (d->fd >= 0)
        close(d->fd);
    free(d);
}
