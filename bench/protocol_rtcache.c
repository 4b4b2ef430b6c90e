/* rtcache: MessagePack-RPC. A value that is an array is taken for the answer to a get of many. */
#include "packed.h"
#include "text.h"

#define TTL_MS 3600000

static size_t put_get(char *out, uint32_t id, const struct text *keys, unsigned count)
{
    char *at = packed_put_u32(put_literal(out, "\x94\x00"), id);
    if (count == 1)
        at = put_literal(at, "\xa3get\x91");
    else
        at = packed_put_array(put_literal(at, "\xa8get_many\x91"), count);
    for (unsigned i = 0; i < count; i++)
        at = packed_put_str(at, keys[i]);
    return (size_t)(at - out);
}

static size_t put_set(char *out, uint32_t id, struct text key, struct text value)
{
    char *at = packed_put_u32(put_literal(out, "\x94\x00"), id);
    at = packed_put_str(put_literal(at, "\xa3set\x93"), key);
    at = put_literal(packed_put_str(at, value), "\x81\xa6ttl_ms");
    return (size_t)(packed_put_u32(at, TTL_MS) - out);
}

/* One {value = ...} of an answer to get_many. */
static ssize_t take_item(const char *in, size_t len, struct answer *out)
{
    struct token map, name, value;
    size_t bytes, ignored;
    ssize_t n = packed_take_token(in, len, &map);
    if (n <= 0)
        return n;
    size_t at = (size_t)n;
    if (map.children != 2)
        return -1;
    n = packed_take_value(in + at, len - at, &name, &ignored);
    if (n <= 0)
        return n;
    bool is_value = name.payload == 5 && !memcmp(in + at + (size_t)n - 5, "value", 5);
    at += (size_t)n;
    n = packed_take_value(in + at, len - at, &value, &bytes);
    if (n <= 0)
        return n;
    if (is_value && !value.is_nil) {
        out->values++;
        out->bytes += bytes;
    }
    return (ssize_t)at + n;
}

static ssize_t take_result(const char *in, size_t len, struct answer *out)
{
    struct token head;
    ssize_t n = packed_take_token(in, len, &head);
    if (n <= 0)
        return n;
    if (!head.is_array) {
        n = packed_take_value(in, len, &head, &out->bytes);
        out->values = !head.is_nil;
        return n;
    }
    size_t at = (size_t)n;
    for (size_t left = head.children; left; left--) {
        n = take_item(in + at, len - at, out);
        if (n <= 0)
            return n;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

static ssize_t take(const char *in, size_t len, struct answer *out)
{
    struct token head, type, id, error;
    size_t at = 0;
    struct token *const heads[] = {&head, &type, &id};
    for (unsigned i = 0; i < 3; i++) {
        ssize_t n = packed_take_token(in + at, len - at, heads[i]);
        if (n <= 0)
            return n;
        at += (size_t)n;
    }
    if (head.children != 4 || type.number != 1 || !id.is_int)
        return -1;
    size_t ignored;
    ssize_t n = packed_take_value(in + at, len - at, &error, &ignored);
    if (n <= 0)
        return n;
    at += (size_t)n;
    *out = (struct answer){.has_id = true, .id = id.number, .ok = error.is_nil};
    n = take_result(in + at, len - at, out);
    return n <= 0 ? n : (ssize_t)at + n;
}

const struct protocol protocol_rtcache = {"rtcache", 0, put_get, put_set, take};
