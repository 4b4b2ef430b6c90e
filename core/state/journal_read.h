/*
 * journal_read: what a journal says, and whether that is all.
 *
 * Shape: file after file, a block in memory at a time. Any bytes may stand there. A batch that ends
 * with the file before its time is no fault: its answers never left. Thread: one, while no journal
 * is open in the folder.
 */
#ifndef RTCACHE_STATE_JOURNAL_READ_H
#define RTCACHE_STATE_JOURNAL_READ_H

#include "state/journal.h"

enum journal_verdict {
    JOURNAL_COMPLETE,   /* nothing that was acknowledged since the position is missing */
    JOURNAL_NONE,       /* there are no files, and the position was {0} */
    JOURNAL_GONE,       /* files since the position, or the last ones, are not there */
    JOURNAL_OTHER_BOOT, /* it was written before the machine's last start, without sync */
    JOURNAL_HOLE,       /* batches are missing between two that are there */
    JOURNAL_DAMAGED,    /* bytes have changed, or a record is of a kind that is not known */
    JOURNAL_UNREAD,     /* a system call failed, or the caller's function */
};

struct journal_reading {
    enum journal_verdict verdict;
    struct err why; /* where it is not complete: file, byte, reason */
    struct journal_position end;
    uint64_t end_byte; /* of the last file: what stands before it is right */
    /* All from then on is there: when the first file that was read was begun, by clock_ms and by
     * the wall. With a position that is no later than it. */
    int64_t since_ms, since_wall_ms;
    /* And sync: clock_ms was another one then. A record's time by the wall is
     * since_wall_ms + at_ms - since_ms. */
    bool other_boot;
    uint64_t batches, records; /* that were handed out */
};

/* Calls each with every record from `from` on, in order; record and text are borrowed during the
 * call. What it returns other than 0 ends the reading. Records that were handed out before the
 * verdict were written: applying them is right whatever it is. */
void journal_read(struct state_dir *d, const char *boot_id, const struct journal_position *from,
                  int (*each)(const struct journal_record *r, void *arg), void *arg,
                  struct journal_reading *out);

const char *journal_verdict_name(enum journal_verdict v); /* "complete", "gone", .. */

#endif
