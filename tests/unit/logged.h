/*
 * logged: what the process writes to its log, line by line, for a test to look at.
 *
 *   logged_begin();
 *   ...
 *   logged_is("warn  load.failed pattern=\"a:*\" key=\"a:1\"");    without the time, the next line
 *   logged_none();
 *
 * Thread: the test's only one. Limits: a pipe's room, and what the log keeps back of one place.
 */
#ifndef RTCACHE_TESTS_UNIT_LOGGED_H
#define RTCACHE_TESTS_UNIT_LOGGED_H

#include "base/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static int logged_pipe[2] = {-1, -1};

static inline void logged_begin(void)
{
    if (logged_pipe[0] < 0) {
        assert_int_equal(pipe2(logged_pipe, O_NONBLOCK | O_CLOEXEC), 0);
        log_setup(logged_pipe[1], LOG_DEBUG);
    }
    char rest[4096];
    while (read(logged_pipe[0], rest, sizeof rest) > 0) {
    }
}

/* The next line, without its time and its end; false: there is none. */
static inline bool logged_next(char *line, size_t room)
{
    size_t n = 0;
    while (n + 1 < room && read(logged_pipe[0], line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    const char *level = strchr(line, ' ');
    if (level)
        memmove(line, level + 1, strlen(level));
    return n > 0;
}

static inline void logged_is(const char *wanted)
{
    char line[4096];
    assert_true(logged_next(line, sizeof line));
    assert_string_equal(line, wanted);
}

static inline void logged_none(void)
{
    char line[4096];
    if (logged_next(line, sizeof line))
        fail_msg("%s", line);
}

#endif
