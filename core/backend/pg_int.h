/*
 * pg_int: integers on their way to PostgreSQL and back, which are most parameters and many columns.
 *
 * Two forms of the protocol (PostgreSQL documentation, "Frontend/Backend Protocol", formats 0 and
 * 1): decimal text, and for an array of int2, int4 or int8 the binary form of array_recv
 * (src/backend/utils/adt/arrayfuncs.c), which the server reads several times as fast as '{1,2}'.
 * Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_INT_H
#define RTCACHE_BACKEND_PG_INT_H

#include "base/buf.h"
#include "wire/mp.h"

#include <libpq-fe.h>

/* Appends v as decimal text. */
int pg_int_print(struct buf *out, int64_t v) MUST_USE;

/* Whether text is a decimal integer of at most 18 digits, which *out then is. */
bool pg_int_parse(struct slice text, int64_t *out);

/* Appends an array of one dimension in binary form: count elements that r stands before, integers
 * or texts that pg_int_parse takes, as parts of a key are. 1: done, and r stands behind them; 0:
 * one is something else or out of the type's range, or the type has no such form, and nothing has
 * changed; or ERR_NOMEM. */
int pg_int_array(struct buf *out, struct mp_reader *r, uint32_t count, Oid element) MUST_USE;

#endif
