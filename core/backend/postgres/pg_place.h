/*
 * pg_place: a position in the log of a PostgreSQL database: which transactions' rows were read.
 *
 *   "263639:263645:263639,263642"   all below the first number, none from the second on, and those
 *                                   between that are not listed: a pg_snapshot of PostgreSQL
 *
 * A number alone would not do: transactions get theirs before they commit, and a later one may be
 * seen first. Beside the snapshot stands whose history it is of, and which log's; a text has all
 * of it, for another life of the server. Thread: any. Limits: PG_PLACE_SNAPSHOT bytes of a
 * snapshot; one that is longer says less than it could, and rows are read twice.
 */
#ifndef RTCACHE_BACKEND_PG_PLACE_H
#define RTCACHE_BACKEND_PG_PLACE_H

#include "backend/listen.h"

#define PG_PLACE_SNAPSHOT ((size_t)48 * 1024)
#define PG_PLACE_LOG      64 /* bytes of a log's id, its NUL included */

struct pg_place {
    bool standby; /* it was read there */
    struct identity identity;
    char log[PG_PLACE_LOG];
    char missed[LISTEN_MISSED];
    uint64_t xmin, xmax;
    struct buf snapshot; /* a text that ends with its NUL; empty: it is nowhere */
};

void pg_place_init(struct pg_place *p);
void pg_place_fini(struct pg_place *p);
void pg_place_forget(struct pg_place *p);

static inline bool pg_place_known(const struct pg_place *p)
{
    return p->snapshot.size > 0;
}

/* text: as PostgreSQL writes a pg_snapshot. false: it is none, or there is no memory; it is nowhere
 * then. */
bool pg_place_take(struct pg_place *p, struct slice text) MUST_USE;
/* The snapshot of a standby, which lists no transaction that is under way: they are doubt, numbers
 * with commas between, in ascending order, all below xmax. Fails as pg_place_take. */
bool pg_place_take_doubt(struct pg_place *p, struct slice xmax, struct slice doubt) MUST_USE;
/* Whether the rows of the transaction were read. */
bool pg_place_has(const struct pg_place *p, uint64_t xid);
/* The listed ones, with commas between; "" none. Borrowed. */
const char *pg_place_list(const struct pg_place *p);

/* Whether nothing is missing between it and now, a place of which all but the snapshot counts:
 * the same history and log, and nothing was purged that was not read. */
bool pg_place_holds(const struct pg_place *p, const struct pg_place *now, uint64_t purged_below);

/* One line. What is written is read again; anything else is refused, and p is nowhere. */
bool pg_place_write(const struct pg_place *p, struct buf *out) MUST_USE;
bool pg_place_read(struct pg_place *p, const char *text) MUST_USE;

/* A decimal number of at most 64 bits, whole. */
bool pg_place_number(struct slice text, uint64_t *out);

#endif
