/*
 * log_taken: what the code under test writes to the log, for the test to read.
 *
 *   log_taken_begin(LOG_DEBUG);
 *   ...
 *   log_taken_has("pg.connected backend=main");
 *   log_taken_end();
 *
 * Thread: the test's only one. Limits: what was written first, up to LOG_TAKEN_MAX bytes.
 */
#ifndef RTCACHE_TESTS_UNIT_LOG_TAKEN_H
#define RTCACHE_TESTS_UNIT_LOG_TAKEN_H

#include "base/log.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_TAKEN_MAX 65536

static int log_taken_fd = -1;
static char log_taken_text[LOG_TAKEN_MAX + 1];

static inline void log_taken_begin(enum log_level least)
{
    log_taken_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(log_taken_fd >= 0);
    log_setup(log_taken_fd, least);
}

static inline void log_taken_end(void)
{
    log_setup(2, LOG_INFO);
    close(log_taken_fd);
}

/* All so far; valid until the next one. */
static inline const char *log_taken(void)
{
    ssize_t size = pread(log_taken_fd, log_taken_text, LOG_TAKEN_MAX, 0);
    log_taken_text[size > 0 ? size : 0] = '\0';
    return log_taken_text;
}

static inline int log_taken_count(const char *part)
{
    int count = 0;
    for (const char *at = log_taken(); (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static inline void log_taken_has(const char *part)
{
    if (!strstr(log_taken(), part))
        fail_msg("\"%s\" is not in the log:\n%s", part, log_taken_text);
}

#endif
