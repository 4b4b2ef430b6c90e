#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 256

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

static size_t capacity_for(const struct buf *b, size_t need)
{
    size_t capacity = b->capacity ? b->capacity : BUF_FIRST;
    while (capacity < need)
        capacity *= 2;
    return capacity;
}

static int reserve(struct buf *b, size_t need)
{
    if (need <= b->capacity)
        return 0;
    if (need > PTRDIFF_MAX)
        return ERR_NOMEM;
    size_t capacity = capacity_for(b, need);
    char *data = realloc(b->data, capacity);
    if (!data)
        return ERR_NOMEM;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int buf_grow(struct buf *b, size_t n)
{
    size_t need;
    if (__builtin_add_overflow(b->size, n, &need))
        return ERR_NOMEM;
    if (b->max != 0 && need > b->max)
        return ERR_TOO_LARGE;
    return reserve(b, need);
}

int buf_append(struct buf *b, const void *data, size_t n)
{
    int rc = buf_fits(b, n) ? 0 : buf_grow(b, n);
    if (rc != 0)
        return rc;
    if (n != 0)
        memcpy(b->data + b->size, data, n);
    b->size += n;
    return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return ERR_INTERNAL;
    int rc = buf_grow(b, (size_t)n);
    if (rc == 0)
        rc = reserve(b, b->size + (size_t)n + 1); /* the NUL does not count */
    if (rc != 0)
        return rc;
    va_start(args, fmt);
    vsnprintf(b->data + b->size, (size_t)n + 1, fmt, args);
    va_end(args);
    b->size += (size_t)n;
    return 0;
}

size_t buf_growth(const struct buf *b, size_t n)
{
    size_t need;
    if (__builtin_add_overflow(b->size, n, &need) || need > PTRDIFF_MAX)
        return SIZE_MAX;
    return need <= b->capacity ? 0 : capacity_for(b, need) - b->capacity;
}

void buf_fit(struct buf *b)
{
    char *data = b->size > 0 && b->size < b->capacity ? realloc(b->data, b->size) : NULL;
    if (!data)
        return;
    b->data = data;
    b->capacity = b->size;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n < b->size)
        memmove(b->data, b->data + n, b->size - n);
    b->size = n < b->size ? b->size - n : 0;
}
