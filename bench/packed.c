#include "packed.h"

#include "text.h"

#define FIXSTR_ROOM 32 /* shorter ones take a head of one byte */

char *packed_put_u32(char *out, uint32_t n)
{
    unsigned char bytes[5] = {0xce, (unsigned char)(n >> 24), (unsigned char)(n >> 16),
                              (unsigned char)(n >> 8), (unsigned char)n};
    return put_bytes(out, bytes, 5);
}

char *packed_put_str(char *out, struct text t)
{
    unsigned char head[3] = {0xda, (unsigned char)(t.len >> 8), (unsigned char)t.len};
    if (t.len > UINT16_MAX) {
        out = packed_put_u32(out, (uint32_t)t.len);
        out[-5] = (char)0xdb;
    } else if (t.len > UINT8_MAX) {
        out = put_bytes(out, head, 3);
    } else if (t.len >= FIXSTR_ROOM) {
        head[1] = 0xd9;
        out = put_bytes(out, head + 1, 2);
    } else {
        head[2] |= 0xa0;
        out = put_bytes(out, head + 2, 1);
    }
    return put_bytes(out, t.at, t.len);
}

char *packed_put_array(char *out, unsigned count)
{
    unsigned char head[3] = {0xdc, (unsigned char)(count >> 8), (unsigned char)count};
    return put_bytes(out, head, 3);
}

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

ssize_t packed_take_token(const char *in, size_t len, struct token *t)
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
        t->is_array = true;
        t->children = c & 15;
    } else if (c < 0xc0) {
        t->payload = c & 31;
    } else if (c == 0xc0 || c == 0xc2 || c == 0xc3) {
        t->is_nil = c == 0xc0;
    } else if (is_sized(c, &width)) {
        if (len < 1U + width)
            return 0;
        size_t n = (size_t)read_big_endian(u + 1, width);
        t->is_array = c == 0xdc || c == 0xdd;
        if (c >= 0xdc)
            t->children = t->is_array ? n : 2 * n;
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

ssize_t packed_take_value(const char *in, size_t len, struct token *head, size_t *bytes)
{
    ssize_t n = packed_take_token(in, len, head);
    if (n <= 0)
        return n;
    size_t at = (size_t)n, left = head->children;
    for (*bytes = head->payload; left; left--) {
        struct token t;
        n = packed_take_token(in + at, len - at, &t);
        if (n <= 0)
            return n;
        *bytes += t.payload;
        at += (size_t)n;
        left += t.children;
    }
    return (ssize_t)at;
}
