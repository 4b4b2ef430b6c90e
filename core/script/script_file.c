#include "script/script_file.h"

#include "base/bom.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool join(const char *dir, const char *file, char *path)
{
    int n = file[0] == '/' ? snprintf(path, PATH_MAX, "%s", file)
                           : snprintf(path, PATH_MAX, "%s/%s", dir, file);
    return n > 0 && n < PATH_MAX;
}

bool script_file_exists(const char *dir, const char *file)
{
    char path[PATH_MAX];
    struct stat st;
    return join(dir, file, path) && stat(path, &st) == 0;
}

static int read_all(int fd, const char *path, struct buf *out, struct err *e)
{
    for (;;) {
        int rc = buf_grow(out, 4096);
        if (rc == ERR_TOO_LARGE)
            return err_set(e, rc, "%s: a script of more than %zu bytes", path, out->max);
        if (rc != 0)
            return err_set(e, rc, "%s: no memory to read it", path);
        ssize_t n = read(fd, out->data + out->size, 4096);
        if (n == 0)
            return 0;
        if (n > 0)
            out->size += (size_t)n;
        else if (errno != EINTR)
            return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    }
}

int script_file_read(const char *dir, const char *file, struct buf *out, struct err *e)
{
    char path[PATH_MAX];
    if (!join(dir, file, path))
        return err_set(e, ERR_IO, "%s: its path is too long", file);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    size_t before = out->size;
    int rc;
    if (fstat(fd, &st) != 0)
        rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = err_set(e, ERR_IO, "%s: is no regular file", path);
    else
        rc = read_all(fd, path, out, e);
    const char *mark = rc == 0 ? bom_of(slice_of(out->data + before, out->size - before)) : NULL;
    if (mark)
        rc = err_set(e, ERR_SCRIPT, "%s:1: %s", path, mark);
    close(fd);
    return rc;
}
