/*
 * tier_read: the keys that loads of one loader thread look for in the table, those of a turn in one
 * statement.
 *
 *   load --ask--> wanted --flush, once a turn--> SELECT of up to `most` keys --> ask->done(row)
 *                                                     `--timeout, failure--> ask->done(NULL)
 *
 * Thread: its loader loop's; done runs on the loop, never inside ask. Limits: TIER_READ_KEYS in a
 * statement, TIER_READS of them in the air; what comes beyond is not asked for. conf_tier's timeout
 * counts from the flush.
 */
#ifndef RTCACHE_TIER_TIER_READ_H
#define RTCACHE_TIER_TIER_READ_H

#include "tier/tier_link.h"
#include "tier/tier_row.h"

#define TIER_READ_KEYS 500
#define TIER_READS     8

struct tier_read;

/* Embedded in its owner, and kept in place until done or tier_read_cancel. */
struct tier_ask {
    struct list link;
    struct slice key; /* borrowed until then */
    struct tier_reader *reader;
    struct tier_read *read; /* in the air; NULL: wanted, or neither */
    uint32_t place;
    bool answered; /* with done: the table was read; without a row it has none of this key */
    /* Once; row NULL: there is none, or it could not be read in time. It is valid during the call.
     */
    void (*done)(struct tier_ask *ask, const struct tier_row *row);
};

struct tier_reader {
    struct tier_link *link; /* borrowed */
    struct list wanted, reads;
    size_t wanted_count;
    unsigned in_air; /* statements */
    uint32_t most;   /* keys of one; fewer where their rows were too large together */
};

void tier_reader_init(struct tier_reader *r, struct tier_link *link);
/* false: the tier cannot be asked now; done is not called. */
bool tier_reader_ask(struct tier_reader *r, struct tier_ask *ask);
/* What was asked for in this turn goes out. */
void tier_reader_flush(struct tier_reader *r);
/* done is not called. */
void tier_reader_cancel(struct tier_ask *ask);
/* All that is in the air is given up: done(NULL) for each. */
void tier_reader_stop(struct tier_reader *r);

#endif
