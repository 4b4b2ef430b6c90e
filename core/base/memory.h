/*
 * memory: what the allocator knows of the calling thread.
 *
 * jemalloc counts each thread's bytes ("thread.allocatedp" in its manual), which tells what a
 * library took that does not say so itself. Other allocators, and those of the sanitizers, do not.
 * Shape: one pointer a thread; reading it costs a load. Thread: any.
 */
#ifndef RTCACHE_BASE_MEMORY_H
#define RTCACHE_BASE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this thread's bytes are counted. */
bool memory_is_counted(void);

/* Bytes that this thread has allocated so far, freed ones too; always 0 where they are not counted.
 */
uint64_t memory_allocated(void);

#endif
