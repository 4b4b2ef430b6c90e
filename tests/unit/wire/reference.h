/*
 * reference: a second reader of MessagePack for the tests, recursive and as plain as the
 * specification's own table, to compare the bounded one with.
 */
#ifndef RTCACHE_TESTS_WIRE_REFERENCE_H
#define RTCACHE_TESTS_WIRE_REFERENCE_H

#include "base/rng.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdint.h>

static inline uint64_t reference_number(const unsigned char *p, unsigned width)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

struct reference_head {
    char kind;       /* n b i u f s B x a m, or ! for what is no MessagePack */
    unsigned header; /* bytes, the format byte among them */
    unsigned width;  /* of the number within the header */
    uint64_t fixed;  /* a number that stands in the format byte itself */
};

static inline struct reference_head reference_head_of(unsigned char c)
{
    static const struct reference_head rare[32] = {
        {'n', 1, 0, 0}, {'!', 1, 0, 0}, {'b', 1, 0, 0}, {'b', 1, 0, 1}, {'B', 2, 1, 0},
        {'B', 3, 2, 0}, {'B', 5, 4, 0}, {'x', 3, 1, 0}, {'x', 4, 2, 0}, {'x', 6, 4, 0},
        {'f', 5, 4, 0}, {'f', 9, 8, 0}, {'u', 2, 1, 0}, {'u', 3, 2, 0}, {'u', 5, 4, 0},
        {'u', 9, 8, 0}, {'i', 2, 1, 0}, {'i', 3, 2, 0}, {'i', 5, 4, 0}, {'i', 9, 8, 0},
        {'x', 2, 0, 1}, {'x', 2, 0, 2}, {'x', 2, 0, 4}, {'x', 2, 0, 8}, {'x', 2, 0, 16},
        {'s', 2, 1, 0}, {'s', 3, 2, 0}, {'s', 5, 4, 0}, {'a', 3, 2, 0}, {'a', 5, 4, 0},
        {'m', 3, 2, 0}, {'m', 5, 4, 0},
    };
    if (c <= 0x7f)
        return (struct reference_head){'u', 1, 0, c};
    if (c <= 0x8f)
        return (struct reference_head){'m', 1, 0, c - 0x80U};
    if (c <= 0x9f)
        return (struct reference_head){'a', 1, 0, c - 0x90U};
    if (c <= 0xbf)
        return (struct reference_head){'s', 1, 0, c - 0xa0U};
    if (c >= 0xe0)
        return (struct reference_head){'i', 1, 1, 0};
    return rare[c - 0xc0];
}

/* MP_OK and the value's size, MP_MORE or MP_BAD. depth: containers around it. */
static inline int reference_size(const unsigned char *p, size_t n, int depth, size_t *size)
{
    if (n == 0)
        return MP_MORE;
    struct reference_head h = reference_head_of(*p);
    if (h.kind == '!')
        return MP_BAD;
    if (n < h.header)
        return MP_MORE;
    uint64_t number = h.fixed;
    if (h.header > 1 && h.width > 0)
        number = reference_number(p + 1, h.width);
    size_t at = h.header;
    if (h.kind == 's' || h.kind == 'B' || h.kind == 'x') {
        if (n - at < number)
            return MP_MORE;
        at += number;
    }
    if (h.kind == 'a' || h.kind == 'm') {
        if (depth == MP_DEPTH_MAX)
            return MP_BAD;
        for (uint64_t i = 0; i < (h.kind == 'm' ? 2 * number : number); i++) {
            size_t child;
            int rc = reference_size(p + at, n - at, depth + 1, &child);
            if (rc != MP_OK)
                return rc;
            at += child;
        }
    }
    *size = at;
    return MP_OK;
}

/* Writes one random value; failures of memory end the test through the caller's comparison. */
static inline void random_value(struct rng *rng, struct buf *out, int depth)
{
    static const char bytes[] =
        "0123456789 abcdefghijklmnopqrstuvwxyz \xc3\xa9\xff\x00 and some more";
    static const unsigned shifts[] = {0, 57, 60, 32, 48, 56, 31, 1};
    uint64_t number = rng_next(rng) >> shifts[rng_below(rng, 8)];
    struct slice text = slice_of(bytes, rng_below(rng, sizeof bytes));
    uint32_t count = (uint32_t)rng_below(rng, rng_below(rng, 8) ? 5 : 40);
    int rc = 0;

    switch (rng_below(rng, depth > 0 ? 10 : 8)) {
    case 0: rc = mpw_nil(out); break;
    case 1: rc = mpw_bool(out, number & 1); break;
    case 2: rc = mpw_uint(out, number); break;
    case 3: rc = mpw_int(out, -(int64_t)(number >> 1) - 1); break;
    case 4: rc = mpw_float(out, (double)number / 3); break;
    case 5: rc = mpw_text(out, text); break;
    case 6: rc = mpw_bin(out, text); break;
    case 7: rc = mpw_int(out, (int64_t)(number >> 1)); break;
    case 8:
        rc = mpw_array(out, count);
        for (uint32_t i = 0; i < count; i++)
            random_value(rng, out, depth - 1);
        break;
    default:
        rc = mpw_map(out, count);
        for (uint32_t i = 0; i < 2 * count; i++)
            random_value(rng, out, depth - 1);
        break;
    }
    if (rc != 0)
        buf_clear(out);
}

#endif
