/* Folders of state, in memory where the system has room for files there. */
#include "lives.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "sim: %s %s: ", what, path);
    perror("");
    abort();
}

void folder_name(char *out, size_t size, int number)
{
    const char *given = getenv("TMPDIR");
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : given ? given : "/tmp";
    snprintf(out, size, "%s/rtcache-sim.%d.%d", root, (int)getpid(), number);
}

bool folder_copy_file(const char *from, const char *to, const char *name)
{
    char path[512], bytes[65536];
    ssize_t n;
    snprintf(path, sizeof path, "%s/%s", from, name);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return false;
    snprintf(path, sizeof path, "%s/%s", to, name);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        fail("writing", path);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)n) != n)
            fail("writing", path);
    close(in);
    close(out);
    return true;
}

static void each(const char *path, bool (*fn)(const char *path, const char *to, const char *name),
                 const char *to)
{
    struct dirent *d;
    DIR *dir = opendir(path);
    if (!dir)
        return;
    while ((d = readdir(dir)))
        if (d->d_name[0] != '.' && strcmp(d->d_name, "lock") != 0)
            fn(path, to, d->d_name);
    closedir(dir);
}

void folder_copy(const char *from, const char *to)
{
    if (mkdir(to, 0700) != 0)
        fail("making", to);
    each(from, folder_copy_file, to);
}

static bool remove_file(const char *path, const char *to, const char *name)
{
    char file[512];
    (void)to;
    snprintf(file, sizeof file, "%s/%s", path, name);
    return unlink(file) == 0;
}

void folder_remove(const char *path)
{
    char lock[512];
    each(path, remove_file, NULL);
    snprintf(lock, sizeof lock, "%s/lock", path);
    unlink(lock);
    rmdir(path);
}
