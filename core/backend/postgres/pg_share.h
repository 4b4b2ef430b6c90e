/*
 * pg_share: what other connections of a pool know of whether a statement reads plain tables.
 *
 * The answer depends on the text, the types of its parameters and columns, the catalog, and the
 * session (pg_print). So a connection whose session has an equal print may take it over, and need
 * not ask a question that costs a new session of the server ten milliseconds and more. It is no
 * younger then than the older of the two: the answer, and the print of the session that takes it.
 * A reason against is taken over as well; an error is not.
 * Shape: there is no list of answers: the statements of the other connections are looked at, O(1)
 * each, and only where a question is due. Thread: its pool's loop.
 */
#ifndef RTCACHE_BACKEND_PG_SHARE_H
#define RTCACHE_BACKEND_PG_SHARE_H

#include "backend/postgres/pg_priv.h"

enum pg_share {
    PG_SHARE_NONE,    /* nobody knows it */
    PG_SHARE_UNKNOWN, /* somebody may, but of this session there is no young print */
    PG_SHARE_AWAITED, /* somebody is asking */
    PG_SHARE_FOUND,
};

/* FOUND: *out is what to take over, but for its generation. Nothing is shared behind a pooler:
 * a connection has many sessions there. */
enum pg_share pg_share_find(const struct pg_conn *c, const struct pg_stmt *st, struct pg_pure *out);

#endif
