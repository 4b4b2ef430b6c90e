#include "backend/postgres/pg_row.h"

#include "backend/postgres/pg_value.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdlib.h>

/* The text of the errors that the buf gives without one. */
static int explain(struct call *q, int rc)
{
    if (rc == ERR_TOO_LARGE)
        return err_set(&q->err, rc, "the result takes more than %zu bytes (max_result)",
                       q->result.max);
    if (rc == ERR_NOMEM)
        return err_set(&q->err, rc, "no memory for a result of more than %zu bytes",
                       q->result.size);
    return rc;
}

int pg_row_check_shape(struct call *q, const struct pg_desc *d)
{
    if (!d->repeated || (q->shape != CALL_ROW && q->shape != CALL_ROWS))
        return 0;
    return err_set(&q->err, ERR_BAD_REQUEST,
                   "two columns are named \"%.*s\": give one of them another name (AS)",
                   SLICE_ARG(pg_desc_column(d, d->repeated - 1)));
}

static int add_value(struct pg_rows *rows, struct call *q, const struct pg_desc *d,
                     const PGresult *res, int row, int column)
{
    if (PQgetisnull(res, row, column))
        return mpw_nil(&q->result);
    const char *text = PQgetvalue(res, row, column);
    size_t size = (size_t)PQgetlength(res, row, column);
    Oid kind = pg_types_kind(rows->types, d->column_types[column]);
    rows->nests = rows->nests || (kind & PG_ARRAY_OF);
    int rc = pg_value_pack(kind, slice_of(text, size), &q->result, &q->err);
    if (rc == ERR_BACKEND)
        err_prefix(&q->err, "column \"%.*s\"", SLICE_ARG(pg_desc_column(d, column)));
    return rc;
}

static int add_map(struct pg_rows *rows, struct call *q, const struct pg_desc *d,
                   const PGresult *res, int row)
{
    int rc = mpw_map(&q->result, (uint32_t)d->columns);
    size_t from = 0;
    for (int i = 0; rc == 0 && i < d->columns; i++) {
        size_t to = d->key_ends[i];
        rc = mpw_raw(&q->result, slice_of(d->keys.data + from, to - from));
        if (rc == 0)
            rc = add_value(rows, q, d, res, row, i);
        from = to;
    }
    return rc;
}

static int add_row(struct pg_rows *rows, struct call *q, const struct pg_desc *d,
                   const PGresult *res, int row)
{
    rows->count++;
    switch (q->shape) {
    case CALL_ROWS: {
        int rc = rows->count == 1 ? mpw_array_open(&q->result, &rows->header) : 0;
        return rc == 0 ? add_map(rows, q, d, res, row) : rc;
    }
    case CALL_ROW: q->found = true; return rows->count == 1 ? add_map(rows, q, d, res, row) : 0;
    case CALL_VALUE:
        q->found = true;
        if (rows->count > 1)
            return 0;
        return d->columns > 0 ? add_value(rows, q, d, res, row, 0) : mpw_nil(&q->result);
    case CALL_COUNT:
    case CALL_TYPES: break;
    }
    return 0;
}

int pg_row_add(struct pg_rows *rows, struct call *q, const struct pg_desc *d, const PGresult *res)
{
    int rc = 0;
    for (int row = 0; rc == 0 && row < PQntuples(res); row++)
        rc = add_row(rows, q, d, res, row);
    return explain(q, rc);
}

int pg_row_finish(struct pg_rows *rows, struct call *q, const struct pg_desc *d,
                  const PGresult *last)
{
    int rc = 0;
    if (q->shape == CALL_COUNT)
        rc = mpw_int(&q->result, strtoll(PQcmdTuples((PGresult *)last), NULL, 10));
    else if (q->shape == CALL_ROWS && rows->count == 0)
        rc = mpw_array_open(&q->result, &rows->header);
    if (rc == 0 && q->shape == CALL_ROWS)
        mpw_array_close(&q->result, rows->header, rows->count);
    if (rc == 0 && (d->nests || rows->nests) && q->result.size > 0 &&
        mp_check(buf_slice(&q->result), NULL) != 0)
        return err_set(&q->err, ERR_BACKEND, "the result is nested deeper than %d", MP_DEPTH_MAX);
    return explain(q, rc);
}

int pg_row_types(struct call *q, const struct pg_desc *d, bool plain)
{
    int rc = mpw_array(&q->result, 4);
    if (rc == 0)
        rc = mpw_array(&q->result, (uint32_t)d->params);
    for (int i = 0; rc == 0 && i < d->params; i++)
        rc = mpw_uint(&q->result, d->param_types[i]);
    if (rc == 0)
        rc = mpw_array(&q->result, (uint32_t)d->columns);
    if (rc == 0)
        rc = mpw_raw(&q->result, buf_slice(&d->keys));
    if (rc == 0)
        rc = mpw_bool(&q->result, d->exact);
    if (rc == 0)
        rc = mpw_bool(&q->result, plain);
    q->found = rc == 0;
    return explain(q, rc);
}
