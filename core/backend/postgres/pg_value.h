/*
 * pg_value: values of PostgreSQL in text format to packed MessagePack.
 *
 *   bool -> bool            int2 int4 int8 oid -> int       float4 float8 -> float
 *   bytea -> bin            json jsonb -> decoded           arrays of these -> (nested) arrays
 *   text, varchar, char, name, uuid, numeric, dates and times (ISO), interval, inet, ranges,
 *   enums and everything else -> str, as the server writes it
 *
 * Text that is not UTF-8 (a SQL_ASCII database) becomes bin. Types that the user made come down to
 * these by pg_types.
 * Thread: any. Limits: the buf's maximum; nesting is checked by whoever owns the whole result.
 */
#ifndef RTCACHE_BACKEND_PG_VALUE_H
#define RTCACHE_BACKEND_PG_VALUE_H

#include "base/buf.h"

#include <libpq-fe.h>

enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_CHAR = 18,
    PG_NAME = 19,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_OID = 26,
    PG_JSON = 114,
    PG_BOX = 603, /* the one type whose array is not cut at commas */
    PG_FLOAT4 = 700,
    PG_FLOAT8 = 701,
    PG_INET = 869,
    PG_BPCHAR = 1042,
    PG_VARCHAR = 1043,
    PG_NUMERIC = 1700,
    PG_UUID = 2950,
    PG_JSONB = 3802,
};

#define PG_FIRST_USER 16384       /* types from this number on are made in a database */
#define PG_ARRAY_OF   0x80000000U /* with a built-in type: an array of those (pg_types.h) */

/* The type of an array's elements; 0 where type is no array that is known here. */
Oid pg_value_element(Oid type);

/* Whether a value of the type can hold other values (an array, JSON). */
bool pg_value_nests(Oid type);

/* Appends one value. text is NUL-terminated as libpq gives it, or a part of an array. On failure
 * out is as it was: ERR_TOO_LARGE, ERR_NOMEM (without text in e), ERR_BACKEND (with text). */
int pg_value_pack(Oid type, struct slice text, struct buf *out, struct err *e) MUST_USE;

#endif
