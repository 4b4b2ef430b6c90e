#include "backend/postgres/pg_int.h"

#include "backend/postgres/pg_value.h"
#include "base/decimal.h"

#define HEADER    20 /* dimensions, whether there are nulls, element type, length, lower bound */
#define ARRAY_MAX (64U << 20)

static uint32_t size_of(Oid element)
{
    switch (element) {
    case PG_INT2: return 2;
    case PG_INT4: return 4;
    case PG_INT8: return 8;
    default: return 0;
    }
}

static char *put32(char *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, sizeof v);
    return to + sizeof v;
}

static bool take(struct mp_reader *r, int64_t *v)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK)
        return false;
    if (t.type == MP_STR)
        return decimal_parse(t.bytes, v);
    *v = t.i;
    return t.type == MP_INT;
}

/* The elements, each behind its length. False: one does not fit. */
static bool put_elements(char *to, struct mp_reader *r, uint32_t count, uint32_t size)
{
    unsigned unused = 64 - 8 * size;
    for (uint32_t i = 0; i < count; i++) {
        int64_t v;
        if (!take(r, &v))
            return false;
        uint64_t bits = (uint64_t)v << unused;
        if ((int64_t)bits >> unused != v)
            return false;
        bits = __builtin_bswap64(bits); /* its first bytes are the value's, the highest first */
        to = put32(to, size);
        memcpy(to, &bits, size);
        to += size;
    }
    return true;
}

int pg_int_array(struct buf *out, struct mp_reader *r, uint32_t count, Oid element)
{
    struct mp_reader at = *r;
    uint32_t size = size_of(element);
    if (size == 0 || count == 0 || count > ARRAY_MAX || count > (size_t)(r->end - r->at))
        return 0;
    size_t bytes = HEADER + (size_t)count * (4 + size);
    char *to = buf_room(out, bytes);
    if (!to)
        return ERR_NOMEM;
    to = put32(to, 1);
    to = put32(to, 0);
    to = put32(to, element);
    to = put32(to, count);
    to = put32(to, 1);
    if (!put_elements(to, &at, count, size))
        return 0;
    out->size += bytes;
    *r = at;
    return 1;
}
