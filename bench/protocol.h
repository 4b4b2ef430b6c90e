/*
 * protocol: the same get and set in the words of four servers.
 *
 * Shape: a table of four functions each; requests are written into the caller's room, answers are
 * taken one at a time from the start of what was received. Thread: any.
 * Limits: PROTOCOL_REQUEST_MAX bytes beside key and value; answers of the shapes that these servers
 * give to these requests, anything else is refused.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROTOCOL_REQUEST_MAX 64

struct text {
    const char *at;
    size_t len;
};

struct answer {
    bool has_id;
    uint32_t id;
    bool ok;      /* no error */
    size_t value; /* bytes of the value; 0: none */
};

struct protocol {
    const char *name;
    size_t greeting; /* bytes that the server sends first */
    /* Each writes one request and returns its size. */
    size_t (*put_get)(char *out, uint32_t id, struct text key);
    size_t (*put_set)(char *out, uint32_t id, struct text key, struct text value);
    /* The size of the answer at `in`; 0: not all there yet; -1: no answer of this protocol. */
    ssize_t (*take)(const char *in, size_t len, struct answer *out);
};

/* "rtcache", "redis", "memcached" or "tarantool"; NULL for anything else. */
const struct protocol *protocol_find(const char *name);

#endif
