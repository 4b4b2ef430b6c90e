/*
 * sqlite_files: a private folder for a test of SQLite, and databases made in it without the
 * backend.
 */
#ifndef RTCACHE_TESTS_UNIT_BACKEND_SQLITE_FILES_H
#define RTCACHE_TESTS_UNIT_BACKEND_SQLITE_FILES_H

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char files_folder[64];

static inline int files_make(void **state)
{
    (void)state;
    snprintf(files_folder, sizeof files_folder, "/tmp/rtcache-sqlite-XXXXXX");
    return mkdtemp(files_folder) ? 0 : -1;
}

/* How many files there are whose name starts so; removes them where asked. */
static inline int files_count(const char *prefix, bool remove_them)
{
    char path[400];
    int n = 0;
    DIR *dir = opendir(files_folder);
    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.' || strncmp(d->d_name, prefix, strlen(prefix)) != 0)
            continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", files_folder, d->d_name);
        if (remove_them)
            unlink(path);
    }
    closedir(dir);
    return n;
}

static inline int files_remove(void **state)
{
    (void)state;
    files_count("", true);
    return rmdir(files_folder);
}

/* The path of a file in the folder; the text is overwritten by the eighth call after it. */
static inline const char *files_path(const char *name)
{
    static char paths[8][128];
    static unsigned at;
    char *path = paths[at++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", files_folder, name);
    return path;
}

static inline void files_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Runs SQL on a connection of the test's own. */
static inline void files_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

#endif
