/*
 * pg_types: what values of types are that the user made: enums, domains, composites, ranges, types
 * of extensions, and arrays of them.
 *
 *   array of an enum -> array of text    domain over bytea -> bytea    all others -> text
 *
 * Shape: the numbers of such types mean nothing without the server's catalog. So a query whose
 * parameters or columns have one that is not known yet waits until the catalog was asked, once for
 * all that wait; what it says is kept, sorted by number, as long as a connection is open: the next
 * one may lead to another server. Built-in types have the same numbers everywhere and are never
 * asked for.
 * Thread: its pool's loop. Limits: the types of a database that queries use, 8 bytes each.
 */
#ifndef RTCACHE_BACKEND_PG_TYPES_H
#define RTCACHE_BACKEND_PG_TYPES_H

#include "backend/call.h"
#include "backend/postgres/pg_value.h"

struct pg_pool;

struct pg_types {
    struct pg_type_known {
        Oid type, kind;
    } * known;
    uint32_t count, room;
    struct list waiting; /* calls, which count as the pool's queued ones */
    bool asking;
    struct call ask;
    struct buf params;   /* of it */
    uint32_t generation; /* counts connects: what was asked before one is not kept */
    uint32_t asked;      /* the generation of ask */
};

void pg_types_init(struct pg_types *t);
/* Connections are closed. Frees the calls that wait. */
void pg_types_fini(struct pg_types *t);
void pg_types_forget(struct pg_types *t);

bool pg_types_know(const struct pg_types *t, const Oid *types, int count);
/* Asks for those of the types that are not known, which may close connections. False: all are
 * known, or there is no memory to ask. True: a call that needs them has to wait:
 * pg_call_await_types. */
bool pg_types_miss(struct pg_pool *p, const Oid *types, int count);

/* Keeps what the catalog says: [[type, kind], ...], both numbers, kind as pg_types.c asks for it.
 * ERR_NOMEM; ERR_BACKEND: it is of another shape. */
int pg_types_take(struct pg_types *t, struct slice answer) MUST_USE;

Oid pg_types_find(const struct pg_types *t, Oid type);

/* How values of the type are read and written: a built-in type, or an array of one (PG_ARRAY_OF);
 * text where it is not known. */
static inline Oid pg_types_kind(const struct pg_types *t, Oid type)
{
    return type < PG_FIRST_USER || !t ? type : pg_types_find(t, type);
}

#endif
