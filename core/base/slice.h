/*
 * slice: a borrowed run of bytes.
 *
 * Shape: pointer and size, 16 bytes, passed by value; not NUL-terminated; may hold any byte.
 * Thread: any. Limits: whoever fills it knows how long the bytes live and says so.
 */
#ifndef RTCACHE_BASE_SLICE_H
#define RTCACHE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data;
    size_t size;
};

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

/* s is NUL-terminated; NULL gives an empty slice. */
static inline struct slice slice_str(const char *s)
{
    return (struct slice){.data = s, .size = s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

/* For "%.*s". */
#define SLICE_ARG(s) (int)(s).size, (s).data

#endif
