/*
 * protocol: the same get, set and get of many in the words of four servers.
 *
 * Shape: a table of functions each; requests are written into the caller's room, answers are taken
 * one at a time from the start of what was received. Thread: any.
 * Limits: PROTOCOL_REQUEST_MAX bytes beside the value, and PROTOCOL_KEY_MAX beside each key;
 * answers of the shapes that these servers give to these requests, anything else is refused.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROTOCOL_REQUEST_MAX 80
#define PROTOCOL_KEY_MAX     16

struct text {
    const char *at;
    size_t len;
};

struct answer {
    bool has_id;
    uint32_t id;
    bool ok;         /* no error */
    unsigned values; /* that are there */
    size_t bytes;    /* of all of them */
};

struct protocol {
    const char *name;
    size_t greeting; /* bytes that the server sends first */
    /* Each writes one request and returns its size. count: 1 is a get, more a get of many. */
    size_t (*put_get)(char *out, uint32_t id, const struct text *keys, unsigned count);
    size_t (*put_set)(char *out, uint32_t id, struct text key, struct text value);
    /* The size of the answer at `in`; 0: not all there yet; -1: no answer of this protocol. */
    ssize_t (*take)(const char *in, size_t len, struct answer *out);
};

extern const struct protocol protocol_rtcache, protocol_redis, protocol_memcached,
    protocol_tarantool;

/* "rtcache", "redis", "memcached" or "tarantool"; NULL for anything else. */
const struct protocol *protocol_find(const char *name);

#endif
