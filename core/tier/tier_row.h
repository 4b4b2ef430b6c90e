/*
 * tier_row: a row of the table as a database's answer has it.
 *
 *   [{i: 3, packed: bytes, version_id: 7, ...}, ...] --tier_row_next--> struct tier_row
 *
 * Shape: what it names is borrowed from the answer. Thread: any. Limits: what is no row of ours (a
 * value that is no whole MessagePack value, a time out of bounds) is refused and skipped.
 */
#ifndef RTCACHE_TIER_TIER_ROW_H
#define RTCACHE_TIER_TIER_ROW_H

#include "store/record.h"
#include "wire/mp.h"

struct tier_row {
    int64_t place;      /* of its key among those that were asked for, from 1; 0: a page's */
    struct slice key;   /* of a page's */
    struct slice at;    /* of a page's: its expires_at, as the database writes it */
    bool whole;         /* packed is a value, and its times are times */
    struct slice value; /* packed */
    bool has_version;
    int64_t version;
    enum entry_tagged tagged;
    struct slice tags; /* TAGGED_TEXTS: a packed array of str */
    int64_t loaded_wall_ms, expires_wall_ms;
    int64_t stale_ms, keep_ms, load_us;
    uint64_t incarnation, since, seen, print;
    int64_t until_ms; /* by clock_ms of its process; INT64_MAX */
};

/* The rows of an answer (CALL_ROWS, packed). How many; -1: it is none. */
int64_t tier_row_begin(struct mp_reader *at, struct slice answer);
/* The next one; false: there is no more, or what is there is no map. */
bool tier_row_next(struct mp_reader *at, struct tier_row *row);

/* As an entry's record, for restoring it. own: its times are of this process's clock. */
void tier_row_record(const struct tier_row *row, struct slice key, bool own, int64_t now_ms,
                     int64_t wall_ms, struct record *out);

#endif
