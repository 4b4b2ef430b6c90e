/*
 * read: one read of one key, for the methods that read one (read.c) and many (read_many.c): what is
 * asked goes to serve/ask, and its verdict becomes an answer, or a request that is parked (park.h).
 *
 * Thread: the connection's.
 */
#ifndef RTCACHE_NET_READ_H
#define RTCACHE_NET_READ_H

#include "net/answer.h"
#include "net/params.h"

struct read {
    const struct target *target; /* borrowed */
    struct ask ask;              /* its key is the input's */
};

/* The options of a read; `partial` among them for a get_many. ERR_BAD_REQUEST. */
int read_options(struct read *r, struct params *p, bool many, struct err *e) MUST_USE;
/* Answers, or parks the request on the flight of its key. */
void read_key(struct read *r);

#endif
