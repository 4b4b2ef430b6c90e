/*
 * source_write: a put or a delete as its client sees it: whether it may go to the source, how long
 * its client waits, and what that one is told in the end.
 *
 *   source_write_admit --> the error it is refused with
 *        `--> source_write_begin: AWAY --its outcome--> OVER
 *                                  `--its time is over--> ASKED: was it begun at all?
 *               ASKED --it was--> LATE: its client is told WRITE_UNKNOWN --its outcome--> OVER
 *                  `--its outcome--> ENDED, until the question is back --> OVER
 *
 * One that was not begun in time has an outcome that says so, which comes before the question is
 * back. No wire, no connection, no clock: its client's wait is a span, whose end its owner tells.
 *
 * Shape: embedded in what is allocated for the wait. Thread: the connection's; the outcome is the
 * loader thread's (load/write.h). Limits: max_parked, and those of load/write.h.
 */
#ifndef RTCACHE_SERVE_SOURCE_WRITE_H
#define RTCACHE_SERVE_SOURCE_WRITE_H

#include "load/snapshot.h"
#include "load/write.h"
#include "metrics/metrics.h"

/* What its client asks for. */
struct source_wish {
    enum write_what what;
    struct slice key, value; /* borrowed; value: PUT, packed */
    bool has_seen;
    int64_t seen;       /* the version that the client has seen */
    int64_t timeout_ms; /* for which it waits; -1: as the key's loader says */
};

/* Where it is asked. All is borrowed. */
struct source_writer {
    const struct snapshot *snapshot;
    struct metrics *metrics; /* the thread's own */
    uint64_t waiting;        /* requests of its client that are not answered yet */
};

struct source_write {
    struct write write;
    enum source_write_state {
        SOURCE_WRITE_AWAY,
        SOURCE_WRITE_ASKED,
        SOURCE_WRITE_LATE,
        SOURCE_WRITE_ENDED,
        SOURCE_WRITE_OVER,
    } state;
    int64_t wait_ms;
};

/* The wish's timeout_ms becomes the span that its client waits for. ERR_BAD_KEY, ERR_NO_LOADER,
 * ERR_OVERLOADED. */
int source_write_admit(const struct source_writer *by, struct source_wish *wish,
                       struct err *e) MUST_USE;

/* s is of zeros. The key and the value are copied to room, which has their bytes and lives as long
 * as s. The owner fills in who is told of the outcome. */
void source_write_begin(struct source_write *s, const struct source_wish *wish, uint64_t hash,
                        char *room);

/* Its client's wait is over: the owner asks the loader thread (loader_thread_give_up). */
void source_write_time(struct source_write *s, struct metrics *metrics);

/* The question is back. ERR_WRITE_UNKNOWN, with the key's text: that is what its client is told
 * now, and the write goes on; 0: nothing is to be told. */
int source_write_heard(struct source_write *s, struct err *e) MUST_USE;

/* Its outcome has come: that is what its client is told, unless it was told WRITE_UNKNOWN. */
void source_write_ended(struct source_write *s);

/* Nobody else has it any more. */
static inline bool source_write_is_over(const struct source_write *s)
{
    return s->state == SOURCE_WRITE_OVER;
}

/* Why what the source took is not in the cache, for its client; NULL: there is nothing to say. */
const char *source_write_left(const struct source_write *s);

#endif
