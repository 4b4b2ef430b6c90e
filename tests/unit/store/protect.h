/*
 * protect: the system gives a store no memory when a test says so. The function here comes before
 * that of the C library in the one program that includes this. Thread: the test's only one.
 */
#ifndef RTCACHE_TESTS_STORE_PROTECT_H
#define RTCACHE_TESTS_STORE_PROTECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Address space is made usable by mprotect: the nth call from now fails, and so many after it. */
static int64_t protect_at, protect_more, protect_seen;

int mprotect(void *at, size_t size, int protection)
{
    protect_seen += protect_at > 0;
    if (protect_at > 0 && protect_seen >= protect_at && protect_seen <= protect_at + protect_more)
        return -1;
    return (int)syscall(SYS_mprotect, at, size, protection);
}

static inline void protect_fails(int64_t nth, int64_t more)
{
    protect_at = nth;
    protect_more = more;
    protect_seen = 0;
}

/* Whether one of them failed. */
static inline bool protect_calm(void)
{
    bool failed = protect_at > 0 && protect_seen >= protect_at;
    protect_at = 0;
    return failed;
}

#endif
