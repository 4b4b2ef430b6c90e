/*
 * registry_rows: the rows of the registry's table, as a query gave them, and as a snapshot kept them.
 *
 *   [{key_pattern, loader_type, ttl_seconds, stale_ttl_seconds}] -> struct conf_rows, in order
 *
 * Thread: the main one. Limits: CONF_LOADERS_MAX rows, and one more to see that there are too many.
 */
#ifndef RTCACHE_SERVER_REGISTRY_ROWS_H
#define RTCACHE_SERVER_REGISTRY_ROWS_H

#include "conf/arena.h"
#include "conf/conf_rows.h"
#include "load/keep_header.h"

struct registry_rows {
    struct conf_rows rows; /* in the arena, sorted */
    struct arena arena;
};

/* Appends the query for the table, NUL-terminated: all values as text. ERR_BAD_REQUEST, ERR_NOMEM. */
int registry_rows_query(struct buf *out, const char *table, struct err *e) MUST_USE;

/* packed: what the query gave. ERR_BAD_VALUE where that is something else, or a text has a NUL byte;
 * ERR_NOMEM. */
int registry_rows_read(struct registry_rows **out, struct slice packed, struct err *e) MUST_USE;
/* Those that a snapshot has kept. ERR_NOMEM. */
int registry_rows_kept(struct registry_rows **out, const struct keep_header *h,
                       struct err *e) MUST_USE;
void registry_rows_free(struct registry_rows *r); /* NULL is allowed */

#endif
