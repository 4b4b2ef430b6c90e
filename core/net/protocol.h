/*
 * protocol: what stands between a connection's bytes and the requests in them.
 *
 *   conn --bytes--> take --> a command --> serve/ --> its answer, at once or by its ticket --> conn
 *
 * Shape: a static table; one line of it for each thing that a connection has to say. Thread: the
 * connection's I/O thread. Limits: each protocol's own, of a frame.
 */
#ifndef RTCACHE_NET_PROTOCOL_H
#define RTCACHE_NET_PROTOCOL_H

#include "base/err.h"
#include "base/slice.h"
#include "net/target.h"

struct facts;

struct protocol {
    const char *name;
    /* With which every answer begins; sent ahead to tell whether a client is still there. '\0': its
     * answers begin in several ways. */
    char first;
    /* Before anything is read. */
    void (*opened)(struct conn *c);
    /* Takes the whole messages at the beginning of `in`, until c is halted, and answers them, now
     * or later. The bytes used; what is left comes again, with more behind it. It may break or
     * finish c, which is there when it returns. */
    size_t (*take)(struct conn *c, struct slice in);
    /* It once the server goes down: it differs in `take` alone, which answers each request with
     * ERR_SHUTDOWN (dispatch_refusal) and does nothing of it. Itself of that one. */
    const struct protocol *draining;
    /* All is sent, and conn.more was set, which this settles: whether something waits still. true:
     * something that waited for this is to be sent now. NULL: nothing ever waits. */
    bool (*more)(struct conn *c);
    /* c is being closed, and its tickets are gone. */
    void (*closed)(struct conn *c);
    /* The answers to requests whose target is FORM_OWN, of a client that is there. A value is
     * packed, and borrowed until it returns. NULL, all of them: it has no such requests. */
    void (*value)(const struct target *t, struct slice packed, const struct facts *f);
    void (*absent)(const struct target *t, const struct facts *f);
    void (*error)(const struct target *t, const struct err *e);
};

#endif
