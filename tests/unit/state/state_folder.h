/*
 * state_folder: a folder below /tmp for one test, and what is in it.
 *
 *   cmocka_unit_test_setup_teardown(test, state_folder_make, state_folder_remove)
 *
 * Thread: the test's only one.
 */
#ifndef RTCACHE_TESTS_UNIT_STATE_FOLDER_H
#define RTCACHE_TESTS_UNIT_STATE_FOLDER_H

#include "state/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char state_above[40];   /* made here */
static char state_folder[60];  /* below it; not made yet */
static char state_listed[400]; /* of state_names */

static inline int state_folder_make(void **state)
{
    (void)state;
    snprintf(state_above, sizeof state_above, "/tmp/rtcache-state-XXXXXX");
    if (!mkdtemp(state_above))
        return -1;
    snprintf(state_folder, sizeof state_folder, "%s/state", state_above);
    return 0;
}

static inline const char *state_path(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", state_folder, name);
    return path;
}

static inline int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Its files but for the lock, with a space between them; borrowed until the next call. */
static inline const char *state_names(void)
{
    struct dirent **names;
    int count = scandir(state_folder, &names, NULL, by_name);
    int size = 0;
    state_listed[0] = '\0';
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (name[0] != '.' && strcmp(name, "lock") != 0)
            size += snprintf(state_listed + size, sizeof state_listed - (size_t)size, "%s%s",
                             size ? " " : "", name);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return state_listed;
}

static inline int state_folder_remove(void **state)
{
    (void)state;
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s", state_above);
    return system(command);
}

/* All bytes of a file; the caller frees them. */
static inline char *state_bytes(const char *name, size_t *size)
{
    struct stat st;
    int fd = open(state_path(name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *size = (size_t)st.st_size;
    char *bytes = malloc(*size + 1);
    for (size_t done = 0; done < *size;) {
        ssize_t n = read(fd, bytes + done, *size - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    close(fd);
    return bytes;
}

static inline void state_write(const char *name, const char *bytes, size_t size)
{
    int fd = open(state_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static inline struct state_dir *state_opened(void)
{
    struct state_dir *d;
    struct err e;
    err_clear(&e);
    if (state_dir_open(&d, state_folder, &e) != 0)
        fail_msg("%s", e.text);
    return d;
}

#endif
