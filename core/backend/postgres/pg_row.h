/*
 * pg_row: the rows of an answer into the outcome of its query, in the query's shape.
 *
 * Rows arrive one by one (single-row mode), so a result that passes max_result is noticed before
 * it is in memory as a whole; or all at once where they are expected to be few (pg_whole). Thread:
 * the connection's loop. Limits: max_result, the maximum of the query's buf; one row of the server
 * is in memory whole.
 */
#ifndef RTCACHE_BACKEND_PG_ROW_H
#define RTCACHE_BACKEND_PG_ROW_H

#include "backend/call.h"
#include "backend/postgres/pg_desc.h"
#include "backend/postgres/pg_types.h"

/* Where a result stands between its rows; 0 in every field begins. */
struct pg_rows {
    uint32_t count;
    size_t header; /* of the array, for CALL_ROWS */
    bool nests;    /* a column of a user's type may hold values in values */
    const struct pg_types *types;
    bool begun; /* its columns are known to be those of the description */
};

/* ERR_BAD_REQUEST where the shape has no room for columns of the same name. */
int pg_row_check_shape(struct call *q, const struct pg_desc *d) MUST_USE;
/* Adds the rows of one PGresult, which d describes; the error stands in q->err. */
int pg_row_add(struct pg_rows *rows, struct call *q, const struct pg_desc *d,
               const PGresult *res) MUST_USE;
/* After the last row; last: the result that ended it. */
int pg_row_finish(struct pg_rows *rows, struct call *q, const struct pg_desc *d,
                  const PGresult *last) MUST_USE;

/* The result of CALL_TYPES, which is not sent. */
int pg_row_types(struct call *q, const struct pg_desc *d, bool plain) MUST_USE;

#endif
