/*
 * tier_write: what waits in a queue is written to the table, behind the loads.
 *
 *   queue --take, up to `most`--> still right? --> one INSERT ... ON CONFLICT --> settled
 *             every second, or as soon as TIER_WRITE_ROWS wait         `--failed: it waits again
 *
 * One statement is in the air at a time, so that rows of a key go out in their order. What was
 * changed since it was queued is left out. A statement that the database refuses for what is in it
 * goes again in halves, until the one row that is wrong stands alone, and is dropped.
 * Thread: its loader loop's. Limits: TIER_WRITE_ROWS of a statement (SQLite: TIER_SQL_ROWS),
 * TIER_WRITE_MS for it.
 */
#ifndef RTCACHE_TIER_TIER_WRITE_H
#define RTCACHE_TIER_TIER_WRITE_H

#include "tier/tier_link.h"

#define TIER_WRITE_ROWS 1000
#define TIER_WRITE_MS   10000

struct tier_writer {
    struct tier_link *link;   /* borrowed, all of them */
    struct tier_queue *queue; /* of its thread */
    /* Whether the key is of a loader that is kept in the tier: marks come for all keys. */
    bool (*wants)(void *arg, struct slice key);
    void *arg;
    struct call call;
    bool busy, emptying; /* emptying: until nothing waits */
    size_t most;         /* rows of a statement; fewer after one that was refused */
    size_t rows, marks;  /* of the one in the air */
    struct list air;     /* its items */
    struct buf text, params;
    ev_timer tick, timeout;
    void (*emptied)(void *arg); /* of tier_writer_empty; NULL: nobody waits for that */
    void *emptied_arg;
};

void tier_writer_init(struct tier_writer *w, struct tier_link *link, struct tier_queue *queue,
                      bool (*wants)(void *arg, struct slice key), void *arg);
void tier_writer_fini(struct tier_writer *w); /* stopped */
void tier_writer_start(struct tier_writer *w);
/* The statement in the air is given up, and its rows wait again. */
void tier_writer_stop(struct tier_writer *w);
/* Writes, if enough waits. */
void tier_writer_wake(struct tier_writer *w, size_t count);
/* Writes all that waits; done is called once nothing does, or it cannot be written. */
void tier_writer_empty(struct tier_writer *w, void (*done)(void *arg), void *arg);

#endif
