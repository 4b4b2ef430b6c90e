/* Redis: RESP 2; MGET for many. */
#include "protocol.h"
#include "text.h"

static char *put_bulk(char *out, struct text t)
{
    char *at = put_decimal(put_literal(out, "$"), t.len);
    return put_literal(put_bytes(put_literal(at, "\r\n"), t.at, t.len), "\r\n");
}

static size_t put_get(char *out, uint32_t id, const struct text *keys, unsigned count)
{
    (void)id;
    char *at = put_decimal(put_literal(out, "*"), count + 1);
    at = count == 1 ? put_literal(at, "\r\n$3\r\nGET\r\n") : put_literal(at, "\r\n$4\r\nMGET\r\n");
    for (unsigned i = 0; i < count; i++)
        at = put_bulk(at, keys[i]);
    return (size_t)(at - out);
}

static size_t put_set(char *out, uint32_t id, struct text key, struct text value)
{
    (void)id;
    char *at = put_bulk(put_literal(out, "*3\r\n$3\r\nSET\r\n"), key);
    return (size_t)(put_bulk(at, value) - out);
}

/* A line, or a bulk string. *number: what stands after its first byte; -1: none. */
static ssize_t take_one(const char *in, size_t len, long *number, struct answer *out)
{
    const char *end = len ? memchr(in, '\n', len) : NULL;
    if (!end)
        return 0;
    size_t line = (size_t)(end - in) + 1;
    *number = line > 2 ? take_decimal(in + 1, end - 1) : -1;
    if (*in != '$' || *number < 0) /* $-1: no such key */
        return (ssize_t)line;
    size_t size = line + (size_t)*number + 2;
    out->values++;
    out->bytes += (size_t)*number;
    return size <= len ? (ssize_t)size : 0;
}

static ssize_t take(const char *in, size_t len, struct answer *out)
{
    *out = (struct answer){.ok = len && *in != '-'};
    if (len && !memchr("+-$*", *in, 4))
        return -1;
    long count, ignored;
    ssize_t n = take_one(in, len, &count, out);
    if (n <= 0 || *in != '*')
        return n;
    size_t at = (size_t)n;
    for (; count > 0; count--) {
        n = take_one(in + at, len - at, &ignored, out);
        if (n <= 0)
            return n;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

const struct protocol protocol_redis = {"redis", 0, put_get, put_set, take};
