/*
 * journal: what was changed from outside, in files that outlive the process.
 *
 *   a change --journal_note--> the thread's lane --journal_flush--> one write(2) --> the answers
 *
 *   DIR/journal.00000007:  JOURNAL block (chain, number, boot id, times), BATCH, BATCH, .., NEXT
 *
 * A batch is what one thread has gathered since its last one. Batches are numbered through all
 * files of a chain, in the order in which they stand there: a hole shows. Every file but the last
 * one ends with a NEXT block: a last file that is gone shows as well. Without fsync the pages
 * outlive the process, not the machine, so the journal counts under one boot id only, unless it is
 * `sync`.
 *
 * Where a write fails, or the bound is passed, the journal is broken: it forgets its last file, and
 * `relies`, so that nobody believes in either, says so once, and goes on as if there were none
 * until journal_mark, or a journal_tick some seconds later, begins a new chain.
 *
 * Thread: note and flush: the lane's; journal_rely and journal_read_stats: any; all else one. Where
 * there is no journal note and flush do nothing. Limits: max_bytes of all files; JOURNAL_LANE_BYTES
 * that one thread gathers, then it is written.
 */
#ifndef RTCACHE_STATE_JOURNAL_H
#define RTCACHE_STATE_JOURNAL_H

#include "base/buf.h"
#include "state/state_dir.h"

#define JOURNAL_BOOT_ID    40 /* bytes, with its NUL */
#define JOURNAL_LANE_BYTES ((size_t)256 << 10)

struct journal;
struct journal_reading;

/* Up to where: all batches below seq are before it. {0} is the begin of whatever there is. */
struct journal_position {
    uint64_t chain;  /* whose numbers these are */
    uint64_t number; /* of the file */
    uint64_t seq;    /* of the next batch */
};

struct journal_options {
    struct state_dir *dir;         /* borrowed */
    char boot_id[JOURNAL_BOOT_ID]; /* of this machine's run */
    uint64_t incarnation;          /* of this server; names the chain that it begins */
    int64_t now_ms, wall_ms;       /* clock_ms, clock_wall_ms */
    int64_t keep_ms;               /* files are kept while they have a record that is younger */
    uint64_t max_bytes;            /* in all files */
    bool sync;                     /* a flush waits for the disk */
    const char *relies;            /* a file's name: of no use without the journal; NULL. Static */
    const struct journal_reading *after; /* borrowed during the call: the chain goes on where that
                                            ended. Not complete, or NULL: a new chain, and all files
                                            that are there go */
};

/* Where no file can be written the journal is broken from the start on, and tries again
 * (journal_tick).
 * Errors: ERR_NOMEM; ERR_IO: files of before can be neither gone on with nor removed, so a later
 * start would believe in them. */
int journal_open(struct journal **out, const struct journal_options *o, struct err *e) MUST_USE;
void journal_close(struct journal *j); /* no lane may hold records; NULL is allowed */

/* A server that keeps none: what is there is of another one, and misses what comes now. ERR_IO:
 * some of it is still there, and a later start would believe in it. */
int journal_remove(struct state_dir *d, struct err *e) MUST_USE;

/* What a reload may change. */
void journal_keep(struct journal *j, int64_t keep_ms, uint64_t max_bytes);

enum journal_kind {
    JOURNAL_KEY = 1, /* text is a key that was invalidated, set, written; soft: expired */
    JOURNAL_TAG = 2, /* a tag; soft: stale from then on */
    JOURNAL_ALL_TAGS = 3,
    JOURNAL_PATTERN = 4,      /* a pattern; soft; misfits: change_misfits */
    JOURNAL_LIFT = 5,         /* a key whose floor was lifted, and what is stored dropped */
    JOURNAL_LIFT_PATTERN = 6, /* "": everything */
    JOURNAL_DOUBT = 7,        /* a key: a write of it may still take place, for left_ms */
};

struct journal_record {
    enum journal_kind kind;
    struct slice text;
    bool soft, gone, misfits;
    bool has_version; /* KEY: what is older goes, and stays out for left_ms; else all goes */
    int64_t version;
    int64_t left_ms; /* at at_ms, of a floor or a doubt; else 0 */
    int64_t at_ms;   /* of clock_ms, when its batch was written: only what was read has it */
};

/* What one thread has gathered. {.journal = NULL} is one without a journal. */
struct journal_lane {
    struct journal *journal; /* borrowed */
    struct buf gathered;     /* owned: a block in the making */
    uint32_t count;
};

void journal_lane_init(struct journal_lane *l, struct journal *j); /* j NULL: there is none */
void journal_lane_fini(struct journal_lane *l);

/* After the change is in force, before its answer is made. A lane that has grown past
 * JOURNAL_LANE_BYTES is written at once. It cannot fail: what cannot be noted breaks the
 * journal. */
void journal_note(struct journal_lane *l, const struct journal_record *r);

/* journal_flush, where there is something. */
void journal_write_lane(struct journal_lane *l);

/* Whether there is anything to be written before answers may leave. */
static inline bool journal_waits(const struct journal_lane *l)
{
    return l->count > 0;
}

/* Writes what was gathered (sync: and waits for the disk). When it returns answers may leave: it is
 * written, or the journal is broken and nobody will believe in it. */
static inline void journal_flush(struct journal_lane *l)
{
    if (__builtin_expect(journal_waits(l), 0))
        journal_write_lane(l);
}

/* A snapshot begins: the position that it is to name, of which files are kept from now on. Batches
 * before it are of changes that are in force by now. Where the journal is broken it begins anew;
 * where it cannot, the snapshot has no position. */
int journal_mark(struct journal *j, int64_t now_ms, int64_t wall_ms, struct journal_position *out,
                 struct err *e) MUST_USE;

/* The snapshot of that mark has got its name, `relies`: files since then are kept for it, as long
 * as there is room, and the one before it needs none. false: the journal broke meanwhile, and the
 * snapshot has to be taken back. p NULL: it was given up. */
bool journal_rely(struct journal *j, const struct journal_position *p);

/* About once a second, not from an I/O thread: a new file by age and size, old ones removed, and
 * begins anew some seconds after it broke. */
void journal_tick(struct journal *j, int64_t now_ms, int64_t wall_ms);

struct journal_stats {
    uint64_t records, writes, bytes; /* since the open */
    uint64_t failures;               /* times that it broke */
    uint64_t files, file_bytes;      /* that are there now */
    bool broken;
};
void journal_read_stats(struct journal *j, struct journal_stats *out);

#endif
