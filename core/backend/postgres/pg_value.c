#include "backend/postgres/pg_value.h"

#include "wire/json.h"
#include "base/decimal.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define ARRAY_DEPTH_MAX 6 /* PostgreSQL's MAXDIM */

/* Arrays of built-in types; their numbers are the same in every database. Those of system tables'
 * rows are left out. */
static const struct {
    Oid array, element;
} arrays[] = {
    {143, 142 /* xml */},
    {199, PG_JSON},
    {271, 5069 /* xid8 */},
    {629, 628 /* line */},
    {651, 650 /* cidr */},
    {719, 718 /* circle */},
    {775, 774 /* macaddr8 */},
    {791, 790 /* money */},
    {1000, PG_BOOL},
    {1001, PG_BYTEA},
    {1002, PG_CHAR},
    {1003, PG_NAME},
    {1005, PG_INT2},
    {1006, 22 /* int2vector */},
    {1007, PG_INT4},
    {1008, 24 /* regproc */},
    {1009, PG_TEXT},
    {1010, 27 /* tid */},
    {1011, 28 /* xid */},
    {1012, 29 /* cid */},
    {1013, 30 /* oidvector */},
    {1014, PG_BPCHAR},
    {1015, PG_VARCHAR},
    {1016, PG_INT8},
    {1017, 600 /* point */},
    {1018, 601 /* lseg */},
    {1019, 602 /* path */},
    {1020, PG_BOX},
    {1021, PG_FLOAT4},
    {1022, PG_FLOAT8},
    {1027, 604 /* polygon */},
    {1028, PG_OID},
    {1034, 1033 /* aclitem */},
    {1040, 829 /* macaddr */},
    {1041, 869 /* inet */},
    {1115, 1114 /* timestamp */},
    {1182, 1082 /* date */},
    {1183, 1083 /* time */},
    {1185, 1184 /* timestamptz */},
    {1187, 1186 /* interval */},
    {1231, 1700 /* numeric */},
    {1263, 2275 /* cstring */},
    {1270, 1266 /* timetz */},
    {1561, 1560 /* bit */},
    {1563, 1562 /* varbit */},
    {2201, 1790 /* refcursor */},
    {2207, 2202 /* regprocedure */},
    {2208, 2203 /* regoper */},
    {2209, 2204 /* regoperator */},
    {2210, 2205 /* regclass */},
    {2211, 2206 /* regtype */},
    {2949, 2970 /* txid_snapshot */},
    {2951, 2950 /* uuid */},
    {3221, 3220 /* pg_lsn */},
    {3643, 3614 /* tsvector */},
    {3644, 3642 /* gtsvector */},
    {3645, 3615 /* tsquery */},
    {3735, 3734 /* regconfig */},
    {3770, 3769 /* regdictionary */},
    {3807, PG_JSONB},
    {3905, 3904 /* int4range */},
    {3907, 3906 /* numrange */},
    {3909, 3908 /* tsrange */},
    {3911, 3910 /* tstzrange */},
    {3913, 3912 /* daterange */},
    {3927, 3926 /* int8range */},
    {4073, 4072 /* jsonpath */},
    {4090, 4089 /* regnamespace */},
    {4097, 4096 /* regrole */},
    {4192, 4191 /* regcollation */},
    {5039, 5038 /* pg_snapshot */},
    {6150, 4451 /* int4multirange */},
    {6151, 4532 /* nummultirange */},
    {6152, 4533 /* tsmultirange */},
    {6153, 4534 /* tstzmultirange */},
    {6155, 4535 /* datemultirange */},
    {6157, 4536 /* int8multirange */},
};

Oid pg_value_element(Oid type)
{
    if (type & PG_ARRAY_OF)
        return type & ~PG_ARRAY_OF;
    size_t low = 0, high = sizeof arrays / sizeof *arrays;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (arrays[middle].array == type)
            return arrays[middle].element;
        if (arrays[middle].array < type)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

bool pg_value_nests(Oid type)
{
    return type == PG_JSON || type == PG_JSONB || pg_value_element(type) != 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \x and pairs of digits. Room is taken with the digits themselves, which are then written over. */
static int pack_hex(struct slice text, struct buf *out, struct err *e)
{
    size_t size = text.size / 2 - 1;
    int rc = mpw_bin(out, slice_of(text.data + 2, size));
    if (rc != 0)
        return rc;
    char *to = out->data + out->size - size;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text.data[2 + 2 * i]), low = hex_digit(text.data[3 + 2 * i]);
        if (high < 0 || low < 0)
            return err_set(e, ERR_BACKEND, "a bytea with a digit that is none");
        to[i] = (char)(high << 4 | low);
    }
    return 0;
}

