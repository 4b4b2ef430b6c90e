/* Tarantool: iproto, a space of (key, value) with a primary key. It has no request for many keys:
 * the nearest is a CALL of bench_many (bench/tarantool.lua), which answers with as many tuples. */
#include "packed.h"
#include "text.h"

/* Numbers from its documentation of the binary protocol. */
enum { IPROTO_SELECT = 1, IPROTO_REPLACE = 3, IPROTO_CALL = 10, IPROTO_SPACE = 512 };

static size_t finish(char *out, const char *end)
{
    packed_put_u32(out, (uint32_t)(end - out) - 5);
    return (size_t)(end - out);
}

static char *start(char *out, unsigned char request, uint32_t id)
{
    unsigned char head[] = {0x82, 0x00, request, 0x01};
    return packed_put_u32(put_bytes(out + 5, head, sizeof head), id);
}

static size_t put_get(char *out, uint32_t id, const struct text *keys, unsigned count)
{
    char *at;
    if (count == 1) {
        at = put_literal(start(out, IPROTO_SELECT, id), "\x86\x10");
        at = put_literal(packed_put_u32(at, IPROTO_SPACE),
                         "\x11\x00\x12\x01\x13\x00\x14\x00\x20\x91");
    } else {
        at = put_literal(start(out, IPROTO_CALL, id), "\x82\x22\xaa"
                                                      "bench_many\x21\x91");
        at = packed_put_array(at, count);
    }
    for (unsigned i = 0; i < count; i++)
        at = packed_put_str(at, keys[i]);
    return finish(out, at);
}

static size_t put_set(char *out, uint32_t id, struct text key, struct text value)
{
    char *at = put_literal(start(out, IPROTO_REPLACE, id), "\x82\x10");
    at = put_literal(packed_put_u32(at, IPROTO_SPACE), "\x21\x92");
    return finish(out, packed_put_str(packed_put_str(at, key), value));
}

/* The header's map. Its size; -1: none. */
static ssize_t take_header(const char *in, size_t len, struct answer *out)
{
    struct token map, key, number;
    ssize_t n = packed_take_token(in, len, &map);
    if (n <= 0)
        return -1;
    size_t at = (size_t)n;
    for (size_t left = map.children; left; left -= 2) {
        ssize_t k = packed_take_token(in + at, len - at, &key);
        ssize_t v = k > 0 ? packed_take_token(in + at + k, len - at - (size_t)k, &number) : -1;
        if (v <= 0)
            return -1;
        at += (size_t)k + (size_t)v;
        if (key.number == 0)
            out->ok = number.number == 0;
        else if (key.number == 1)
            out->id = number.number;
    }
    return (ssize_t)at;
}

/* {data = [[key, value], ...]}; bytes are those of the values. */
static bool take_tuples(const char *in, size_t len, struct answer *out)
{
    struct token map, name, list, tuple, key, value;
    size_t at = 0, bytes;
    struct token *const heads[] = {&map, &name, &list};
    for (unsigned i = 0; i < 3; i++) {
        ssize_t n = packed_take_token(in + at, len - at, heads[i]);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    for (size_t left = list.children; left; left--) {
        ssize_t n = packed_take_token(in + at, len - at, &tuple);
        if (n <= 0)
            return false;
        at += (size_t)n;
        if (tuple.children != 2)
            continue; /* nil: no such key */
        struct token *const parts[] = {&key, &value};
        for (unsigned i = 0; i < 2; i++) {
            n = packed_take_value(in + at, len - at, parts[i], &bytes);
            if (n <= 0)
                return false;
            at += (size_t)n;
        }
        out->values++;
        out->bytes += bytes;
    }
    return true;
}

static ssize_t take(const char *in, size_t len, struct answer *out)
{
    struct token size;
    ssize_t n = packed_take_token(in, len, &size);
    if (n <= 0)
        return n;
    size_t at = (size_t)n, end = at + size.number;
    if (!size.is_int)
        return -1;
    if (end > len)
        return 0;
    *out = (struct answer){.has_id = true};
    n = take_header(in + at, end - at, out);
    if (n < 0)
        return -1;
    at += (size_t)n;
    if (out->ok && at < end && !take_tuples(in + at, end - at, out))
        return -1;
    return (ssize_t)end;
}

const struct protocol protocol_tarantool = {"tarantool", 128, put_get, put_set, take};
