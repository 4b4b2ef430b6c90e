/*
 * sql: what drivers that speak SQL have in common: their verbs, and what an error may leave behind.
 *
 * Thread: any.
 */
#ifndef RTCACHE_BACKEND_SQL_H
#define RTCACHE_BACKEND_SQL_H

#include "backend/verb.h"

enum sql_verb {
    SQL_ROW,
    SQL_ROWS,
    SQL_VALUE,
    SQL_EXEC,
    SQL_PACKED_ROW,
    SQL_PACKED_ROWS,
    /* From here on hidden. A batch is one statement for the keys of many, of which SQL_TYPES has
     * just told that it reads plain tables alone: so does the batch, whose own text tells less. No
     * script may claim that. */
    SQL_TYPES,
    SQL_BATCH_TYPES,
    SQL_BATCH_ROWS,
};

extern const struct verb sql_verbs[]; /* by enum sql_verb */

static inline bool sql_is_batch(int verb)
{
    return verb == SQL_BATCH_TYPES || verb == SQL_BATCH_ROWS;
}

/* What became of a call that the source answered with an error, which undid the statement: UNDONE,
 * or DONE where its kind may have committed on its way. */
enum call_fate sql_fate_undone(struct slice sql);

#endif
