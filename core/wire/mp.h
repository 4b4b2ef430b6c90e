/*
 * mp: a bounded reader of MessagePack bytes (the specification at msgpack.org, version of 2013 with
 * bin and ext). It walks tokens in place; it never allocates and never recurses.
 *
 * Shape: a reader is two pointers; strings come back as slices into the input. O(bytes).
 * Thread: any. Limits: nesting MP_DEPTH_MAX; a declared count or size may not pass the bytes left
 * (every element takes one byte at least), so a short bomb cannot ask for memory.
 */
#ifndef RTCACHE_WIRE_MP_H
#define RTCACHE_WIRE_MP_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

#define MP_DEPTH_MAX   16
#define MP_MARKS       3
#define MP_DEPTH_EXTRA 4 /* at most, for struct mp_scan.extra_depth */

enum mp_type {
    MP_NIL,
    MP_BOOL,
    MP_INT,  /* any integer that fits int64 */
    MP_UINT, /* an integer above INT64_MAX */
    MP_FLOAT,
    MP_STR,
    MP_BIN,
    MP_ARRAY,
    MP_MAP,
    MP_EXT
};

struct mp_token {
    enum mp_type type;
    int8_t ext_type;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
        struct slice bytes; /* STR, BIN, EXT: borrowed from the input */
        uint32_t count;     /* ARRAY: elements follow; MAP: pairs follow */
    };
};

struct mp_reader {
    const char *at, *end;
};

enum { MP_OK = 0, MP_MORE = 1, MP_BAD = 2 };

static inline struct mp_reader mp_reader_of(struct slice s)
{
    return (struct mp_reader){.at = s.data, .end = s.size ? s.data + s.size : s.data};
}

/* The rest of mp_next: a format byte from 0xc0 to 0xdf, which is there. */
int mp_next_form(struct mp_reader *r, struct mp_token *t) MUST_USE;

/* The next token. MP_OK; MP_MORE: the input ends inside it (at is not moved); MP_BAD: byte 0xc1.
 * Does not compare a container's count with the bytes left. Here, because a hit reads seven. */
static inline int MUST_USE mp_next(struct mp_reader *r, struct mp_token *t)
{
    if (r->at == r->end)
        return MP_MORE;
    unsigned char c = (unsigned char)*r->at;
    if (c >= 0xa0 && c < 0xc0) {
        size_t size = c & 0x1f;
        if ((size_t)(r->end - r->at) <= size)
            return MP_MORE;
        t->type = MP_STR;
        t->bytes = slice_of(r->at + 1, size);
        r->at += 1 + size;
        return MP_OK;
    }
    if (c >= 0xc0 && c < 0xe0)
        return mp_next_form(r, t);
    if (c < 0x80 || c >= 0xe0) {
        t->type = MP_INT;
        t->i = (int8_t)c;
    } else {
        t->type = c < 0x90 ? MP_MAP : MP_ARRAY;
        t->count = c & 0x0f;
    }
    r->at++;
    return MP_OK;
}

/* The next token where it is an integer from 0 to 2^32 - 1 in one of the forms that have no sign,
 * as a msgid is written; false: something else, or not all there, and at is not moved. */
static inline bool mp_next_uint32(struct mp_reader *r, uint32_t *v)
{
    const unsigned char *p = (const unsigned char *)r->at;
    size_t left = (size_t)(r->end - r->at);
    if (left >= 1 && p[0] < 0x80) {
        *v = p[0];
        r->at++;
        return true;
    }
    size_t width = left == 0 || p[0] < 0xcc || p[0] > 0xce ? 0 : (size_t)1 << (p[0] - 0xcc);
    if (width == 0 || left <= width)
        return false;
    if (width == sizeof *v) {
        memcpy(v, p + 1, sizeof *v);
        *v = __builtin_bswap32(*v);
    } else {
        *v = width == 1 ? p[1] : (uint32_t)p[1] << 8 | p[2];
    }
    r->at += 1 + width;
    return true;
}

/* Steps over one whole value. MP_OK, MP_MORE or MP_BAD (too deep, 0xc1); at is moved on MP_OK only.
 */
int mp_skip(struct mp_reader *r) MUST_USE;
/* The same for a value of at most *most tokens, which are taken off it; MP_BAD also past that. */
int mp_skip_some(struct mp_reader *r, size_t *most) MUST_USE;

/* The next value's first token; steps over all of the value. MP_OK, MP_MORE or MP_BAD. */
static inline int MUST_USE mp_next_whole(struct mp_reader *r, struct mp_token *t)
{
    struct mp_reader ahead = *r;
    int rc = mp_next(&ahead, t);
    if (rc == MP_OK && (t->type == MP_ARRAY || t->type == MP_MAP))
        return mp_skip(r);
    if (rc == MP_OK)
        *r = ahead;
    return rc;
}

/* The same for a value of at most *most tokens, which are taken off it; MP_BAD also past that. */
static inline int MUST_USE mp_next_some(struct mp_reader *r, struct mp_token *t, size_t *most)
{
    struct mp_reader ahead = *r;
    int rc = mp_next(&ahead, t);
    if (rc != MP_OK || *most == 0 || t->type == MP_ARRAY || t->type == MP_MAP)
        return mp_skip_some(r, most);
    --*most;
    *r = ahead;
    return MP_OK;
}

/* 0 where s is exactly one well-formed value: complete, no deeper than MP_DEPTH_MAX, nothing after.
 */
int mp_check(struct slice s, struct err *e) MUST_USE;

/* The value that starts at r->at, as its bytes; steps over it. MP_OK, MP_MORE or MP_BAD. */
int mp_take(struct mp_reader *r, struct slice *value) MUST_USE;

enum mp_fault {
    MP_FAULT_NONE,
    MP_FAULT_BYTE,  /* 0xc1 */
    MP_FAULT_DEPTH, /* nested deeper than allowed */
    MP_FAULT_SIZE   /* declares more than max_bytes; scan->needed says how much at least */
};

/* A scan of one value whose bytes arrive in pieces: it goes on where it stopped, so a frame costs
 * O(bytes) however it is cut. 0 in every field starts one. */
struct mp_scan {
    size_t offset; /* bytes of the value looked at so far; after MP_BAD where the culprit begins */
    uint32_t depth;
    uint32_t extra_depth; /* levels allowed past MP_DEPTH_MAX: a client's envelopes */
    enum mp_fault fault;  /* after MP_BAD */
    uint64_t needed;      /* MP_FAULT_SIZE: bytes that the value takes at least */
    uint64_t owed;        /* values, at all depths together */
    uint64_t left[MP_DEPTH_MAX + MP_DEPTH_EXTRA + 1]; /* of these at each depth */
    /* Where the first values at mark_depth end; 0: not asked for. */
    uint32_t mark_depth, mark_count;
    size_t marks[MP_MARKS];
};

/* s: the value's bytes from its first one on, as many as there are. MP_OK: complete, scan->offset
 * is its size; MP_MORE; MP_BAD. max_bytes bounds declared sizes before they arrive (MP_BAD past
 * it). */
int mp_scan_step(struct mp_scan *scan, struct slice s, size_t max_bytes) MUST_USE;

bool mp_utf8_valid(struct slice s);
/* How many bytes of s, from its start, are valid UTF-8 in whole characters. */
size_t mp_utf8_prefix(struct slice s);

#endif
