/*
 * pg_log_sql: what the reader of a log asks PostgreSQL, as text for the simple protocol.
 *
 *   a poll is one message:   BEGIN READ ONLY; doubt; COMMIT;        on a standby alone
 *                            BEGIN REPEATABLE READ, READ ONLY; state; rows; COMMIT
 *
 * All of one message goes to one session, also through a pooler, and nothing of it stays there.
 * The results are told by their columns. State and rows are of one moment; where a place is in the
 * text, the rows are those that it has not. A standby's snapshot lists nothing of what is under
 * way. So those whose end it has not replayed are asked for one by one, before the moment of the
 * rows: what has ended by then is among these. Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_LOG_SQL_H
#define RTCACHE_BACKEND_PG_LOG_SQL_H

#include "backend/postgres/pg_identity.h"
#include "backend/postgres/pg_place.h"

/* The columns of each result; no two have as many. */
enum { PG_LOG_EVENT, PG_LOG_XID, PG_LOG_ROW_COLUMNS };
enum { PG_LOG_XMIN, PG_LOG_XMAX, PG_LOG_DOUBT, PG_LOG_DOUBT_COLUMNS };
enum {
    PG_LOG_SNAPSHOT,
    PG_LOG_STANDBY, /* t or f */
    PG_LOG_PURGED,  /* the first that may not be purged yet */
    PG_LOG_ID,
    PG_LOG_MISSED,
    PG_LOG_BEGUN,    /* transactions from this number on have not begun yet */
    PG_LOG_IDENTITY, /* and its other parts behind it; "" where one may not be asked for */
    PG_LOG_STATE_COLUMNS = PG_LOG_IDENTITY + PG_IDENTITY_PARTS
};

/* Quoted names, owned. */
struct pg_log_sql {
    struct buf log, meta, purge, channel; /* each ends with its NUL */
};

/* ERR_BAD_REQUEST: the log's name is none. ERR_NOMEM. */
int pg_log_sql_init(struct pg_log_sql *q, const char *log, const char *channel,
                    struct err *e) MUST_USE;
void pg_log_sql_fini(struct pg_log_sql *q);

/* may: by identity part, whether it may be asked for. standby: what the last answer came from.
 * from: where it goes on; unknown: no rows are asked for. Ends with its NUL. ERR_NOMEM. */
int pg_log_sql_poll(const struct pg_log_sql *q, struct buf *out, const bool *may, bool standby,
                    const struct pg_place *from) MUST_USE;
/* One number: how many rows went, about `most` at most. ERR_NOMEM. */
int pg_log_sql_purge(const struct pg_log_sql *q, struct buf *out, int64_t keep_ms,
                     int most) MUST_USE;

#endif
