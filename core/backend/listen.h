/*
 * listen: what hears of changes in a source, behind one small interface; made by backend_listen.
 *
 *   driver --up, notified, beaten, down--> its owner --listen_notify, listen_drop--> driver
 *
 * Shape: `down` is called once for each `up`. Whatever changes in the source later than `up` is
 * heard, in the order in which it changed. It connects again by itself.
 * Thread: one loop's. Limits: the driver's, such as connect_timeout and reconnect_*.
 */
#ifndef RTCACHE_BACKEND_LISTEN_H
#define RTCACHE_BACKEND_LISTEN_H

#include "backend/identity.h"
#include "base/slice.h"

#define LISTEN_MISSED 48 /* bytes of what was missed, as a text, its NUL included */

/* What a notification of ours that was sent told beside. */
struct listen_beat {
    const char *missed; /* as for up; borrowed */
    bool held;          /* asked for, and a transaction that has moved it is not over */
    uint64_t wal_end;   /* 0: unknown */
};

struct listen_events {
    /* missed: a text that changes when the source could not tell of a change; "" where none can say
     * so. Both borrowed. */
    void (*up)(void *arg, const struct identity *identity, const char *missed);
    void (*notified)(void *arg, struct slice payload);
    void (*beaten)(void *arg, const struct listen_beat *beat);
    void (*down)(void *arg, const char *why);
    void *arg;
};

struct listen;

struct listen_ops {
    void (*free)(struct listen *l);
    bool (*notify)(struct listen *l, const char *payload, bool ask_held);
    void (*drop)(struct listen *l, const char *why);
};

/* The head of every driver's own struct. */
struct listen {
    const struct listen_ops *ops;
};

/* Without a word to down. NULL is allowed. */
static inline void listen_free(struct listen *l)
{
    if (l)
        l->ops->free(l);
}

/* Sends a notification that comes back as one of the source's; may go down. False: it is not up, or
 * the last one has not been sent yet. ask_held: the beat that follows says it. */
static inline bool listen_notify(struct listen *l, const char *payload, bool ask_held)
{
    return l->ops->notify(l, payload, ask_held);
}

/* The connection is not believed any more: down, and another one. Not from inside an event. */
static inline void listen_drop(struct listen *l, const char *why)
{
    l->ops->drop(l, why);
}

#endif
