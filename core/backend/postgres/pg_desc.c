#include "backend/postgres/pg_desc.h"

#include "backend/postgres/pg_value.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_OWN_TYPE 16384 /* FirstNormalObjectId: types that somebody made */

static void drop_columns(struct pg_desc *d)
{
    free(d->column_types);
    free(d->key_ends);
    buf_fini(&d->keys);
}

void pg_desc_fini(struct pg_desc *d)
{
    free(d->param_types);
    drop_columns(d);
    *d = (struct pg_desc){.params = 0};
}

/* Types that somebody made count as exact: between them and others there is no comparison that
 * nobody asked for. */
static bool is_exact(Oid type)
{
    Oid element = pg_value_element(type);
    switch (element ? element : type) {
    case PG_BOOL:
    case PG_BYTEA:
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
    case PG_TEXT:
    case PG_VARCHAR:
    case PG_JSON:
    case PG_JSONB:
    case PG_NUMERIC:
    case PG_UUID:
    case PG_INET: return true;
    default: return type >= FIRST_OWN_TYPE;
    }
}

static bool same_params(const struct pg_desc *d, const PGresult *res)
{
    if (!d->param_types || PQnparams(res) != d->params)
        return false;
    for (int i = 0; i < d->params; i++)
        if (PQparamtype(res, i) != d->param_types[i])
            return false;
    return true;
}

int pg_desc_take_params(struct pg_desc *d, const PGresult *res, bool *changed, struct err *e)
{
    *changed = !same_params(d, res);
    if (!*changed)
        return 0;
    int count = PQnparams(res);
    Oid *types = calloc((size_t)count + 1, sizeof *types);
    if (!types)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    free(d->param_types);
    d->param_types = types;
    d->params = count;
    d->exact = true;
    for (int i = 0; i < count; i++) {
        types[i] = PQparamtype(res, i);
        d->exact = d->exact && is_exact(types[i]);
    }
    return 0;
}

struct slice pg_desc_column(const struct pg_desc *d, int i)
{
    size_t from = i > 0 ? d->key_ends[i - 1] : 0;
    struct mp_reader r = mp_reader_of(slice_of(d->keys.data + from, d->key_ends[i] - from));
    struct mp_token t;
    return mp_next(&r, &t) == MP_OK ? t.bytes : slice_of("", 0);
}

/* Every answer is compared, so the packed name is not unpacked for it. */
static bool is_named(const struct pg_desc *d, int i, const char *name)
{
    size_t from = i > 0 ? d->key_ends[i - 1] : 0, size = strlen(name);
    size_t head = size < 32 ? 1 : size < 256 ? 2 : 3; /* of a str */
    return d->key_ends[i] - from == head + size &&
           memcmp(d->keys.data + from + head, name, size) == 0;
}

static bool same_columns(const struct pg_desc *d, const PGresult *res)
{
    if (!d->column_types || PQnfields(res) != d->columns)
        return false;
    for (int i = 0; i < d->columns; i++)
        if (PQftype(res, i) != d->column_types[i] || !is_named(d, i, PQfname(res, i)))
            return false;
    return true;
}

/* A map has room for one value of a name, so a row with two columns of it cannot be told. */
static int find_repeated(const PGresult *res)
{
    for (int i = 1; i < PQnfields(res); i++)
        for (int j = 0; j < i; j++)
            if (strcmp(PQfname(res, i), PQfname(res, j)) == 0)
                return i + 1;
    return 0;
}

static int read_columns(struct pg_desc *d, const PGresult *res, struct err *e)
{
    d->columns = PQnfields(res);
    d->column_types = calloc((size_t)d->columns + 1, sizeof *d->column_types);
    d->key_ends = calloc((size_t)d->columns + 1, sizeof *d->key_ends);
    if (!d->column_types || !d->key_ends)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    for (int i = 0; i < d->columns; i++) {
        struct slice name = slice_str(PQfname(res, i));
        d->column_types[i] = PQftype(res, i);
        d->nests = d->nests || pg_value_nests(PQftype(res, i));
        if (!mp_utf8_valid(name))
            return err_set(e, ERR_BACKEND, "the name of column %d is not UTF-8", i + 1);
        if (mpw_str(&d->keys, name) != 0)
            return err_set(e, ERR_NOMEM, "no memory for a statement");
        d->key_ends[i] = d->keys.size;
    }
    d->repeated = find_repeated(res);
    return 0;
}

int pg_desc_take_columns(struct pg_desc *d, const PGresult *res, bool *changed, struct err *e)
{
    *changed = !same_columns(d, res);
    if (!*changed)
        return 0;
    struct pg_desc now = {.params = d->params, .param_types = d->param_types, .exact = d->exact};
    buf_init(&now.keys, 0);
    int rc = read_columns(&now, res, e);
    if (rc != 0) {
        drop_columns(&now);
        return rc;
    }
    drop_columns(d);
    *d = now;
    return 0;
}
