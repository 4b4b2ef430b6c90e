/*
 * pg_param: parameters of a query, from a packed MessagePack array to what libpq sends.
 *
 *   nil -> NULL                bool, int, uint, float -> text, exact
 *   str, bin -> for bytea the bytes as they are, for other types text
 *   array -> for json, jsonb and text types JSON, for other types an array ('{1,2}'; integers for
 *            int2[], int4[] and int8[] in binary form)
 *   map -> JSON
 *
 * Text with a NUL byte, or that is not UTF-8, is refused (the server would read `a` for `a\0b`).
 * A str for json or jsonb is taken as JSON text. Every error names the parameter ($1).
 * Thread: its owner's. Limits: 65,535 parameters, as the protocol has it.
 */
#ifndef RTCACHE_BACKEND_PG_PARAM_H
#define RTCACHE_BACKEND_PG_PARAM_H

#include "base/buf.h"

#include "backend/postgres/pg_types.h"

/* Room that one query after the other uses; 0 in every field begins. */
struct pg_params {
    int capacity;
    const char **values; /* what PQsendQueryPrepared takes; borrowed until the next bind */
    int *lengths;
    int *formats;
    Oid *types;      /* of what is sent in binary form; 0: a text, of whatever type it is for */
    size_t *offsets; /* into text, plus 1; 0: values holds the pointer already */
    struct buf text;
    const struct pg_types *known; /* of the user's types; NULL: none is known */
};

/* packed is borrowed until the next bind: large binaries are not copied. ERR_BAD_REQUEST for a
 * wrong count, ERR_BAD_VALUE for a value that cannot be sent, ERR_NOMEM. */
int pg_param_bind(struct pg_params *p, struct slice packed, const Oid *types, int count,
                  struct err *e) MUST_USE;
void pg_param_fini(struct pg_params *p);

#endif
