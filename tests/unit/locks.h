/*
 * locks: a thread gives back the locks that it took, and no others. The functions here come before
 * those of the C library in the one program that includes this; whoever gives back a lock that is
 * not its own, or ends the program with one, ends it at once. glibc itself passes over both.
 *
 * Thread: any. Limits: LOCKS_MOST at a time. Under ThreadSanitizer, which sees the same, nothing of
 * this is there.
 */
#ifndef RTCACHE_TESTS_UNIT_LOCKS_H
#define RTCACHE_TESTS_UNIT_LOCKS_H

#ifndef __SANITIZE_THREAD__

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCKS_MOST 8

static _Thread_local pthread_mutex_t *locks_held[LOCKS_MOST];
static _Thread_local size_t locks_count;

__attribute__((noreturn)) static inline void locks_wrong(const char *what)
{
    fprintf(stderr, "locks: %s\n", what);
    abort();
}

typedef int (*locks_fn)(pthread_mutex_t *m);

static inline locks_fn locks_real(const char *name)
{
    locks_fn real;
    void *at = dlsym(RTLD_NEXT, name);
    if (!at)
        locks_wrong(name);
    memcpy(&real, &at, sizeof real);
    return real;
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
    static _Thread_local locks_fn real;
    if (!real)
        real = locks_real("pthread_mutex_lock");
    if (locks_count == LOCKS_MOST)
        locks_wrong("too many at a time");
    locks_held[locks_count++] = m;
    return real(m);
}

/* An allocator tries first, before any test has begun. */
int pthread_mutex_trylock(pthread_mutex_t *m)
{
    static _Thread_local locks_fn real;
    if (!real)
        real = locks_real("pthread_mutex_trylock");
    if (locks_count == LOCKS_MOST)
        locks_wrong("too many at a time");
    int rc = real(m);
    if (rc == 0)
        locks_held[locks_count++] = m;
    return rc;
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
    static _Thread_local locks_fn real;
    size_t i = 0;
    if (!real)
        real = locks_real("pthread_mutex_unlock");
    while (i < locks_count && locks_held[i] != m)
        i++;
    if (i == locks_count)
        locks_wrong("one is given back that was not taken");
    locks_held[i] = locks_held[--locks_count];
    return real(m);
}

__attribute__((destructor)) static void locks_end(void)
{
    if (locks_count > 0)
        locks_wrong("one is not given back");
}

#endif

#endif
