/*
 * restart_priv: what the files of restart share; nobody else includes it.
 *
 * Thread: the main one, but for restart_read and restart_write, which run on the worker while the
 * main one leaves `read`, `write` and `keep` alone.
 */
#ifndef RTCACHE_SERVER_RESTART_PRIV_H
#define RTCACHE_SERVER_RESTART_PRIV_H

#include "load/keep.h"
#include "load/keep_numbers.h"
#include "server/restart.h"
#include "state/journal_read.h"
#include "sys/pool.h"
#include "sys/process.h"

enum restart_work {
    RESTART_IDLE,
    RESTART_READING,
    RESTART_REREADING, /* what came of feeds that did not go on */
    RESTART_WRITING,
};

/* One feed that may go on from where it was. */
struct restart_feed {
    struct message message; /* from the feeds' thread */
    struct restart *restart;
    bool waits;           /* whether it goes on is not known yet */
    _Atomic bool resumed; /* what the message says */
};

/* A start. */
struct restart_read {
    bool resumed[CONF_BACKENDS_MAX]; /* by index of the backends: goes on, as far as is known */
    bool again[CONF_BACKENDS_MAX];   /* and did not */
    struct journal_reading journal;
    uint64_t journal_records; /* that were put in force */
    struct keep_restored restored;
    struct proof_start start;
    bool floors_whole; /* none that was promised in this folder is missing since lossy_until_ms */
    int64_t lossy_until_ms;
    bool given_up;
    struct err err; /* what was not read, or applied; code 0: nothing */
};

/* A snapshot. */
struct restart_write {
    struct keep_source source;
    struct buf positions; /* of the feeds, one behind the other */
    struct keep_feed feeds[CONF_BACKENDS_MAX];
    size_t feed_count;
    struct keep_saved saved;
    int rc;
    struct err err;
};

struct restart {
    struct server *server;
    struct state_dir *dir;
    char boot_id[PROCESS_BOOT_ID];
    uint64_t life;
    uint64_t seed;
    int64_t alive_wall_ms; /* when the server before was there last; 0: nobody knows */
    struct keep *keep;     /* until it is restored */
    struct journal *journal;
    struct pool *pool; /* of one thread */
    struct pool_task task;
    enum restart_work work;
    _Atomic bool stop;
    bool served; /* clients may have come: the snapshot that was read is of no use any more */
    struct restart_read read;
    struct restart_write write;
    struct list asked, later; /* clients' requests: for this snapshot, for the next one */
    struct restart_feed feeds[CONF_BACKENDS_MAX];
    unsigned feeds_waiting;
    int64_t every_ms; /* of the configuration by which `every` runs, or does not */
    ev_timer every, alive, extend, feeds_limit;
    void (*begun)(struct server *s);
    void (*feeds_done)(struct restart *r);
    struct keep_numbers numbers;
};

/* The job of a start: floors, entries, then what the journal says was changed since. */
void restart_read(struct restart *r);
/* What loaders of the feeds in read.again have loaded is dropped, and comes back unproven. */
void restart_reread(struct restart *r);
/* restart_feeds.c, on the main thread: which feeds may go on; before the job. */
void restart_feeds_open(struct restart *r);
/* After it: the feeds begin, and once it is known of each (or warm_wait is over) done follows,
 * which may be at once. */
void restart_feeds_begin(struct restart *r, void (*done)(struct restart *r));
/* Whether some feed was not shown to have gone on: floors that it would have set are not known. */
bool restart_feeds_lost(const struct restart *r);
/* Where the feeds are, into write.feeds. */
int restart_feeds_place(struct restart *r, struct err *e) MUST_USE;
/* The changes of the journal, as the caller wants them: restart_apply.c. */
int restart_apply(struct restart *r, const struct journal_position *from, struct err *e) MUST_USE;
/* The job of a snapshot. */
void restart_write(struct restart *r);
/* What only the main thread can say of it. clean: nothing goes on any more. */
int restart_write_begin(struct restart *r, bool clean, struct err *e) MUST_USE;

#endif
