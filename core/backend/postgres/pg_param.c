#include "backend/postgres/pg_param.h"

#include "wire/json.h"
#include "backend/postgres/pg_int.h"
#include "backend/postgres/pg_value.h"
#include "base/decimal.h"
#include "wire/mp.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_KEPT        (1U << 20) /* room above this is given back before the next query */
#define ARRAY_DIMENSIONS 6          /* PostgreSQL's MAXDIM */
#define NAME_MAX_SIZE    63         /* NAMEDATALEN - 1 */

static int grow(struct pg_params *p, int count)
{
    if (count <= p->capacity)
        return 0;
    size_t n = (size_t)count;
    void *values = realloc(p->values, n * sizeof *p->values);
    if (values)
        p->values = values;
    void *lengths = realloc(p->lengths, n * sizeof *p->lengths);
    if (lengths)
        p->lengths = lengths;
    void *formats = realloc(p->formats, n * sizeof *p->formats);
    if (formats)
        p->formats = formats;
    void *types = realloc(p->types, n * sizeof *p->types);
    if (types)
        p->types = types;
    void *offsets = realloc(p->offsets, n * sizeof *p->offsets);
    if (offsets)
        p->offsets = offsets;
    if (!values || !lengths || !formats || !types || !offsets)
        return ERR_NOMEM;
    p->capacity = count;
    return 0;
}

static int malformed(struct err *e)
{
    return err_set(e, ERR_BAD_VALUE, "the packed parameters are cut off or malformed");
}

/* Two types of the server's own tables cut a text that is too long, without a word; a longer
 * "char" may be a byte's escape. */
static int check_size(struct slice s, Oid type, struct err *e)
{
    if (type == PG_NAME && s.size > NAME_MAX_SIZE)
        return err_set(e, ERR_BAD_VALUE, "a name of %zu bytes: at most %d are kept", s.size,
                       NAME_MAX_SIZE);
    if (type == PG_CHAR && s.size > 1 && s.data[0] != '\\')
        return err_set(e, ERR_BAD_VALUE, "a \"char\" of %zu bytes: one is kept", s.size);
    return 0;
}

/* Text goes to the server as it is; NUL would end it, and other bytes would not be characters. */
static int check_text(struct slice s, Oid type, struct err *e)
{
    const char *nul = s.size ? memchr(s.data, '\0', s.size) : NULL;
    if (nul)
        return err_set(e, ERR_BAD_VALUE, "a text with a NUL byte (at %zu) cannot be sent",
                       (size_t)(nul - s.data));
    size_t good = mp_utf8_prefix(s);
    if (good != s.size)
        return err_set(e, ERR_BAD_VALUE, "a text that is not UTF-8 (at byte %zu) cannot be sent",
                       good);
    return check_size(s, type, e);
}

static int write_float(double d, struct buf *out)
{
    char text[DECIMAL_FLOAT_MAX];
    if (isnan(d))
        return buf_append(out, "NaN", 3);
    if (isinf(d))
        return buf_printf(out, "%s", d < 0 ? "-Infinity" : "Infinity");
    if (fabs(d) < 1e18 && d == (double)(int64_t)d && !(d == 0 && signbit(d)))
        return decimal_print(out, (int64_t)d); /* an int8 is not written with an exponent */
    decimal_print_float(d, text);
    return buf_append(out, text, strlen(text));
}

/* 2^63 and 2^64 are the first doubles that the cast back cannot take. */
static bool rounds_to_itself(double d, int64_t v)
{
    return d < 0x1p63 && (int64_t)d == v;
}

static bool rounds_to_itself_u(double d, uint64_t v)
{
    return d < 0x1p64 && (uint64_t)d == v;
}

/* Whether the type holds an integer as it is. The server rounds, or wraps, without a word. */
static bool holds(Oid type, const struct mp_token *t)
{
    if (type == PG_OID && t->type == MP_INT)
        return t->i >= 0;
    if (type != PG_FLOAT4 && type != PG_FLOAT8)
        return true;
    if (t->type == MP_UINT)
        return type == PG_FLOAT4 ? rounds_to_itself_u((float)t->u, t->u)
                                 : rounds_to_itself_u((double)t->u, t->u);
    return type == PG_FLOAT4 ? rounds_to_itself((float)t->i, t->i)
                             : rounds_to_itself((double)t->i, t->i);
}

