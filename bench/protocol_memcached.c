/* memcached: its text protocol; a get with several keys for many. */
#include "protocol.h"
#include "text.h"

static size_t put_get(char *out, uint32_t id, const struct text *keys, unsigned count)
{
    (void)id;
    char *at = put_literal(out, "get");
    for (unsigned i = 0; i < count; i++)
        at = put_bytes(put_literal(at, " "), keys[i].at, keys[i].len);
    return (size_t)(put_literal(at, "\r\n") - out);
}

static size_t put_set(char *out, uint32_t id, struct text key, struct text value)
{
    (void)id;
    char *at = put_bytes(put_literal(out, "set "), key.at, key.len);
    at = put_literal(put_decimal(put_literal(at, " 0 0 "), value.len), "\r\n");
    return (size_t)(put_literal(put_bytes(at, value.at, value.len), "\r\n") - out);
}

/* Values up to their END; or STORED, or an error. */
static ssize_t take(const char *in, size_t len, struct answer *out)
{
    *out = (struct answer){.ok = false};
    for (size_t at = 0; at < len;) {
        const char *end = memchr(in + at, '\n', len - at);
        if (!end)
            return 0;
        size_t line = (size_t)(end - in) + 1 - at;
        if (line < 8 || memcmp(in + at, "VALUE ", 6) != 0) {
            out->ok = in[at] == 'S' || (line == 5 && !memcmp(in + at, "END", 3));
            return (ssize_t)(at + line);
        }
        const char *size_at = end - 1;
        while (size_at > in + at && size_at[-1] != ' ')
            size_at--;
        long size = take_decimal(size_at, end - 1);
        if (size < 0)
            return -1;
        out->values++;
        out->bytes += (size_t)size;
        at += line + (size_t)size + 2;
    }
    return 0;
}

const struct protocol protocol_memcached = {"memcached", 0, put_get, put_set, take};
