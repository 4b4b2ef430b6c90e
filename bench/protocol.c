#include "protocol.h"

#include <stdio.h>
#include <string.h>

/* Tarantool's numbers, from its documentation of the binary protocol. */
enum { IPROTO_SELECT = 1, IPROTO_REPLACE = 3, IPROTO_SPACE = 512 };

#define TTL_MS 3600000

static char *put_bytes(char *out, const void *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

#define put_literal(out, text) put_bytes(out, text, sizeof(text) - 1)

static char *put_u32(char *out, uint32_t n)
{
    unsigned char bytes[5] = {0xce, (unsigned char)(n >> 24), (unsigned char)(n >> 16),
                              (unsigned char)(n >> 8), (unsigned char)n};
    return put_bytes(out, bytes, 5);
}

/* At most 255 bytes. */
static char *put_str(char *out, struct text t)
{
    unsigned char head[2] = {0xd9, (unsigned char)t.len};
    return put_bytes(put_bytes(out, head, 2), t.at, t.len);
}

/* One MessagePack value. */
struct token {
    bool is_nil, is_int;
    uint32_t number; /* an integer, or the elements of an array or map */
    size_t children; /* values that follow and belong to it */
    size_t payload;  /* bytes of a str or bin */
};

static uint64_t read_big_endian(const unsigned char *in, unsigned width)
{
    uint64_t n = 0;
    while (width--)
        n = n << 8 | *in++;
    return n;
}

static bool is_sized(unsigned char c, unsigned char *width)
{
    switch (c) {
    case 0xc4:
    case 0xd9: *width = 1; return true;
    case 0xc5:
    case 0xda:
    case 0xdc:
    case 0xde: *width = 2; return true;
    case 0xc6:
    case 0xdb:
    case 0xdd:
    case 0xdf: *width = 4; return true;
    default: return false;
    }
}

static bool is_number(unsigned char c, unsigned char *width)
{
    if (c >= 0xcc && c <= 0xd3) {
        *width = (unsigned char)(1U << ((c - 0xcc) % 4));
        return true;
    }
    *width = c == 0xca ? 4 : 8;
    return c == 0xca || c == 0xcb;
}

/* Reads one head and steps over its payload. As `take` of a protocol. */
static ssize_t take_token(const char *in, size_t len, struct token *t)
{
    *t = (struct token){0};
    if (!len)
        return 0;
    const unsigned char *u = (const unsigned char *)in;
    unsigned char c = *u, width = 0;
    if (c < 0x80 || c >= 0xe0) {
        t->is_int = true;
        t->number = c;
    } else if (c < 0x90) {
        t->children = 2 * (size_t)(c & 15);
    } else if (c < 0xa0) {
        t->children = c & 15;
    } else if (c < 0xc0) {
        t->payload = c & 31;
    } else if (c == 0xc0 || c == 0xc2 || c == 0xc3) {
        t->is_nil = c == 0xc0;
    } else if (is_sized(c, &width)) {
        if (len < 1U + width)
            return 0;
        size_t n = (size_t)read_big_endian(u + 1, width);
        if (c >= 0xdc)
            t->children = c >= 0xde ? 2 * n : n;
        else
            t->payload = n;
    } else if (is_number(c, &width)) {
        if (len < 1U + width)
            return 0;
        t->is_int = c >= 0xcc;
        t->number = (uint32_t)read_big_endian(u + 1, width);
    } else {
        return -1;
    }
    size_t size = 1U + width + t->payload;
    return size <= len ? (ssize_t)size : 0;
}

/* One value with all that is in it; *largest: the most bytes of a str or bin in it. */
static ssize_t take_value(const char *in, size_t len, bool *is_nil, size_t *largest)
{
    size_t at = 0, left = 1;
    *largest = 0;
    for (bool first = true; left; first = false) {
        struct token t;
        ssize_t n = take_token(in + at, len - at, &t);
        if (n <= 0)
            return n;
        if (first)
            *is_nil = t.is_nil;
        if (t.payload > *largest)
            *largest = t.payload;
        at += (size_t)n;
        left += t.children;
        left--;
    }
    return (ssize_t)at;
}

/* rtcache: MessagePack-RPC. */

static size_t rtcache_put_get(char *out, uint32_t id, struct text key)
{
    char *at = put_u32(put_literal(out, "\x94\x00"), id);
    at = put_literal(at, "\xa3get\x91");
    return (size_t)(put_str(at, key) - out);
}

static size_t rtcache_put_set(char *out, uint32_t id, struct text key, struct text value)
{
    char *at = put_u32(put_literal(out, "\x94\x00"), id);
    at = put_str(put_literal(at, "\xa3set\x93"), key);
    at = put_literal(put_str(at, value), "\x81\xa6ttl_ms");
    return (size_t)(put_u32(at, TTL_MS) - out);
}

static ssize_t rtcache_take(const char *in, size_t len, struct answer *out)
{
    struct token head, type, id;
    size_t at = 0;
    struct token *const heads[] = {&head, &type, &id};
    for (unsigned i = 0; i < 3; i++) {
        ssize_t n = take_token(in + at, len - at, heads[i]);
        if (n <= 0)
            return n;
        at += (size_t)n;
    }
    if (head.children != 4 || type.number != 1 || !id.is_int)
        return -1;
    bool no_error = false, no_value = false;
    size_t ignored;
    ssize_t n = take_value(in + at, len - at, &no_error, &ignored);
    if (n <= 0)
        return n;
    at += (size_t)n;
    *out = (struct answer){.has_id = true, .id = id.number, .ok = no_error};
    n = take_value(in + at, len - at, &no_value, &out->value);
    return n <= 0 ? n : (ssize_t)at + n;
}

/* Redis: RESP 2. */

static size_t redis_put_get(char *out, uint32_t id, struct text key)
{
    (void)id;
    char *at = out + sprintf(out, "*2\r\n$3\r\nGET\r\n$%zu\r\n", key.len);
    return (size_t)(put_literal(put_bytes(at, key.at, key.len), "\r\n") - out);
}

static size_t redis_put_set(char *out, uint32_t id, struct text key, struct text value)
{
    (void)id;
    char *at = out + sprintf(out, "*3\r\n$3\r\nSET\r\n$%zu\r\n", key.len);
    at = put_bytes(at, key.at, key.len);
    at += sprintf(at, "\r\n$%zu\r\n", value.len);
    return (size_t)(put_literal(put_bytes(at, value.at, value.len), "\r\n") - out);
}

/* The decimal number that ends before the line's end; -1: none. */
static long read_decimal(const char *in, const char *end)
{
    long n = 0;
    if (in == end)
        return -1;
    for (; in < end; in++) {
        if (*in < '0' || *in > '9')
            return -1;
        n = n * 10 + (*in - '0');
    }
    return n;
}

static ssize_t redis_take(const char *in, size_t len, struct answer *out)
{
    const char *end = len ? memchr(in, '\n', len) : NULL;
    if (!end)
        return 0;
    size_t line = (size_t)(end - in) + 1;
    *out = (struct answer){.ok = *in == '+' || *in == '$'};
    if (*in != '$')
        return *in == '+' || *in == '-' ? (ssize_t)line : -1;
    long value = read_decimal(in + 1, end - 1);
    if (value < 0) /* $-1: no such key */
        return (ssize_t)line;
    out->value = (size_t)value;
    size_t size = line + out->value + 2;
    return size <= len ? (ssize_t)size : 0;
}

/* memcached: its text protocol. */

static size_t memcached_put_get(char *out, uint32_t id, struct text key)
{
    (void)id;
    char *at = put_bytes(put_literal(out, "get "), key.at, key.len);
    return (size_t)(put_literal(at, "\r\n") - out);
}

static size_t memcached_put_set(char *out, uint32_t id, struct text key, struct text value)
{
    (void)id;
    char *at = put_bytes(put_literal(out, "set "), key.at, key.len);
    at += sprintf(at, " 0 0 %zu\r\n", value.len);
    return (size_t)(put_literal(put_bytes(at, value.at, value.len), "\r\n") - out);
}

static ssize_t memcached_take(const char *in, size_t len, struct answer *out)
{
    const char *end = len ? memchr(in, '\n', len) : NULL;
    if (!end)
        return 0;
    size_t line = (size_t)(end - in) + 1;
    bool is_value = line > 8 && !memcmp(in, "VALUE ", 6);
    *out = (struct answer){.ok = is_value || *in == 'S' || *in == 'E'};
    if (!is_value) /* STORED, END, or an error */
        return (ssize_t)line;
    const char *size_at = end - 1;
    while (size_at > in && size_at[-1] != ' ')
        size_at--;
    long value = read_decimal(size_at, end - 1);
    if (value < 0)
        return -1;
    out->value = (size_t)value;
    size_t size = line + out->value + 2 + 5; /* the value's line, then END */
    return size <= len ? (ssize_t)size : 0;
}

/* Tarantool: iproto, a space of (key, value) with a primary key. */

static size_t tarantool_finish(char *out, const char *end)
{
    put_u32(out, (uint32_t)(end - out) - 5);
    return (size_t)(end - out);
}

static char *tarantool_start(char *out, unsigned char request, uint32_t id)
{
    unsigned char head[] = {0x82, 0x00, request, 0x01};
    return put_u32(put_bytes(out + 5, head, sizeof head), id);
}

static size_t tarantool_put_get(char *out, uint32_t id, struct text key)
{
    char *at = put_literal(tarantool_start(out, IPROTO_SELECT, id), "\x86\x10");
    at = put_literal(put_u32(at, IPROTO_SPACE), "\x11\x00\x12\x01\x13\x00\x14\x00\x20\x91");
    return tarantool_finish(out, put_str(at, key));
}

static size_t tarantool_put_set(char *out, uint32_t id, struct text key, struct text value)
{
    char *at = put_literal(tarantool_start(out, IPROTO_REPLACE, id), "\x82\x10");
    at = put_literal(put_u32(at, IPROTO_SPACE), "\x21\x92");
    return tarantool_finish(out, put_str(put_str(at, key), value));
}

static ssize_t tarantool_take(const char *in, size_t len, struct answer *out)
{
    struct token size, map, key, number;
    ssize_t n = take_token(in, len, &size);
    if (n <= 0)
        return n;
    size_t at = (size_t)n, end = at + size.number;
    if (!size.is_int)
        return -1;
    if (end > len)
        return 0;
    if ((n = take_token(in + at, end - at, &map)) <= 0)
        return -1;
    *out = (struct answer){.has_id = true};
    for (at += (size_t)n; map.children; map.children -= 2) {
        ssize_t k = take_token(in + at, end - at, &key);
        ssize_t v = k > 0 ? take_token(in + at + k, end - at - (size_t)k, &number) : -1;
        if (v <= 0)
            return -1;
        at += (size_t)k + (size_t)v;
        if (key.number == 0)
            out->ok = number.number == 0;
        else if (key.number == 1)
            out->id = number.number;
    }
    bool ignored;
    if (at < end && take_value(in + at, end - at, &ignored, &out->value) <= 0)
        return -1;
    return (ssize_t)end;
}

static const struct protocol protocols[] = {
    {"rtcache", 0, rtcache_put_get, rtcache_put_set, rtcache_take},
    {"redis", 0, redis_put_get, redis_put_set, redis_take},
    {"memcached", 0, memcached_put_get, memcached_put_set, memcached_take},
    {"tarantool", 128, tarantool_put_get, tarantool_put_set, tarantool_take},
};

const struct protocol *protocol_find(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (!strcmp(protocols[i].name, name))
            return &protocols[i];
    }
    return NULL;
}
