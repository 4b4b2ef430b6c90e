#include "backend/sqlite/sqlite_beside.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What was found under a path, and beside it. */
struct seen {
    struct seen *next;
    struct sqlite_file database, wal, shm; /* database.there false: it has gone, and was told */
    char path[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct seen *all;

static struct seen *find(const char *path)
{
    struct seen *s = all;
    while (s && strcmp(s->path, path) != 0)
        s = s->next;
    return s;
}

static struct seen *add(const char *path)
{
    size_t size = strlen(path) + 1;
    struct seen *s = calloc(1, sizeof *s + size);
    if (!s)
        return NULL;
    memcpy(s->path, path, size);
    s->next = all;
    all = s;
    return s;
}

/* The file beside path; name: PATH_MAX bytes for its name. */
static struct sqlite_file look_beside(const char *path, const char *suffix, char *name)
{
    int n = snprintf(name, PATH_MAX, "%s%s", path, suffix);
    return n > 0 && n < PATH_MAX ? sqlite_file_look(name) : (struct sqlite_file){.there = false};
}

void sqlite_beside_look(const char *path, const struct sqlite_file *database)
{
    char name[PATH_MAX];
    pthread_mutex_lock(&lock);
    struct seen *s = find(path);
    if (!s)
        s = add(path);
    if (s) {
        s->database = *database;
        s->wal = look_beside(path, "-wal", name);
        s->shm = look_beside(path, "-shm", name);
    }
    pthread_mutex_unlock(&lock);
}

static void remove_same(const char *path, const char *suffix, const struct sqlite_file *seen)
{
    char name[PATH_MAX];
    struct sqlite_file now = look_beside(path, suffix, name);
    if (sqlite_file_is_same(seen, &now))
        unlink(name);
}

bool sqlite_beside_drop(const char *path)
{
    pthread_mutex_lock(&lock);
    struct seen *s = find(path);
    struct sqlite_file now = sqlite_file_look(path);
    bool gone = s && s->database.there && !sqlite_file_is_same(&s->database, &now);
    if (gone) {
        remove_same(path, "-wal", &s->wal);
        remove_same(path, "-shm", &s->shm);
        s->database.there = false;
    }
    pthread_mutex_unlock(&lock);
    return gone;
}