/* bool, int, uint and float as text. */
static int write_scalar(const struct mp_token *t, Oid type, struct buf *out, struct err *e)
{
    char number[24];
    if (type == PG_BYTEA)
        return err_set(e, ERR_BAD_VALUE, "a %s cannot be sent as bytes (bytea)",
                       t->type == MP_BOOL ? "boolean" : "number");
    switch (t->type) {
    case MP_BOOL: return buf_printf(out, "%s", t->b ? "true" : "false");
    case MP_INT: snprintf(number, sizeof number, "%" PRId64, t->i); break;
    case MP_UINT: snprintf(number, sizeof number, "%" PRIu64, t->u); break;
    default: return write_float(t->d, out);
    }
    if (!holds(type, t))
        return err_set(e, ERR_BAD_VALUE, "%s has no exact form as %s", number,
                       type == PG_OID      ? "oid"
                       : type == PG_FLOAT4 ? "float4"
                                           : "float8");
    return t->type == MP_INT ? decimal_print(out, t->i) : buf_append(out, number, strlen(number));
}

static int write_json(struct mp_reader *r, struct buf *out, struct err *e)
{
    struct slice value;
    if (mp_take(r, &value) != MP_OK)
        return malformed(e);
    return json_from_mp(value, out, e);
}

/* ---- arrays ---- */

static int write_quoted(struct slice s, struct buf *out)
{
    int rc = buf_append(out, "\"", 1);
    for (size_t i = 0; rc == 0 && i < s.size; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\')
            rc = buf_append(out, "\\", 1);
        if (rc == 0)
            rc = buf_append(out, s.data + i, 1);
    }
    return rc == 0 ? buf_append(out, "\"", 1) : rc;
}

static int write_quoted_hex(struct slice s, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    char *to = buf_room(out, 2 * s.size + 5);
    if (!to)
        return ERR_NOMEM;
    memcpy(to, "\"\\\\x", 4);
    to += 4;
    for (size_t i = 0; i < s.size; i++) {
        *to++ = digits[(unsigned char)s.data[i] >> 4];
        *to++ = digits[(unsigned char)s.data[i] & 15];
    }
    *to = '"';
    out->size += 2 * s.size + 5;
    return 0;
}

static int write_quoted_json(struct mp_reader *r, struct buf *out, struct err *e)
{
    struct buf json;
    buf_init(&json, 0);
    int rc = write_json(r, &json, e);
    if (rc == 0)
        rc = write_quoted(buf_slice(&json), out);
    buf_fini(&json);
    return rc;
}

static int write_array(struct mp_reader *r, uint32_t count, Oid element, struct buf *out,
                       unsigned depth, struct err *e);

static int write_element(struct mp_reader *r, Oid element, struct buf *out, unsigned depth,
                         struct err *e)
{
    bool json = element == PG_JSON || element == PG_JSONB;
    struct mp_reader start = *r;
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK)
        return malformed(e);
    switch (t.type) {
    case MP_NIL: return buf_append(out, "NULL", 4);
    case MP_BOOL:
    case MP_INT:
    case MP_UINT:
    case MP_FLOAT: return write_scalar(&t, element, out, e);
    case MP_STR:
    case MP_BIN: {
        if (element == PG_BYTEA)
            return write_quoted_hex(t.bytes, out);
        int rc = check_text(t.bytes, element, e);
        return rc == 0 ? write_quoted(t.bytes, out) : rc;
    }
    case MP_ARRAY:
        if (!json)
            return write_array(r, t.count, element, out, depth, e);
        break;
    case MP_MAP: break;
    case MP_EXT: return err_set(e, ERR_BAD_VALUE, "an ext value cannot be sent");
    }
    *r = start;
    return write_quoted_json(r, out, e);
}

/* depth: of the arrays around this one. */
static int write_array(struct mp_reader *r, uint32_t count, Oid element, struct buf *out,
                       unsigned depth, struct err *e)
{
    if (depth == ARRAY_DIMENSIONS)
        return err_set(e, ERR_BAD_VALUE, "an array of more than %d dimensions", ARRAY_DIMENSIONS);
    int rc = buf_append(out, "{", 1);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        if (i > 0)
            rc = buf_append(out, element == PG_BOX ? ";" : ",", 1);
        if (rc == 0)
            rc = write_element(r, element, out, depth + 1, e);
    }
    return rc == 0 ? buf_append(out, "}", 1) : rc;
}

/* ---- parameters ---- */

static bool takes_json(Oid type)
{
    return type == PG_JSON || type == PG_JSONB || type == PG_TEXT || type == PG_VARCHAR ||
           type == PG_BPCHAR || type == PG_NAME || type == PG_CHAR;
}

