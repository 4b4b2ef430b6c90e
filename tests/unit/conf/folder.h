/* A folder of its own for a test, with the files it wants. */
#ifndef RTCACHE_TESTS_CONF_FOLDER_H
#define RTCACHE_TESTS_CONF_FOLDER_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];

static inline int folder_make(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/rtcache-conf-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_drop(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

static inline int folder_remove(void **state)
{
    (void)state;
    return nftw(folder, folder_drop, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in the folder; in one of 8 rooms, used in turn. */
static inline const char *in_folder(const char *name)
{
    static char rooms[8][PATH_MAX + 256];
    static unsigned turn;
    char *room = rooms[turn++ % 8];
    snprintf(room, sizeof rooms[0], "%s/%s", folder, name);
    return room;
}

static inline void write_bytes(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

#endif
