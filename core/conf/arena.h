/*
 * arena: memory that is given back all at once.
 *
 * Shape: a chain of chunks, the newest first; an allocation moves a mark. Everything is zeroed.
 * Thread: its owner's; what it gave out may be read by any thread once it is published.
 * Limits: memory; nothing is freed before arena_fini.
 */
#ifndef RTCACHE_CONF_ARENA_H
#define RTCACHE_CONF_ARENA_H

#include "base/slice.h"

#include <stdint.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *newest; /* owned */
};

/* A zeroed struct arena is an empty one. */
void arena_fini(struct arena *a);

/* Aligned for any type; NULL where there is no memory. */
void *arena_alloc(struct arena *a, size_t size);
/* NUL-terminated. */
char *arena_copy(struct arena *a, struct slice text);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
