/*
 * history: what a run did and saw, as a file of records of one size.
 *
 * Shape: struct record, 72 bytes, in the order of their ends; classes come first, rows last. All
 * times are of one clock of one process, and no two are the same. A row is what the database itself
 * wrote down of a change, so what happened does not depend on what a client was told. Limits: 2^24
 * keys a class, HISTORY_CLASSES classes, HISTORY_TAGS tags.
 */
#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_CLASSES 8
#define HISTORY_TAGS    4096
#define HISTORY_DIGITS  10 /* invalidate_match of all keys whose number ends with a digit */

enum op {
    OP_CLASS, /* key: the class; flags in wanted; ttl_ms */
    /* reads: version and content of the value, told: the version that the server names */
    OP_GET,
    OP_ENTRY,
    OP_PEEK,
    OP_MANY, /* one record for each of its keys */
    OP_REFRESH,
    OP_FINAL, /* after quiet: must be what the database holds */
    /* changes; wanted: the version that was given; version, content: of the row that was written */
    OP_SET,
    OP_PUT,
    OP_DELETE,
    OP_WRITE, /* by SQL, past the server */
    OP_INVALIDATE,
    OP_INVALIDATE_TAG,   /* tag */
    OP_INVALIDATE_MATCH, /* key: class and number; tag: the digit, HISTORY_DIGITS: all */
    OP_EXPIRE,
    OP_EXPIRE_TAG,
    OP_EXPIRE_MATCH,
    OP_RELOAD,
    /* what the server said by itself to a subscriber */
    OP_NOTICE, /* the feed told of key and version */
    OP_GAP,    /* key: the class */
    OP_LOST,
    OP_CUT, /* from begin to end the feed was cut past its grace, and the server knew */
    OP_ROW, /* version, content, tag; result RESULT_ABSENT: it is marked deleted */
    OP_COUNT
};

enum result { RESULT_DONE, RESULT_VALUE, RESULT_ABSENT, RESULT_ERROR, RESULT_NONE };

enum status {
    STATUS_UNKNOWN, /* a plain get does not say */
    STATUS_HIT,
    STATUS_STALE,
    STATUS_MISS,
    STATUS_NEGATIVE,
    STATUS_STALE_ERROR,
    STATUS_COUNT
};

/* Errors that a run may meet; any other is a finding. */
enum code {
    CODE_NONE,
    CODE_TIMEOUT,
    CODE_LOAD_TIMEOUT,
    CODE_OVERLOADED,
    CODE_BREAKER_OPEN,
    CODE_LOAD_FAILED,
    CODE_BACKEND_DOWN,
    CODE_BACKEND_ERROR,
    CODE_CANCELLED,
    CODE_STALE_SOURCE,
    CODE_VERSION_CONFLICT,
    CODE_WRITE_UNKNOWN,
    CODE_SHUTTING_DOWN, /* refused before anything was done */
    CODE_LOST,          /* the server went away with the request */
    CODE_OTHER,
    CODE_COUNT
};

enum { CLASS_VERSIONED = 1, CLASS_REPLICA = 2, CLASS_FED = 4 };

#define CONTENT_BROKEN UINT64_MAX /* the bytes are of no value that was ever written */

struct record {
    uint64_t begin_ns, end_ns;
    int64_t version;
    int64_t told;
    int64_t wanted; /* reads: min_version; 0: none */
    uint64_t content;
    uint32_t key; /* class << 24 | number */
    uint32_t age_ms;
    int32_t ttl_ms; /* INT32_MAX: not said */
    uint32_t load_us;
    uint16_t tag;
    uint8_t op, result, status, code;
};

static inline uint32_t key_of(uint32_t class, uint32_t number)
{
    return class << 24 | number;
}

static inline uint32_t key_class(uint32_t key)
{
    return key >> 24;
}

static inline uint32_t key_number(uint32_t key)
{
    return key & 0xffffff;
}

const char *op_name(unsigned op);
const char *status_name(unsigned status);
const char *code_name(unsigned code);
enum code code_find(const char *text, size_t size); /* of an error that begins with its code */
enum status status_find(const char *text, size_t size);

/* One line, for people. */
void record_print(FILE *out, const struct record *r);

#endif
