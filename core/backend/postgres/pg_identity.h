/*
 * pg_identity: which history a server of PostgreSQL writes, as its answers tell it.
 *
 * The timeline is that of the WAL. The control file names a new one only after the checkpoint that
 * follows a promotion, which is spread over minutes. `started` is the postmaster's. Each part is
 * asked for apart: a role, or a service that is managed, may be refused some. Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_IDENTITY_H
#define RTCACHE_BACKEND_PG_IDENTITY_H

#include "backend/identity.h"
#include "base/slice.h"

enum pg_identity_part { PG_SYSTEM, PG_TIMELINE, PG_STARTED, PG_WAL_END, PG_IDENTITY_PARTS };

/* An expression of one text, on a primary or a standby. */
const char *pg_identity_expression(enum pg_identity_part part);
/* Its answer; what is no such thing leaves the part unknown. */
void pg_identity_take(struct identity *id, enum pg_identity_part part, struct slice answer);

#endif
