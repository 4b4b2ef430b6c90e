/*
 * warm: loads a list of keys into a server, slowly, in the order of the list.
 *
 *   lines -> a batch -> get_entry, pipelined -> what became of each -> the next batch, when due
 *                ^-------- those that were OVERLOADED, at half the rate --'
 *
 * get_entry says of each key what the server had and what it loaded; its value comes along and is
 * thrown away. Requests that arrive together are loaded together (load_many). After a key that was
 * refused because its loader had enough to do (OVERLOADED, BREAKER_OPEN) the rate is halved, the
 * server's time to retry after is waited for, and the rate comes back by a twentieth a batch.
 * Thread: its owner's, which it blocks. Limits: WARM_BATCH keys in the air and in memory,
 * WARM_LINE_MAX bytes of a line, WARM_TRIES of a key.
 */
#ifndef RTCACHE_CLI_WARM_H
#define RTCACHE_CLI_WARM_H

#include "cli/client.h"

#include <stdio.h>

#define WARM_RATE_DEFAULT 500 /* keys a second */
#define WARM_PROGRESS_MS  5000
#define WARM_BATCH        64
#define WARM_LINE_MAX     ((size_t)1 << 20)
#define WARM_TRIES        8
#define WARM_ERRORS_SHOWN 10

struct warm_options {
    int64_t rate;        /* keys a second, at least 1 */
    int64_t timeout_ms;  /* for the answers to a batch */
    int64_t deadline_ms; /* told to the server for each key; 0: its own wait_timeout */
    int64_t progress_ms; /* between two lines of progress */
    FILE *in;
    FILE *err; /* progress, and what became of the first keys that failed */
};

struct warm_counts {
    uint64_t loaded, there, absent, failed;
    uint64_t slowed; /* batches after which it went on more slowly */
    int64_t took_ms;
};

/* c: open, and who we are has been said. counts: also where it stops before the end, with what was
 * done until then. ERR_BAD_VALUE: a line is no key, and e says which; what stands before it is
 * done. ERR_SHUTDOWN, ERR_UNAUTHENTICATED: the server takes no more. ERR_IO, ERR_TIMEOUT,
 * ERR_PROTOCOL, ERR_NOMEM. */
int warm_run(struct client *c, const struct warm_options *o, struct warm_counts *counts,
             struct err *e) MUST_USE;

/* What was done: a line of words, or JSON. ERR_NOMEM. */
int warm_write(struct buf *out, const struct warm_counts *n, bool json, bool pretty) MUST_USE;

#endif
