/*
 * telling: an I/O thread tells its subscribers of what was invalidated, one event after the other.
 *
 *   news (load/news.h) --one message per I/O thread--> queue
 *                           queue --in slices--> [2, "invalidated", [{...}]]
 *
 * A connection is told of an event once, whatever it subscribed to. Where it is not known whether
 * an event concerns a subscriber it is told of it (subscriptions.h).
 * Shape: the messages themselves, linked. Thread: the I/O thread's. Limits: max_notices of them on
 * their way to a thread or in its queue; a connection with more than CONN_OUT_PAUSE (or half of
 * max_output) unread is told, once it has read, that it has to drop what it holds.
 */
#ifndef RTCACHE_NET_TELLING_H
#define RTCACHE_NET_TELLING_H

#include "load/news.h"
#include "net/slices.h"

struct conn;
struct io;

struct telling {
    struct slice_work work;
    struct io *io;
    struct message *first, *last; /* that wait */
    struct message *held;         /* whose text is borrowed; NULL: it was given back */
    struct news now;
    bool busy; /* now is being told of */
};

void telling_init(struct telling *t, struct io *io);
void telling_fini(struct telling *t);

/* The hub's recv; owner is the io. */
void telling_recv_news(struct message *m, void *owner);

/* All that was to be sent has been: what was lost is told now. false: nothing was. */
bool telling_drained(struct conn *c);
/* Whether something was lost, and is not told yet. */
bool telling_waits(const struct conn *c);

#endif
