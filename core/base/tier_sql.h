/*
 * tier_sql: the statements of the tier's table (core/tier), for each database that can have it, and
 * what makes it.
 *
 * Columns: those of the table `cache_entry` as it is known (cache_key, value, version_id,
 * loaded_at, expires_at), and beside them what rtcache needs: packed (the value's own bytes), tags,
 * gone (the row is a mark, not a value), stale_ms, keep_ms, load_us, and what a row is judged by
 * (tier/tier_proof.h): node, incarnation, since, seen, until_ms, print.
 * Thread: any. Limits: TIER_SQL_ROWS rows in a statement of SQLite, whose parameters are bounded.
 */
#ifndef RTCACHE_BASE_TIER_SQL_H
#define RTCACHE_BASE_TIER_SQL_H

#include "base/buf.h"

#define TIER_SQL_ROWS  500  /* of one INSERT in SQLite */
#define TIER_SQL_CLEAN 5000 /* rows of one DELETE */

enum tier_dialect { TIER_POSTGRES, TIER_SQLITE };

/* What the parameters are stands beside each. */
struct tier_sql {
    enum tier_dialect dialect;
    struct buf write; /* POSTGRES: an array for each of TIER_WRITE_ARRAYS, node, incarnation */
    struct buf read;  /* an array of keys -> rows with `i`, the place of the key from 1 */
    struct buf first, next; /* a page of rows by expires_at, the latest first: how many;
                               next: how many, `at` and `cache_key` of the last row before it */
    struct buf clean;       /* end of fresh, in ms since 1970, below which a row goes -> count */
    struct buf size;        /* -> bytes */
};

/* In the order of the statement's parameters; each row has one of each. */
enum tier_write_array {
    TIER_WRITE_KEY,
    TIER_WRITE_VALUE,
    TIER_WRITE_VERSION,
    TIER_WRITE_LOADED,
    TIER_WRITE_EXPIRES,
    TIER_WRITE_PACKED,
    TIER_WRITE_TAGS,
    TIER_WRITE_GONE,
    TIER_WRITE_STALE,
    TIER_WRITE_KEEP,
    TIER_WRITE_LOAD,
    TIER_WRITE_SINCE,
    TIER_WRITE_SEEN,
    TIER_WRITE_UNTIL,
    TIER_WRITE_PRINT,
    TIER_WRITE_ARRAYS
};

/* table: NAME or SCHEMA.NAME. ERR_BAD_REQUEST, ERR_NOMEM. fini also after a failure. */
int tier_sql_init(struct tier_sql *s, enum tier_dialect d, const char *table,
                  struct err *e) MUST_USE;
void tier_sql_fini(struct tier_sql *s);

/* SQLITE: parameters are node and incarnation, then those of each row, one row after the other. */
int tier_sql_write_rows(struct buf *out, const char *table, size_t rows, struct err *e) MUST_USE;

/* What makes the table, as `rtcache tier-sql` prints it. */
int tier_sql_table(struct buf *out, enum tier_dialect d, const char *table, struct err *e) MUST_USE;

#endif
