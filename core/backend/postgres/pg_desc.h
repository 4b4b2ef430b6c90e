/*
 * pg_desc: what PostgreSQL says of a statement: types of its parameters, names and types of its
 * columns, with the names packed already.
 *
 * Parameters are written by it, so it must not be old; rows are read by what the server says of
 * each answer, for which a description that still fits saves the work.
 * Thread: its connection's loop. Limits: the protocol's 65,535 parameters and 1,664 columns.
 */
#ifndef RTCACHE_BACKEND_PG_DESC_H
#define RTCACHE_BACKEND_PG_DESC_H

#include "base/buf.h"
#include "base/err.h"

#include <libpq-fe.h>

struct pg_desc {
    int params, columns;
    Oid *param_types, *column_types;
    struct buf keys;  /* the columns' names, packed, one after the other */
    size_t *key_ends; /* where each ends in keys */
    int repeated;     /* the first column, from 1, whose name stands before it too; or 0 */
    bool nests;       /* a column may hold values in values */
    /* Every parameter is of a type that takes a text whole or not at all. Others lose a part of it:
     * a date the time of day, a float digits. By an old type such a text finds a wrong row. */
    bool exact;
};

void pg_desc_fini(struct pg_desc *d);
/* Takes the parameters that a statement's description tells, and says whether they are others. */
int pg_desc_take_params(struct pg_desc *d, const PGresult *res, bool *changed,
                        struct err *e) MUST_USE;
/* Takes the columns that a description or an answer tells, and says whether they are others.
 * ERR_NOMEM; ERR_BACKEND for a name that is not UTF-8. On failure d is as it was. */
int pg_desc_take_columns(struct pg_desc *d, const PGresult *res, bool *changed,
                         struct err *e) MUST_USE;
/* The name of column i, from 0. */
struct slice pg_desc_column(const struct pg_desc *d, int i);

#endif
