/*
 * ticket: something that is done for a client and has not ended: a read that is parked, a write, an
 * auth, what the main thread is asked, a get_many that waits to be sent, a request in slices.
 *
 *   ticket_open --.--> ticket_done: its client has the answer ----.--> ticket_close, now or when
 *                 `--> tickets_leave: its client is gone (left) --'    what is under way is back
 *
 * Shape: embedded in what it is for. A connection counts those of them that are requests, for
 * max_parked, and an I/O thread all of them, so that it knows when it is drained. Thread: the
 * connection's. Limits: max_parked a connection, one auth, one job; each is written down (held.h).
 */
#ifndef RTCACHE_NET_TICKET_H
#define RTCACHE_NET_TICKET_H

#include "base/list.h"

#include <stdbool.h>

struct conn;
struct io;
struct ticket;

struct ticket_kind {
    bool request; /* it counts in parked_count until it is done */
    bool owes;    /* an answer, where it is no notification */
    /* Its client has left, and the connection, which is there until this returns, has let go of it:
     * no ticket_done. Its link is free. */
    void (*left)(struct ticket *t, struct conn *c);
};

struct ticket {
    struct list link; /* conn->tickets */
    const struct ticket_kind *kind;
    bool notify; /* it has no answer */
};

void ticket_open(struct ticket *t, const struct ticket_kind *kind, struct conn *c, bool notify);
void ticket_done(struct ticket *t, struct conn *c);
/* The last that is heard of one, which was done or left. */
void ticket_close(struct io *io);
void tickets_leave(struct conn *c);

/* The thread's last word to control, as soon as it has no ticket and no connection. */
void tickets_drain(struct io *io);

#endif
