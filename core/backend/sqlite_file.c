#include "backend/sqlite_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A tick of file times is at most 10 ms (CONFIG_HZ = 100); some file systems are coarser. */
#define TICK_NS 20000000

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct sqlite_file sqlite_file_look(const char *path)
{
    struct stat st;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* before: file times are of this clock */
    if (stat(path, &st) != 0)
        return (struct sqlite_file){.there = false};
    struct sqlite_file f = {.there = true,
                            .dev = st.st_dev,
                            .ino = st.st_ino,
                            .size = st.st_size,
                            .written_ns = ns_of(st.st_mtim),
                            .changed_ns = ns_of(st.st_ctim)};
    int64_t age_ns = ns_of(now) - f.changed_ns;
    f.fresh = age_ns < TICK_NS && age_ns > -TICK_NS;
    return f;
}

bool sqlite_file_is_same(const struct sqlite_file *a, const struct sqlite_file *b)
{
    return a->there && b->there && a->dev == b->dev && a->ino == b->ino;
}

bool sqlite_file_unchanged(const struct sqlite_file *before, const struct sqlite_file *now)
{
    return sqlite_file_is_same(before, now) && !before->fresh && before->size == now->size &&
           before->written_ns == now->written_ns && before->changed_ns == now->changed_ns;
}

static struct sqlite_file look_beside(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s%s", path, suffix);
    return n > 0 && n < (int)sizeof name ? sqlite_file_look(name)
                                         : (struct sqlite_file){.there = false};
}

void sqlite_beside_look(struct sqlite_beside *b, const char *path)
{
    sqlite_beside_fini(b);
    b->path = path ? strdup(path) : NULL;
    if (!b->path)
        return;
    b->database = sqlite_file_look(path);
    b->wal = look_beside(path, "-wal");
    b->shm = look_beside(path, "-shm");
}

void sqlite_beside_fini(struct sqlite_beside *b)
{
    free(b->path);
    *b = (struct sqlite_beside){.path = NULL};
}

static void remove_same(const char *path, const char *suffix, const struct sqlite_file *seen)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s%s", path, suffix);
    struct sqlite_file now = look_beside(path, suffix);
    if (n > 0 && n < (int)sizeof name && sqlite_file_is_same(seen, &now))
        unlink(name);
}

bool sqlite_beside_drop(const struct sqlite_beside *b)
{
    if (!b->path)
        return false;
    struct sqlite_file now = sqlite_file_look(b->path);
    if (sqlite_file_is_same(&b->database, &now))
        return false;
    remove_same(b->path, "-wal", &b->wal);
    remove_same(b->path, "-shm", &b->shm);
    return true;
}