static int pack_bytea(struct slice text, struct buf *out, struct err *e)
{
    if (text.size >= 2 && text.size % 2 == 0 && memcmp(text.data, "\\x", 2) == 0)
        return pack_hex(text, out, e);
    /* bytea_output = escape */
    char *copy = text.size > 0 ? strndup(text.data, text.size) : strdup("");
    size_t size = 0;
    unsigned char *bytes = copy ? PQunescapeBytea((unsigned char *)copy, &size) : NULL;
    free(copy);
    if (!bytes)
        return ERR_NOMEM;
    int rc = mpw_bin(out, slice_of(bytes, size));
    PQfreemem(bytes);
    return rc;
}

static int pack_number(Oid type, struct slice text, struct buf *out, struct err *e)
{
    char copy[64];
    char *end;
    int64_t small;
    if (type != PG_FLOAT4 && type != PG_FLOAT8 && decimal_parse(text, &small))
        return mpw_int(out, small);
    if (text.size == 0 || text.size >= sizeof copy)
        return err_set(e, ERR_BACKEND, "a number of %zu characters", text.size);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    int rc;
    if (type == PG_FLOAT4 || type == PG_FLOAT8)
        rc = mpw_number(out, strtod(copy, &end));
    else
        rc = mpw_int(out, strtoll(copy, &end, 10));
    if (rc == 0 && *end)
        return err_set(e, ERR_BACKEND, "'%s' is no number", copy);
    return rc;
}

/* ---- arrays: [1:2]={{a,"b c",NULL},{...}} ---- */

struct cursor {
    const char *at, *end;
    Oid element;
    char delimiter;
    struct buf scratch; /* a quoted element without its escapes */
};

static int bad_array(struct err *e)
{
    return err_set(e, ERR_BACKEND, "an array that cannot be read");
}

static int pack_quoted(struct cursor *c, struct buf *out, struct err *e)
{
    buf_clear(&c->scratch);
    for (c->at++; c->at < c->end && *c->at != '"'; c->at++) {
        if (*c->at == '\\' && ++c->at == c->end)
            return bad_array(e);
        int rc = buf_append(&c->scratch, c->at, 1);
        if (rc != 0)
            return rc;
    }
    if (c->at == c->end)
        return bad_array(e);
    c->at++;
    return pg_value_pack(c->element, buf_slice(&c->scratch), out, e);
}

static int pack_bare(struct cursor *c, struct buf *out, struct err *e)
{
    const char *from = c->at;
    while (c->at < c->end && *c->at != c->delimiter && *c->at != '}')
        c->at++;
    struct slice text = slice_of(from, (size_t)(c->at - from));
    if (text.size == 0)
        return bad_array(e);
    return slice_eq_str(text, "NULL") ? mpw_nil(out) : pg_value_pack(c->element, text, out, e);
}

/* c->at is at an opening brace; depth counts those around it. */
static int pack_braces(struct cursor *c, struct buf *out, unsigned depth, struct err *e)
{
    size_t header;
    uint32_t count = 0;
    if (depth == ARRAY_DEPTH_MAX)
        return bad_array(e);
    int rc = mpw_array_open(out, &header);
    c->at++;
    bool empty = c->at < c->end && *c->at == '}';
    while (rc == 0 && !empty) {
        if (c->at == c->end)
            return bad_array(e);
        rc = *c->at == '{'   ? pack_braces(c, out, depth + 1, e)
             : *c->at == '"' ? pack_quoted(c, out, e)
                             : pack_bare(c, out, e);
        count++;
        if (rc == 0 && (c->at == c->end || (*c->at != c->delimiter && *c->at != '}')))
            return bad_array(e);
        if (rc != 0 || *c->at == '}')
            break;
        c->at++;
    }
    if (rc == 0) {
        c->at++;
        mpw_array_close(out, header, count);
    }
    return rc;
}

static int pack_array(Oid element, struct slice text, struct buf *out, struct err *e)
{
    struct cursor c = {.at = text.data,
                       .end = text.data + text.size,
                       .element = element,
                       .delimiter = element == PG_BOX ? ';' : ','};
    if (text.size > 0 && *c.at == '[') { /* bounds that do not start at 1 */
        const char *equals = memchr(c.at, '=', text.size);
        c.at = equals ? equals + 1 : c.end;
    }
    if (c.at == c.end || *c.at != '{')
        return bad_array(e);
    buf_init(&c.scratch, out->max);
    int rc = pack_braces(&c, out, 0, e);
    buf_fini(&c.scratch);
    return rc == 0 && c.at != c.end ? bad_array(e) : rc;
}

int pg_value_pack(Oid type, struct slice text, struct buf *out, struct err *e)
{
    size_t before = out->size;
    int rc;
    switch (type) {
    case PG_BOOL: rc = mpw_bool(out, text.size > 0 && text.data[0] == 't'); break;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
    case PG_FLOAT4:
    case PG_FLOAT8: rc = pack_number(type, text, out, e); break;
    case PG_BYTEA: rc = pack_bytea(text, out, e); break;
    case PG_JSON:
    case PG_JSONB: rc = json_to_mp(text, out, e); break;
    default: {
        Oid element = pg_value_element(type);
        rc = element ? pack_array(element, text, out, e) : mpw_text(out, text);
    }
    }
    if (rc != 0)
        out->size = before;
    return rc;
}
