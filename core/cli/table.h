/*
 * table: answers for people: aligned columns and lines instead of JSON.
 *
 * Thread: any. Limits: the buf's; rows and cells as many as the answer has.
 */
#ifndef RTCACHE_CLI_TABLE_H
#define RTCACHE_CLI_TABLE_H

#include "base/buf.h"

/* packed: an array of maps, one a loader; columns that no row has are left out. ERR_PROTOCOL where
 * it is something else. */
int table_loaders(struct buf *out, struct slice packed) MUST_USE;

/* packed: a map of values and maps; "outer.inner   value", one a line. */
int table_stats(struct buf *out, struct slice packed) MUST_USE;

/* The value of a str key in a packed map; false where there is none. */
bool table_field(struct slice map, const char *name, struct slice *value);

#endif
