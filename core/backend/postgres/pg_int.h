/*
 * pg_int: arrays of integers on their way to PostgreSQL, which are what load_many asks with.
 *
 * The binary form of array_recv (src/backend/utils/adt/arrayfuncs.c of PostgreSQL), which neither
 * side has to print or parse. Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_INT_H
#define RTCACHE_BACKEND_PG_INT_H

#include "base/buf.h"
#include "wire/mp.h"

#include <libpq-fe.h>

/* Appends an array of one dimension: count elements that r stands before, integers or texts that
 * decimal_parse takes, as parts of a key are. 1: done, and r stands behind them; 0: one is
 * something else or out of the type's range, or the type is none of int2, int4 and int8, and
 * nothing has changed; or ERR_NOMEM. */
int pg_int_array(struct buf *out, struct mp_reader *r, uint32_t count, Oid element) MUST_USE;

#endif
