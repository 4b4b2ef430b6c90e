/*
 * lines: an array of cache lines that grows and shrinks at its end, and never moves.
 *
 * Shape: address space for all that there may ever be, of which the pages are had from the system
 * as they are needed, and given back from the end, one beyond those in use kept. All O(1).
 * Thread: its owner's, or under its owner's lock; but lines_at, for any line that was ever there,
 * is memory that may be read without it. Limits: LINES_MOST.
 */
#ifndef RTCACHE_STORE_LINES_H
#define RTCACHE_STORE_LINES_H

#include "base/err.h"

#include <stddef.h>

#define LINE_BYTES 64
#define LINES_MOST ((size_t)1 << 24)

struct lines {
    char *base; /* owned */
    size_t count;
    size_t usable;  /* lines for which the system gave memory, resident or not */
    size_t touched; /* below: may be resident; whole pages */
};

/* ERR_NOMEM */
int lines_init(struct lines *l) MUST_USE;
void lines_fini(struct lines *l); /* of zeros, too */

static inline void *lines_at(const struct lines *l, size_t i)
{
    return l->base + i * LINE_BYTES;
}

/* Makes sure of memory for so many lines in all. ERR_NOMEM */
int lines_reserve(struct lines *l, size_t count) MUST_USE;
/* The next line, of zeros; memory for it was made sure of. */
void *lines_push(struct lines *l);
void lines_pop(struct lines *l);
void lines_clear(struct lines *l);

/* What may be resident, and how much that rises with the next lines_push. */
size_t lines_bytes(const struct lines *l);
size_t lines_growth(const struct lines *l);

#endif
