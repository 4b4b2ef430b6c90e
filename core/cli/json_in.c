#include "cli/json_in.h"

#include "wire/base64.h"
#include "wire/json_number.h"
#include "wire/json_read.h"
#include "wire/mpw.h"

struct json_in {
    struct buf *out;
    struct err *e;
    bool marked; /* a string may stand for a number: json_number.h */
};

static int pack_value(const struct json_in *in, json_t *v, int depth);

static int memory_error(int rc, struct err *e)
{
    return err_set(e, rc, rc == ERR_TOO_LARGE ? "the value is too large" : "no memory");
}

static struct slice string_of(const json_t *v)
{
    return slice_of(json_string_value(v), json_string_length(v));
}

/* {"$bin": "..."}, with type NULL, or {"$ext": [type, "..."]}. */
static int pack_tagged(struct buf *out, const json_t *type, const json_t *text, struct err *e)
{
    struct buf bytes;
    int rc = ERR_BAD_VALUE;

    buf_init(&bytes, 0);
    if (json_is_string(text))
        rc = base64_decode(&bytes, string_of(text));
    if (rc == ERR_BAD_VALUE)
        err_set(e, rc, "\"%s\" takes base64 text with its padding", type ? "$ext" : "$bin");
    else if (rc == 0 && !type)
        rc = mpw_bin(out, buf_slice(&bytes));
    else if (rc == 0)
        rc = mpw_ext(out, (int8_t)json_integer_value(type), buf_slice(&bytes));
    if (rc != 0 && rc != ERR_BAD_VALUE)
        memory_error(rc, e);
    buf_fini(&bytes);
    return rc;
}

static int pack_ext(struct buf *out, const json_t *pair, struct err *e)
{
    const json_t *type = json_array_get(pair, 0);

    if (json_array_size(pair) != 2 || !json_is_integer(type) || json_integer_value(type) < -128 ||
        json_integer_value(type) > 127)
        return err_set(e, ERR_BAD_VALUE, "\"$ext\" takes [type from -128 to 127, \"base64\"]");
    return pack_tagged(out, type, json_array_get(pair, 1), e);
}

static int pack_object(const struct json_in *in, json_t *v, int depth)
{
    size_t size = json_object_size(v);

    if (size == 1) {
        const json_t *bin = json_object_get(v, "$bin");
        const json_t *ext = json_object_get(v, "$ext");
        if (bin)
            return pack_tagged(in->out, NULL, bin, in->e);
        if (ext)
            return pack_ext(in->out, ext, in->e);
    }
    int rc = mpw_map(in->out, (uint32_t)size);
    if (rc != 0)
        return memory_error(rc, in->e);
    for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
        rc = mpw_str(in->out, slice_of(json_object_iter_key(it), json_object_iter_key_len(it)));
        if (rc != 0)
            return memory_error(rc, in->e);
        rc = pack_value(in, json_object_iter_value(it), depth + 1);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int pack_array(const struct json_in *in, json_t *v, int depth)
{
    size_t size = json_array_size(v);
    int rc = mpw_array(in->out, (uint32_t)size);
    if (rc != 0)
        return memory_error(rc, in->e);
    for (size_t i = 0; i < size && rc == 0; i++)
        rc = pack_value(in, json_array_get(v, i), depth + 1);
    return rc;
}

/* Recursion ends at MP_DEPTH_MAX. */
static int pack_value(const struct json_in *in, json_t *v, int depth)
{
    struct buf *out = in->out;
    uint64_t number;
    int rc;

    if ((json_is_object(v) || json_is_array(v)) && depth == MP_DEPTH_MAX)
        return err_set(in->e, ERR_BAD_VALUE, "nested deeper than %d", MP_DEPTH_MAX);
    switch (json_typeof(v)) {
    case JSON_OBJECT: return pack_object(in, v, depth);
    case JSON_ARRAY: return pack_array(in, v, depth);
    case JSON_STRING:
        rc = in->marked && json_number_is(string_of(v), &number) ? mpw_uint(out, number)
                                                                 : mpw_str(out, string_of(v));
        break;
    case JSON_INTEGER: rc = mpw_int(out, json_integer_value(v)); break;
    case JSON_REAL: rc = mpw_float(out, json_real_value(v)); break;
    case JSON_NULL: rc = mpw_nil(out); break;
    default: rc = mpw_bool(out, json_is_true(v)); break;
    }
    return rc == 0 ? 0 : memory_error(rc, in->e);
}

/* With the numbers that are past the reader's written otherwise. */
static json_t *read_settled(struct json_in *in, struct slice text, size_t flags,
                            json_error_t *fault)
{
    json_t *v = NULL;
    struct buf wide;
    buf_init(&wide, 0);
    int rc = json_number_settle(text, &wide, &in->marked, in->e);
    if (rc == 0)
        v = json_read(buf_slice(&wide), flags, fault);
    else if (rc != ERR_BAD_VALUE)
        memory_error(rc, in->e);
    buf_fini(&wide);
    return v;
}

int json_in_pack(struct buf *out, struct slice text, struct err *e)
{
    const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_error_t error;
    size_t before = out->size;
    struct err own;
    e = e ? e : &own;
    struct json_in in = {.out = out, .e = e};
    json_t *v = json_read(text, flags, &error);
    if (!v && json_error_code(&error) == json_error_numeric_overflow) {
        int line = error.line, column = error.column;
        err_clear(e);
        v = read_settled(&in, text, flags, &error);
        if (e->code != 0)
            err_prefix(e, "line %d, column %d", line, column);
        if (e->code != 0)
            return e->code;
    }
    if (!v && json_read_had_no_memory(&error))
        return memory_error(ERR_NOMEM, e);
    if (!v)
        return err_set(e, ERR_BAD_VALUE, "line %d, column %d: %s", error.line, error.column,
                       error.text);
    int rc = pack_value(&in, v, 0);
    json_decref(v);
    if (rc != 0)
        out->size = before;
    return rc;
}
