/*
 * buf: owned bytes that grow at the end, up to a maximum.
 *
 * Shape: 32 bytes; appends are amortised O(1) (capacity doubles). Thread: its owner's.
 * Limits: `max` bytes (0: no limit but memory); an append past it fails and changes nothing.
 */
#ifndef RTCACHE_BASE_BUF_H
#define RTCACHE_BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t max;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

/* Makes room for n more bytes. ERR_NOMEM or ERR_TOO_LARGE. */
int buf_grow(struct buf *b, size_t n) MUST_USE;
int buf_append(struct buf *b, const void *data, size_t n) MUST_USE;
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3))) MUST_USE;

/* Whether n more bytes fit as it is. */
static inline bool buf_fits(const struct buf *b, size_t n)
{
    return b->capacity - b->size >= n && (b->max == 0 || b->size + n <= b->max);
}

/* Room for n bytes at the end, to be filled and then claimed by size += n; NULL as buf_grow fails.
 */
static inline char *buf_room(struct buf *b, size_t n)
{
    if (!buf_fits(b, n) && buf_grow(b, n) != 0)
        return NULL;
    return b->data + b->size;
}

/* By how much the capacity would grow for n more bytes. */
size_t buf_growth(const struct buf *b, size_t n);
/* Gives room back that is not used; it may not come to that. */
void buf_fit(struct buf *b);

/* Drops the first n bytes. O(rest). */
void buf_consume(struct buf *b, size_t n);

static inline void buf_clear(struct buf *b)
{
    b->size = 0;
}

/* Borrowed until the next change of b. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){.data = b->data, .size = b->size};
}

#endif
