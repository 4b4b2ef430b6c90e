#include "wire/json.h"

#include "base/decimal.h"
#include "wire/json_number.h"
#include "wire/json_read.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- text to packed ---- */

struct json_in {
    struct buf *out;
    struct err *e;
    bool marked; /* a string may stand for a number: json_number.h */
};

static int pack_json(const struct json_in *in, const json_t *v, unsigned depth);

static int pack_failed(int rc, const struct buf *out, struct err *e)
{
    if (rc == 0 || (e && e->code == rc))
        return rc;
    if (rc == ERR_TOO_LARGE)
        return err_set(e, rc, "the JSON value takes more than %zu bytes", out->max);
    return err_set(e, rc, "no memory for a JSON value");
}

static int pack_object(const struct json_in *in, json_t *v, unsigned depth)
{
    int rc = mpw_map(in->out, (uint32_t)json_object_size(v));
    for (void *it = json_object_iter(v); rc == 0 && it; it = json_object_iter_next(v, it)) {
        rc = mpw_str(in->out, slice_of(json_object_iter_key(it), json_object_iter_key_len(it)));
        if (rc == 0)
            rc = pack_json(in, json_object_iter_value(it), depth);
    }
    return rc;
}

static int pack_array(const struct json_in *in, const json_t *v, unsigned depth)
{
    size_t count = json_array_size(v);
    int rc = mpw_array(in->out, (uint32_t)count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = pack_json(in, json_array_get(v, i), depth);
    return rc;
}

static int pack_string(const struct json_in *in, const json_t *v)
{
    struct slice s = slice_of(json_string_value(v), json_string_length(v));
    uint64_t number;
    if (in->marked && json_number_is(s, &number))
        return mpw_uint(in->out, number);
    return mpw_str(in->out, s);
}

/* depth: of the containers around v. Recursion ends at MP_DEPTH_MAX. */
static int pack_json(const struct json_in *in, const json_t *v, unsigned depth)
{
    if ((json_is_object(v) || json_is_array(v)) && depth == MP_DEPTH_MAX)
        return err_set(in->e, ERR_BACKEND, "JSON nested deeper than %d", MP_DEPTH_MAX);
    switch (json_typeof(v)) {
    case JSON_NULL: return mpw_nil(in->out);
    case JSON_TRUE: return mpw_bool(in->out, true);
    case JSON_FALSE: return mpw_bool(in->out, false);
    case JSON_INTEGER: return mpw_int(in->out, json_integer_value(v));
    case JSON_REAL: return mpw_number(in->out, json_real_value(v));
    case JSON_STRING: return pack_string(in, v);
    case JSON_ARRAY: return pack_array(in, v, depth + 1);
    case JSON_OBJECT: return pack_object(in, (json_t *)v, depth + 1);
    }
    return err_set(in->e, ERR_INTERNAL, "JSON of an unknown kind");
}

/* marked: the text's numbers were past the reader's, and strings stand for some of them. */
static json_t *parse(struct slice text, json_error_t *fault, bool *marked, struct err *e)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *v = json_read(text, flags, fault);
    *marked = false;
    if (v || json_error_code(fault) != json_error_numeric_overflow)
        return v;
    struct buf wide;
    buf_init(&wide, 0);
    int rc = json_number_settle(text, &wide, marked, e);
    if (rc == 0)
        v = json_read(buf_slice(&wide), flags, fault);
    else if (rc != ERR_BAD_VALUE)
        err_set(e, rc, "no memory for %zu bytes of JSON", text.size);
    else if (e)
        e->code = ERR_BACKEND;
    buf_fini(&wide);
    return v;
}

int json_to_mp(struct slice text, struct buf *out, struct err *e)
{
    json_error_t fault;
    struct err own;
    struct json_in in = {.out = out, .e = e ? e : &own};
    err_clear(in.e);
    json_t *v = parse(text, &fault, &in.marked, in.e);
    if (!v && in.e->code != 0)
        return in.e->code;
    if (!v && json_read_had_no_memory(&fault))
        return err_set(e, ERR_NOMEM, "no memory for %zu bytes of JSON", text.size);
    if (!v)
        return err_set(e, ERR_BACKEND, "no JSON at line %d, column %d: %s", fault.line,
                       fault.column, fault.text);
    size_t before = out->size;
    int rc = pack_failed(pack_json(&in, v, 0), out, in.e);
    if (rc != 0)
        out->size = before;
    json_decref(v);
    return rc;
}

