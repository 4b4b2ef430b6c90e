/*
 * rows: what the database held, version by version, and when that was known to whom.
 *
 * Shape: per class an array of keys, per key an array of versions, 1 first. Made once from a
 * history; O(records). Limits: versions count up from 1 without a gap, as a kept row's do.
 */
#ifndef HISTORY_ROWS_H
#define HISTORY_ROWS_H

#include "history.h"

#include <stdbool.h>

#define NEVER UINT64_MAX

struct row {
    uint64_t content;
    uint64_t begin_ns; /* not committed before; 0: nobody knows */
    uint64_t end_ns;   /* committed by then, or something newer is; NEVER: nobody knows */
    uint64_t seen_ns;  /* its writer had its answer */
    uint64_t told_ns;  /* the feed had told of this very version; 0: it never did */
    uint64_t gap_ns;   /* not told, and a gap in the feed was told of by then; 0: no matter */
    uint16_t tag;
    bool exists, deleted;
    bool missed; /* the feed told of what came long after it, and of no gap in between */
};

struct row_key {
    struct row *rows;
    uint32_t count; /* the newest version */
};

struct row_class {
    struct row_key *keys;
    uint32_t count, flags;
    int32_t ttl_ms;
};

struct rows {
    struct row_class classes[HISTORY_CLASSES];
    uint64_t lost_ns; /* the last time that notices were dropped; 0: never */
};

/* The history is borrowed while it is read only. Ends the program where it is none. */
void rows_init(struct rows *s, const struct record *records, size_t count);
void rows_fini(struct rows *s);

/* NULL: no such class or key. */
const struct row_key *rows_key(const struct rows *s, uint32_t key);
const struct row *rows_at(const struct row_key *k, int64_t version); /* NULL: no such version */

/* The newest version that was surely committed before t; 0: none. O(log versions). */
int64_t rows_committed(const struct row_key *k, uint64_t t_ns);
/* The newest state "there is no such row" that may have been seen before t; 0 is the time
 * before the first version. */
int64_t rows_absent(const struct row_key *k, uint64_t t_ns);
/* The version with this content; 0: none. A deletion keeps the content that was there. */
int64_t rows_find(const struct row_key *k, uint64_t content);

#endif
