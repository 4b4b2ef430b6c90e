#include "wire/json_out.h"

#include "wire/base64.h"
#include "wire/mp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LEVELS (MP_DEPTH_MAX + MP_DEPTH_EXTRA)

struct level {
    uint64_t left; /* values still to come; a pair counts two */
    bool map;
    bool first;
};

struct printer {
    struct buf *out;
    enum json_out_style style;
    struct level levels[LEVELS];
    int depth;
};

static int append(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static int write_escape(struct buf *out, unsigned code)
{
    static const char *const shorts[0x20] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (code == '"' || code == '\\')
        return buf_printf(out, "\\%c", (char)code);
    if (code < 0x20 && shorts[code])
        return append(out, shorts[code]);
    return buf_printf(out, "\\u%04x", code);
}

/* s is valid UTF-8. */
static int write_string(struct buf *out, struct slice s)
{
    size_t plain = 0;
    int rc = append(out, "\"");

    for (size_t i = 0; i < s.size && rc == 0; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool c1 = c == 0xc2 && (unsigned char)s.data[i + 1] < 0xa0;
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && !c1)
            continue;
        rc = buf_append(out, s.data + plain, i - plain);
        if (rc == 0)
            rc = write_escape(out, c1 ? (unsigned char)s.data[i + 1] : c);
        i += c1;
        plain = i + 1;
    }
    if (rc == 0)
        rc = buf_append(out, s.data + plain, s.size - plain);
    return rc == 0 ? append(out, "\"") : rc;
}

static int write_float(struct buf *out, double d)
{
    char text[40];

    if (!isfinite(d))
        return append(out, "null");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    int rc = append(out, text);
    if (rc == 0 && !strpbrk(text, ".e"))
        rc = append(out, ".0");
    return rc;
}

static int write_base64(struct buf *out, struct slice bytes, const char *after)
{
    int rc = append(out, "\"");
    if (rc == 0)
        rc = base64_encode(out, bytes);
    return rc == 0 ? append(out, after) : rc;
}

static int write_bytes(struct printer *p, const struct mp_token *t)
{
    bool space = p->style == JSON_OUT_PRETTY;
    int rc;

    if (t->type == MP_STR && mp_utf8_valid(t->bytes))
        return write_string(p->out, t->bytes);
    if (t->type == MP_EXT) {
        rc = buf_printf(p->out, space ? "{\"$ext\": [%d, " : "{\"$ext\":[%d,", t->ext_type);
        return rc == 0 ? write_base64(p->out, t->bytes, "\"]}") : rc;
    }
    rc = append(p->out, space ? "{\"$bin\": " : "{\"$bin\":");
    return rc == 0 ? write_base64(p->out, t->bytes, "\"}") : rc;
}

static int write_break(struct printer *p)
{
    if (p->style == JSON_OUT_COMPACT)
        return 0;
    return buf_printf(p->out, "\n%*s", 2 * p->depth, "");
}

/* The comma or colon before the next value, and whether that value is a map's key. */
static int write_separator(struct printer *p, bool *is_key)
{
    *is_key = false;
    if (p->depth == 0)
        return 0;
    struct level *level = &p->levels[p->depth - 1];
    if (level->map && level->left % 2 == 1)
        return append(p->out, p->style == JSON_OUT_PRETTY ? ": " : ":");
    *is_key = level->map;
    if (level->first) {
        level->first = false;
        return write_break(p);
    }
    int rc = append(p->out, ",");
    return rc == 0 ? write_break(p) : rc;
}

/* A key that is no string becomes one: its own compact JSON. */
static int write_key(struct printer *p, struct mp_reader *r)
{
    struct slice key;
    struct mp_token t;
    struct mp_reader peek = *r;

    if (mp_next(&peek, &t) == MP_OK && t.type == MP_STR && mp_utf8_valid(t.bytes)) {
        *r = peek;
        return write_string(p->out, t.bytes);
    }
    if (mp_take(r, &key) != MP_OK)
        return ERR_PROTOCOL;
    struct buf text;
    buf_init(&text, p->out->max);
    int rc = json_out_value(&text, key, JSON_OUT_COMPACT);
    if (rc == 0)
        rc = write_string(p->out, buf_slice(&text));
    buf_fini(&text);
    return rc;
}

static int open_level(struct printer *p, const struct mp_token *t)
{
    bool map = t->type == MP_MAP;

    if (t->count == 0)
        return append(p->out, map ? "{}" : "[]");
    if (p->depth == LEVELS)
        return ERR_PROTOCOL;
    p->levels[p->depth++] =
        (struct level){.left = (uint64_t)t->count << map, .map = map, .first = true};
    return append(p->out, map ? "{" : "[");
}

static int write_token(struct printer *p, const struct mp_token *t)
{
    switch (t->type) {
    case MP_NIL: return append(p->out, "null");
    case MP_BOOL: return append(p->out, t->b ? "true" : "false");
    case MP_INT: return buf_printf(p->out, "%lld", (long long)t->i);
    case MP_UINT: return buf_printf(p->out, "%llu", (unsigned long long)t->u);
    case MP_FLOAT: return write_float(p->out, t->d);
    case MP_ARRAY:
    case MP_MAP: return open_level(p, t);
    default: return write_bytes(p, t);
    }
}

static int write_all(struct printer *p, struct mp_reader *r)
{
    int rc;

    do {
        bool is_key;
        int depth = p->depth;
        rc = write_separator(p, &is_key);
        if (rc == 0 && is_key) {
            rc = write_key(p, r);
        } else if (rc == 0) {
            struct mp_token t;
            rc = mp_next(r, &t) == MP_OK ? write_token(p, &t) : ERR_PROTOCOL;
        }
        if (depth > 0)
            p->levels[depth - 1].left--;
        while (rc == 0 && p->depth > 0 && p->levels[p->depth - 1].left == 0) {
            bool map = p->levels[--p->depth].map;
            rc = write_break(p);
            if (rc == 0)
                rc = append(p->out, map ? "}" : "]");
        }
    } while (rc == 0 && p->depth > 0);
    return rc;
}

int json_out_value(struct buf *out, struct slice packed, enum json_out_style style)
{
    struct printer p = {.out = out, .style = style};
    struct mp_reader r = mp_reader_of(packed);
    size_t before = out->size;
    int rc = write_all(&p, &r);
    if (rc != 0)
        out->size = before;
    return rc;
}
