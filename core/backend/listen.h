/*
 * listen: what hears of changes in a source, behind one small interface; made by backend_listen.
 *
 *   driver --up, notified, beaten, moved, down--> its owner --listen_notify, listen_drop--> driver
 *
 * Shape: `down` is called once for each `up`. Whatever changes in the source later than `up` is
 * heard. It connects again by itself. There are two kinds:
 *   told by the source   its owner sends it heartbeats with listen_notify; while it is down it
 *                        hears nothing, so each `up` after the first follows a gap
 *   polls                looks by itself, and has a position in what the source keeps. It goes on
 *                        from there after a cut, and from a text of it after a restart: what
 *                        changed meanwhile is notified before `up`, which then says `resumed`
 * Thread: one loop's. Limits: the driver's, such as connect_timeout and reconnect_*.
 */
#ifndef RTCACHE_BACKEND_LISTEN_H
#define RTCACHE_BACKEND_LISTEN_H

#include "backend/identity.h"
#include "base/buf.h"

#define LISTEN_MISSED 48 /* bytes of what was missed, as a text, its NUL included */

struct listen_up {
    const struct identity *identity; /* borrowed */
    /* A text that changes when the source could not tell of a change; "" where none can say so.
     * Borrowed. */
    const char *missed;
    /* It polls, and nothing was missed since it was up last, or since `from`: the history of the
     * source is the one it was, and all of it that came since was notified. */
    bool resumed;
    bool polls; /* no heartbeats are due to it */
};

/* What a notification of ours that was sent told beside; or a poll, now and then. */
struct listen_beat {
    const char *missed; /* as for up; borrowed */
    bool held;          /* asked for, and a transaction that has moved it is not over */
    uint64_t wal_end;   /* 0: unknown */
    int64_t lag_ms;     /* how long a change may have waited until the poll; -1: it is no poll */
};

struct listen_events {
    void (*up)(void *arg, const struct listen_up *up);
    void (*notified)(void *arg, struct slice payload);
    void (*beaten)(void *arg, const struct listen_beat *beat);
    /* listen_position would say something else now; all before it was notified. */
    void (*moved)(void *arg);
    void (*down)(void *arg, const char *why);
    void *arg;
    /* What listen_position said in another life, to go on from; NULL: from now on. Borrowed until
     * the listen is made. What is no such text means NULL. */
    const char *from;
};

struct listen;

struct listen_ops {
    void (*free)(struct listen *l);
    bool (*notify)(struct listen *l, const char *payload, bool ask_held);
    void (*drop)(struct listen *l, const char *why);
    bool (*position)(const struct listen *l, struct buf *out); /* NULL: it has none */
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

/* Whether it may say where it is. */
static inline bool listen_has_positions(const struct listen *l)
{
    return l->ops->position != NULL;
}

/* Appends a line of text: where it goes on from. All that was committed before it was notified.
 * false: it was never up, has no such thing, or there is no memory; out may hold a part then. */
static inline bool listen_position(const struct listen *l, struct buf *out)
{
    return l->ops->position && l->ops->position(l, out);
}

#endif
