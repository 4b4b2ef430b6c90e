/*
 * line_array: an array of cache lines that grows and shrinks at its end, and never moves.
 *
 * Shape: address space for all that there may ever be, of which the pages are had from the system
 * as they are needed, and given back from the end, one beyond those in use kept. All O(1).
 * Thread: its owner's, or under its owner's lock; but line_array_at, for any line that was ever
 * there, is memory that may be read without it. Limits: LINE_ARRAY_MOST.
 */
#ifndef RTCACHE_STORE_LINE_ARRAY_H
#define RTCACHE_STORE_LINE_ARRAY_H

#include "base/err.h"

#include <stddef.h>

#define LINE_BYTES      64
#define LINE_ARRAY_MOST ((size_t)1 << 24)

struct line_array {
    char *base; /* owned */
    size_t count;
    size_t usable;  /* lines for which the system gave memory, resident or not */
    size_t touched; /* below: may be resident; whole pages */
};

/* ERR_NOMEM */
int line_array_init(struct line_array *l) MUST_USE;
void line_array_fini(struct line_array *l); /* of zeros, too */

static inline void *line_array_at(const struct line_array *l, size_t i)
{
    return l->base + i * LINE_BYTES;
}

/* Makes sure of memory for so many lines in all. ERR_NOMEM */
int line_array_reserve(struct line_array *l, size_t count) MUST_USE;
/* The next line, of zeros; memory for it was made sure of. */
void *line_array_push(struct line_array *l);
void line_array_pop(struct line_array *l);
void line_array_clear(struct line_array *l);

/* What may be resident, and how much that rises with the next line_array_push. */
size_t line_array_bytes(const struct line_array *l);
size_t line_array_growth(const struct line_array *l);

#endif