static int write_nested(struct mp_reader *r, Oid type, struct buf *out, struct err *e)
{
    struct mp_reader start = *r;
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK)
        return malformed(e);
    if (type == PG_BYTEA)
        return err_set(e, ERR_BAD_VALUE, "a table cannot be sent as bytes (bytea)");
    if (t.type == MP_ARRAY && !takes_json(type))
        return write_array(r, t.count, pg_value_element(type), out, 0, e);
    *r = start;
    return write_json(r, out, e);
}

static int bind_bytes(struct pg_params *p, int i, struct slice s, Oid type, struct err *e)
{
    if (s.size > INT32_MAX)
        return err_set(e, ERR_BAD_VALUE, "more than 2 GiB");
    if (type == PG_BYTEA) {
        p->values[i] = s.size ? s.data : "";
        p->lengths[i] = (int)s.size;
        p->formats[i] = 1;
        return 0;
    }
    int rc = check_text(s, type, e);
    if (rc != 0)
        return rc;
    p->offsets[i] = p->text.size + 1;
    rc = buf_append(&p->text, s.data, s.size);
    return rc == 0 ? buf_append(&p->text, "", 1) : rc;
}

/* An array that has a binary form: 1, or 0 where it has none. */
static int bind_ints(struct pg_params *p, int i, struct mp_reader *r, uint32_t count, Oid type)
{
    size_t before = p->text.size;
    if (type & PG_ARRAY_OF) /* whose elements have a number that is not that of integers */
        return 0;
    int rc = pg_int_array(&p->text, r, count, pg_value_element(type));
    if (rc == 1) {
        p->offsets[i] = before + 1;
        p->lengths[i] = (int)(p->text.size - before);
        p->formats[i] = 1;
    }
    return rc;
}

static int bind_one(struct pg_params *p, int i, struct mp_reader *r, Oid type, struct err *e)
{
    struct mp_reader start = *r;
    struct mp_token t;
    p->values[i] = NULL;
    p->lengths[i] = p->formats[i] = 0;
    p->offsets[i] = 0;
    if (mp_next(r, &t) != MP_OK)
        return malformed(e);
    int rc;
    switch (t.type) {
    case MP_NIL: return 0;
    case MP_STR:
    case MP_BIN: return bind_bytes(p, i, t.bytes, type, e);
    case MP_EXT: return err_set(e, ERR_BAD_VALUE, "an ext value cannot be sent");
    case MP_ARRAY:
        rc = bind_ints(p, i, r, t.count, type);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        /* fallthrough */
    case MP_MAP:
        *r = start;
        p->offsets[i] = p->text.size + 1;
        rc = write_nested(r, type, &p->text, e);
        break;
    default: p->offsets[i] = p->text.size + 1; rc = write_scalar(&t, type, &p->text, e);
    }
    return rc == 0 ? buf_append(&p->text, "", 1) : rc;
}

static int read_count(struct mp_reader *r, int want, struct err *e)
{
    struct mp_token t = {.count = 0};
    if (r->at != r->end && (mp_next(r, &t) != MP_OK || t.type != MP_ARRAY))
        return malformed(e);
    if (t.count != (uint32_t)want)
        return err_set(e, ERR_BAD_REQUEST, "the query has %d parameter%s, %u given", want,
                       want == 1 ? "" : "s", t.count);
    return 0;
}

int pg_param_bind(struct pg_params *p, struct slice packed, const Oid *types, int count,
                  struct err *e)
{
    struct mp_reader r = mp_reader_of(packed);
    if (p->text.capacity > TEXT_KEPT)
        buf_fini(&p->text);
    buf_clear(&p->text);
    int rc = read_count(&r, count, e);
    if (rc != 0)
        return rc;
    if (grow(p, count) != 0)
        return err_set(e, ERR_NOMEM, "no memory for %d parameters", count);
    for (int i = 0; i < count; i++) {
        struct err cause;
        err_set(&cause, ERR_NOMEM, "no memory for it");
        rc = bind_one(p, i, &r, pg_types_kind(p->known, types[i]), &cause);
        if (rc != 0)
            return err_set(e, rc, "parameter $%d: %s", i + 1, cause.text);
    }
    if (r.at != r.end)
        return malformed(e);
    for (int i = 0; i < count; i++) {
        p->types[i] = p->formats[i] ? types[i] : 0;
        if (p->offsets[i] != 0)
            p->values[i] = p->text.data + p->offsets[i] - 1;
    }
    return 0;
}

void pg_param_fini(struct pg_params *p)
{
    free(p->values);
    free(p->lengths);
    free(p->formats);
    free(p->types);
    free(p->offsets);
    buf_fini(&p->text);
    *p = (struct pg_params){.capacity = 0, .known = p->known};
}
