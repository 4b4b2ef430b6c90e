#include "backend/sqlite/sqlite_file.h"

#include <time.h>

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
