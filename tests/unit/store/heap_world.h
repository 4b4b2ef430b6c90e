/*
 * heap_world: a heap with what a test has at its start, and entries in it.
 */
#ifndef RTCACHE_TESTS_STORE_HEAP_WORLD_H
#define RTCACHE_TESTS_STORE_HEAP_WORLD_H

#include "store/heap.h"

/* Of zeros; what it points to begins with a struct heap. */
static inline void *heap_world(size_t head_bytes)
{
    char *range = heaps_reserve(1);
    assert_non_null(range);
    struct heap *h = heap_in(range);
    assert_int_equal(heap_open(h, head_bytes), 0);
    return h;
}

static inline void heap_world_end(struct heap *h)
{
    heap_close(h);
    heaps_release((void *)((uintptr_t)h & ~(uintptr_t)(HEAP_RANGE - 1)), 1);
}

static inline struct entry *heap_entry(struct heap *h, const struct put *p)
{
    size_t size = entry_size(p);
    uint32_t units = (uint32_t)((size + HEAP_UNIT - 1) / HEAP_UNIT);
    struct entry *e = heap_alloc(h, units, UINT32_MAX);
    assert_non_null(e);
    entry_shape(e, p);
    entry_fill(e, p);
    return e;
}

/* Its last reference goes, and its memory is free at once. */
static inline void heap_unref(struct heap *h, struct entry *e)
{
    entry_unref(e);
    heap_collect(h);
}

#endif
