#include "backend/sqlite/sqlite_value.h"

#include "wire/json.h"
#include "base/decimal.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum sqlite_kind sqlite_value_kind(const char *declared)
{
    static const struct {
        const char *name;
        enum sqlite_kind kind;
    } known[] = {
        {"JSON", SQLITE_KIND_JSON},       {"JSONB", SQLITE_KIND_JSON},
        {"BOOLEAN", SQLITE_KIND_BOOL},    {"BOOL", SQLITE_KIND_BOOL},
        {"DECIMAL", SQLITE_KIND_DECIMAL}, {"NUMERIC", SQLITE_KIND_DECIMAL},
    };
    size_t size = declared ? strcspn(declared, " (") : 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == size && strncasecmp(known[i].name, declared, size) == 0)
            return known[i].kind;
    return SQLITE_KIND_PLAIN;
}

/* ---- to a parameter ---- */

static int bind_str(sqlite3_stmt *stmt, int index, unsigned number, struct slice s, int *rc,
                    struct err *e)
{
    if (memchr(s.data, '\0', s.size))
        return err_set(e, ERR_BACKEND, "parameter %u: a string with a NUL byte in it", number);
    if (!mp_utf8_valid(s))
        return err_set(e, ERR_BACKEND, "parameter %u: a string that is not UTF-8", number);
    *rc = sqlite3_bind_text64(stmt, index, s.data, s.size, SQLITE_STATIC, SQLITE_UTF8);
    return 0;
}

static int bind_json(sqlite3_stmt *stmt, int index, unsigned number, struct slice packed, int *rc,
                     struct err *e)
{
    struct buf text;
    buf_init(&text, 0);
    struct err why;
    int code = json_from_mp(packed, &text, &why);
    if (code == 0)
        *rc = sqlite3_bind_text64(stmt, index, text.data, text.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        code = err_set(e, code == ERR_BAD_VALUE ? ERR_BACKEND : code, "parameter %u: %s", number,
                       why.text);
    buf_fini(&text);
    return code;
}

int sqlite_value_bind(sqlite3_stmt *stmt, int index, unsigned number, struct slice packed,
                      struct err *e)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    int code = 0, rc = SQLITE_OK;
    if (mp_next(&r, &t) != MP_OK)
        return err_set(e, ERR_BACKEND, "parameter %u: malformed MessagePack", number);
    switch (t.type) {
    case MP_NIL: rc = sqlite3_bind_null(stmt, index); break;
    case MP_BOOL: rc = sqlite3_bind_int(stmt, index, t.b); break;
    case MP_INT: rc = sqlite3_bind_int64(stmt, index, t.i); break;
    case MP_UINT:
        return err_set(e, ERR_BACKEND,
                       "parameter %u: %" PRIu64 " is past the largest integer, %" PRId64, number,
                       t.u, INT64_MAX);
    case MP_FLOAT:
        if (isnan(t.d)) /* SQLite would make it NULL without a word */
            return err_set(e, ERR_BACKEND, "parameter %u: nan has no form in SQLite", number);
        rc = sqlite3_bind_double(stmt, index, t.d);
        break;
    case MP_STR: code = bind_str(stmt, index, number, t.bytes, &rc, e); break;
    case MP_BIN:
        rc = t.bytes.size
                 ? sqlite3_bind_blob64(stmt, index, t.bytes.data, t.bytes.size, SQLITE_STATIC)
                 : sqlite3_bind_zeroblob(stmt, index, 0);
        break;
    case MP_ARRAY:
    case MP_MAP: code = bind_json(stmt, index, number, packed, &rc, e); break;
    case MP_EXT:
        return err_set(e, ERR_BACKEND, "parameter %u: an ext value has no form in SQLite", number);
    }
    if (code != 0 || rc == SQLITE_OK)
        return code;
    if (rc == SQLITE_NOMEM)
        return err_set(e, ERR_NOMEM, "no memory for parameter %u", number);
    return err_set(e, rc == SQLITE_TOOBIG ? ERR_TOO_LARGE : ERR_BACKEND, "parameter %u: %s", number,
                   sqlite3_errstr(rc));
}

/* ---- from a column ---- */

/* Infinity as PostgreSQL writes it. */
static int pack_decimal(double d, struct buf *out)
{
    char text[DECIMAL_FLOAT_MAX];
    if (isinf(d))
        return mpw_cstr(out, d < 0 ? "-Infinity" : "Infinity");
    decimal_print_float(d, text);
    return mpw_cstr(out, text);
}

/* A boolean is 0 or 1: another integer in such a column stays what it is. */
static int pack_int(int64_t v, enum sqlite_kind kind, struct buf *out)
{
    if (kind == SQLITE_KIND_BOOL && (v == 0 || v == 1))
        return mpw_bool(out, v != 0);
    if (kind != SQLITE_KIND_DECIMAL)
        return mpw_int(out, v);
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    return mpw_cstr(out, text);
}

static int pack_text(struct slice text, enum sqlite_kind kind, struct buf *out, struct err *e)
{
    return kind == SQLITE_KIND_JSON ? json_to_mp(text, out, e) : mpw_text(out, text);
}

int sqlite_value_pack(sqlite3_stmt *stmt, int column, enum sqlite_kind kind, struct buf *out,
                      struct err *e)
{
    const void *bytes;
    size_t size;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: return pack_int(sqlite3_column_int64(stmt, column), kind, out);
    case SQLITE_FLOAT:
        if (kind == SQLITE_KIND_DECIMAL)
            return pack_decimal(sqlite3_column_double(stmt, column), out);
        return mpw_number(out, sqlite3_column_double(stmt, column));
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(stmt, column);
        size = (size_t)sqlite3_column_bytes(stmt, column);
        return bytes ? pack_text(slice_of(bytes, size), kind, out, e) : ERR_NOMEM;
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(stmt, column); /* NULL where it is empty */
        size = (size_t)sqlite3_column_bytes(stmt, column);
        return mpw_bin(out, slice_of(bytes ? bytes : "", size));
    default: return mpw_nil(out);
    }
}
