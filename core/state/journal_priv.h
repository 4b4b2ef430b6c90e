/*
 * journal_priv: a journal from inside; journal.c writes batches and breaks it, journal_life.c makes
 * its files, journal_tick.c removes them.
 *
 * Lock order: syncing, then writing. Under `writing` stand the next batch's number and its write,
 * so that batches stand in the file as they are numbered. `syncing` is held while the disk is
 * waited for: who comes meanwhile is mostly done when it is let in. The file changes under both.
 */
#ifndef RTCACHE_STATE_JOURNAL_PRIV_H
#define RTCACHE_STATE_JOURNAL_PRIV_H

#include "state/journal.h"
#include "state/journal_file.h"

#include <pthread.h>

#define JOURNAL_KEPT_MOST 128

/* A file that is complete. */
struct journal_kept {
    uint64_t number, bytes;
    int64_t until_ms; /* none of its records is younger */
};

struct journal {
    struct state_dir *dir;
    char boot_id[JOURNAL_BOOT_ID];
    uint64_t incarnation;
    bool sync;
    const char *relies;

    pthread_mutex_t syncing;
    uint64_t synced; /* batches below it are on the disk */

    pthread_mutex_t writing;
    int fd;                       /* of the last file; -1: there is none */
    bool broken, believed;        /* believed: its last file could not be removed */
    struct journal_position next; /* chain, number of the last file, seq of the next batch */
    uint64_t begin_seq;           /* of the last file */
    uint64_t bytes;               /* of the last file, */
    uint64_t kept_bytes;          /* and of those before it */
    uint64_t marked, relied;      /* files from that number on are kept for a snapshot; 0: none */
    struct journal_stats stats;
    uint64_t max_bytes;

    /* Of who calls journal_tick. */
    int64_t keep_ms;
    int64_t since_ms;        /* the last file was begun */
    int64_t broken_since_ms; /* 0: not seen yet */
    unsigned kept_count;
    struct journal_kept kept[JOURNAL_KEPT_MOST];
};

/* Writes all of it. 0, or an errno. */
int journal_write_all(int fd, const struct buf *bytes);
/* Nobody is to believe any more in what is written; `writing` is held. false: so it was before. */
bool journal_forget(struct journal *j);
/* Where that was true, behind the lock. reason: an errno, or 0: `what` says it. */
void journal_say_broken(const struct journal *j, const char *what, int reason);

/* The chain goes on in a new file. An error leaves it in the old one, or broken. */
int journal_next_file(struct journal *j, int64_t now_ms, int64_t wall_ms, struct err *e) MUST_USE;
/* A broken one is whole again, with a new chain; all files of before go. */
int journal_begin_anew(struct journal *j, int64_t now_ms, int64_t wall_ms, struct err *e) MUST_USE;

#endif
