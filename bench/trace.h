/*
 * trace: a recorded stream of requests, read whole.
 *
 *   file --(zstd, xz, gzip)--> reader of its format --> requests: numbers of keys, 0 to distinct -
 * 1
 *
 * Formats: `arc` text "start count ignored number", a request for each of start .. start+count-1;
 * `lirs` text, a block a line, other lines are no requests; `sized` text "time key size"; `u32` and
 * `u64` numbers of 4 and 8 bytes; `oracle` records of libCacheSim's oracleGeneral. The size of a
 * key is that of its first request; 1 where the format has none. Shape: 4 bytes a request, 24 to 48
 * a key. Limits: 2^32 - 1 keys.
 */
#ifndef RTCACHE_BENCH_TRACE_H
#define RTCACHE_BENCH_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct trace {
    uint32_t *requests; /* owned */
    uint32_t *sizes;    /* owned, by key */
    size_t count, distinct;
    size_t room, sizes_room;
    uint64_t *names; /* owned: a key's name in the file, by key */
    uint32_t *index; /* owned: open addressing over names; a key + 1, 0 is empty */
    size_t index_room;
};

/* Exits with a message where the file cannot be read. */
void trace_read(struct trace *t, const char *format, const char *path);
void trace_free(struct trace *t);

#endif
