/*
 * tier_batch: rows that are to be written, as the parameters of their statement (base/tier_sql.h).
 *
 * Thread: any. Errors: ERR_NOMEM.
 */
#ifndef RTCACHE_TIER_TIER_BATCH_H
#define RTCACHE_TIER_TIER_BATCH_H

#include "tier/tier.h"

/* PostgreSQL: an array for each column. items: `rows` of struct tier_item. */
int tier_batch_arrays(struct buf *out, const struct list *items, size_t rows,
                      const struct tier *t) MUST_USE;
/* SQLite: node and incarnation, then the columns of each row. */
int tier_batch_rows(struct buf *out, const struct list *items, size_t rows,
                    const struct tier *t) MUST_USE;

#endif
