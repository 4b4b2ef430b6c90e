/*
 * pg_log_poll: what one poll of a log brings: its events at once, and where it leads at its end.
 *
 *   begin --take each result--> event...; next, purged_below, begun --pg_log_poll_done--> begin
 *
 * Shape: a place, some numbers, and the transactions of a standby that were told of, and that the
 * next place has not yet: those whose end it has replayed between the two moments of a poll.
 * Thread: its owner's. Limits: PG_LOG_TWICE such transactions; what is past them is told twice.
 */
#ifndef RTCACHE_BACKEND_PG_LOG_POLL_H
#define RTCACHE_BACKEND_PG_LOG_POLL_H

#include "backend/postgres/pg_place.h"

#include <libpq-fe.h>

#define PG_LOG_TWICE 256

struct pg_log_told {
    uint64_t xids[PG_LOG_TWICE];
    size_t count;
};

struct pg_log_poll {
    struct pg_place next; /* where it leads; known or not, all but its snapshot is filled in */
    bool stated;          /* the log's state has come, of which the next two are */
    uint64_t purged_below;
    uint64_t begun; /* transactions from this number on have not begun yet */
    size_t found;   /* rows */
    struct pg_log_told before, after;
};

void pg_log_poll_init(struct pg_log_poll *p);
void pg_log_poll_fini(struct pg_log_poll *p);

void pg_log_poll_begin(struct pg_log_poll *p);
/* res: rows of one of the queries of pg_log_sql_poll, told by their columns. standby: as for that.
 * notified: is called for each row that was not told of before. */
void pg_log_poll_take(struct pg_log_poll *p, const PGresult *res, bool standby,
                      void (*notified)(void *arg, struct slice event), void *arg);
/* It has ended, and its place is in force: swapped with `place`. */
void pg_log_poll_done(struct pg_log_poll *p, struct pg_place *place);

/* Why it cannot go on from place, where pg_place_holds says so. */
const char *pg_log_poll_why(const struct pg_log_poll *poll, const struct pg_place *p);

#endif
