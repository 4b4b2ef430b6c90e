/*
 * pg_identity: which history of commits a server of PostgreSQL writes, and whether it is the one
 * that was seen before.
 *
 *   system     the cluster: what was copied from one initdb, standbys and backups included
 *   timeline   of the WAL that it writes; a promotion, or a restore to a moment, begins a new one
 *   wal_end    never goes back, but where something is gone that was there
 *   started    of its postmaster: one that took writes keeps to one timeline until it ends
 *
 * The timeline is that of the WAL. The control file names a new one only after the checkpoint that
 * follows a promotion, which is spread over minutes. Each part is asked for apart: a role, or a
 * service that is managed, may be refused some. Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_IDENTITY_H
#define RTCACHE_BACKEND_PG_IDENTITY_H

#include "base/slice.h"

#include <stdint.h>

enum pg_identity_part { PG_SYSTEM, PG_TIMELINE, PG_STARTED, PG_WAL_END, PG_IDENTITY_PARTS };

#define PG_IDENTITY_TEXT 100

struct pg_identity {
    char system[24], timeline[12], started[24]; /* "": unknown */
    uint64_t wal_end;                           /* 0: unknown */
};

/* A query of one text, on a server that takes writes. */
const char *pg_identity_query(enum pg_identity_part part);
/* Its answer; what is no such thing leaves the part unknown. */
void pg_identity_take(struct pg_identity *id, enum pg_identity_part part, struct slice answer);

/* Nothing is known of it. */
bool pg_identity_empty(const struct pg_identity *id);

/* Whether `now` is shown to have all that `before` had. What cannot be shown is not believed. */
bool pg_identity_same(const struct pg_identity *before, const struct pg_identity *now);

/* For people: "system/timeline", with ? for what is unknown. */
void pg_identity_show(const struct pg_identity *id, char out[PG_IDENTITY_TEXT]);

#endif