/* ---- packed to text ---- */

static int write_value(struct mp_reader *r, struct buf *out, unsigned depth, struct err *e);

static int write_escape(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"': return buf_append(out, "\\\"", 2);
    case '\\': return buf_append(out, "\\\\", 2);
    case '\n': return buf_append(out, "\\n", 2);
    case '\r': return buf_append(out, "\\r", 2);
    case '\t': return buf_append(out, "\\t", 2);
    default: return buf_printf(out, "\\u%04x", c);
    }
}

static int write_string(struct slice s, struct buf *out, struct err *e)
{
    if (!mp_utf8_valid(s))
        return err_set(e, ERR_BAD_VALUE, "a string that is not UTF-8 has no form in JSON");
    int rc = buf_append(out, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; rc == 0 && i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        rc = buf_append(out, s.data + from, i - from);
        if (rc == 0)
            rc = write_escape(out, c);
        from = i + 1;
    }
    if (rc == 0)
        rc = buf_append(out, s.data + from, s.size - from);
    return rc == 0 ? buf_append(out, "\"", 1) : rc;
}

/* Always with a point or an exponent. */
static int write_float(double d, struct buf *out, struct err *e)
{
    char text[DECIMAL_FLOAT_MAX + 2];
    if (!isfinite(d))
        return err_set(e, ERR_BAD_VALUE, "%s has no form in JSON",
                       isnan(d) ? "nan" : "an infinite number");
    decimal_print_float(d, text);
    if (!strpbrk(text, ".e"))
        strcat(text, ".0");
    return buf_append(out, text, strlen(text));
}

static int bad_packed(struct err *e)
{
    return err_set(e, ERR_BAD_VALUE, "the packed value is cut off or malformed");
}

static int write_key(struct mp_reader *r, struct buf *out, struct err *e)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK)
        return bad_packed(e);
    if (t.type != MP_STR)
        return err_set(e, ERR_BAD_VALUE, "a map key that is no string has no form in JSON");
    int rc = write_string(t.bytes, out, e);
    return rc == 0 ? buf_append(out, ":", 1) : rc;
}

static int write_container(struct mp_reader *r, const struct mp_token *t, struct buf *out,
                           unsigned depth, struct err *e)
{
    bool map = t->type == MP_MAP;
    if (depth == MP_DEPTH_MAX)
        return err_set(e, ERR_BAD_VALUE, "a value nested deeper than %d", MP_DEPTH_MAX);
    int rc = buf_append(out, map ? "{" : "[", 1);
    for (uint32_t i = 0; rc == 0 && i < t->count; i++) {
        if (i > 0)
            rc = buf_append(out, ",", 1);
        if (rc == 0 && map)
            rc = write_key(r, out, e);
        if (rc == 0)
            rc = write_value(r, out, depth + 1, e);
    }
    return rc == 0 ? buf_append(out, map ? "}" : "]", 1) : rc;
}

/* depth: of the containers around the value. Recursion ends at MP_DEPTH_MAX. */
static int write_value(struct mp_reader *r, struct buf *out, unsigned depth, struct err *e)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK)
        return bad_packed(e);
    switch (t.type) {
    case MP_NIL: return buf_append(out, "null", 4);
    case MP_BOOL: return t.b ? buf_append(out, "true", 4) : buf_append(out, "false", 5);
    case MP_INT: return buf_printf(out, "%" PRId64, t.i);
    case MP_UINT: return buf_printf(out, "%" PRIu64, t.u);
    case MP_FLOAT: return write_float(t.d, out, e);
    case MP_STR: return write_string(t.bytes, out, e);
    case MP_ARRAY:
    case MP_MAP: return write_container(r, &t, out, depth, e);
    case MP_BIN: return err_set(e, ERR_BAD_VALUE, "binary data (bin) has no form in JSON");
    case MP_EXT: return err_set(e, ERR_BAD_VALUE, "an ext value has no form in JSON");
    }
    return bad_packed(e);
}

int json_from_mp(struct slice packed, struct buf *out, struct err *e)
{
    struct err own;
    struct err *err = e ? e : &own;
    struct mp_reader r = mp_reader_of(packed);
    size_t before = out->size;
    err_clear(err);
    int rc = write_value(&r, out, 0, err);
    if (rc == 0 && r.at != r.end)
        rc = err_set(err, ERR_BAD_VALUE, "more than one packed value");
    rc = pack_failed(rc, out, err);
    if (rc != 0)
        out->size = before;
    return rc;
}
