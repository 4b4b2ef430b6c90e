/*
 * io: what an I/O thread has: a loop, its connections, and the way to the rest of the server. Its
 * life is in io_thread.h.
 *
 * It runs no Lua and waits for no backend. Thread: its own, but for io_mailbox and io_closed.
 */
#ifndef RTCACHE_NET_IO_H
#define RTCACHE_NET_IO_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/rng.h"
#include "load/change.h"
#include "load/loader_thread.h"
#include "load/snapshot.h"
#include "metrics/metrics.h"
#include "serve/ledger.h"
#include "net/shed.h"
#include "net/slices.h"
#include "net/telling.h"
#include "serve/ask.h"
#include "sys/worker.h"

#define IO_READ_BYTES (64 * 1024)

/* A client's `reload`: to the main thread and back. */
struct io_reload {
    struct message message;
    struct list link; /* the main thread's */
    struct mailbox *answer_to;
    void (*answered)(struct message *m, void *owner);
    int rc;
    struct err err;
    uint64_t generation;
    size_t loaders;
    bool changed;
};

/* A client's `snapshot`: to the main thread and back. */
struct io_snapshot {
    struct message message;
    struct list link; /* the main thread's */
    struct mailbox *answer_to;
    void (*answered)(struct message *m, void *owner);
    int rc;
    struct err err;
    char file[4096]; /* its path */
    uint64_t entries, bytes;
    int64_t ms; /* how long it took */
};

struct io_options {
    unsigned index;
    unsigned io_count;
    struct store *store; /* all borrowed, and alive until io_free */
    struct flights *flights;
    const struct changes *changes;
    struct loader_thread *const *loaders;
    unsigned loader_count;
    struct ledger *ledger;
    struct keep_numbers *kept; /* NULL: there is no folder of state */
    int64_t started_ms;
    uint64_t seed;
    struct mailbox *control; /* the main thread's */
    void (*recv_reload)(struct message *m, void *owner);
    void (*recv_snapshot)(struct message *m, void *owner);
    void (*recv_auth)(struct message *m, void *owner);
    void (*recv_auth_left)(struct message *m, void *owner);
};

/* Slots of flights whose waiters are not all answered yet; park.h. */
struct deliveries {
    struct slice_work work;
    struct io *io;
    struct message *first, *last;
    bool at_once;
};

/* Requests whose client has left, on their way from their flights; park.h. */
struct departures {
    struct slice_work work;
    struct io *io;
    struct list requests;
};

struct io {
    struct worker worker;
    struct io_options options;
    struct changes changes;   /* its own: options.changes */
    struct journal_lane lane; /* what it has changed since its last answers left */
    struct snapshot *snapshot;
    struct metrics *metrics;
    struct asker asker;
    struct rng rng;
    int64_t now_ms, now_us; /* of this turn */
    struct list conns;
    size_t tickets; /* that are not closed; ticket.h */
    struct slices slices;
    struct telling telling;
    struct shed shed;
    struct ev_timer look; /* while what connections hold is near client_memory */
    size_t leaving_bytes; /* that closed connections give back in slices */
    struct deliveries deliveries;
    struct departures departures;
    struct subscriptions *subscriptions; /* NULL before the first */
    struct list dirty; /* connections with answers that were made outside their own turn */
    struct buf spare;  /* lent to the connection that is answering, so that idle ones hold none */
    struct buf sink;   /* answers nobody asked for */
    struct outbox *outboxes; /* by loader thread: flights of this turn */
    struct ev_prepare flush;
    struct ev_timer sweep; /* begins a look at all connections, for those that are idle */
    struct slice_work sweeping;
    struct list_walk swept;
    struct message begin, stop;
    bool draining;
    int64_t drain_ms;        /* since when */
    struct message *drained; /* sent to control when it has no tickets and connections any more */
    char *read_room;         /* IO_READ_BYTES */
    char *plain_room;        /* IO_READ_BYTES, for what TLS has opened; NULL before */
    struct buf spare_sealed; /* as spare, for TLS records */
    size_t handshake_count;  /* in progress */
    unsigned shaken;         /* of them, went on in this turn */
    bool grown;              /* a large input has grown in this turn, and may have been moved */
    size_t out_pause;        /* bytes unread, past which no further message of a client is taken */
    uint64_t conns_ever;     /* the id of the last connection */
};

struct mailbox *io_mailbox(struct io *io);

/* A connection that was accepted has ended: it is counted, and its place is free. Of any thread; m
 * is that thread's. */
void io_closed(struct io *io, struct metrics *m);

static inline void io_read_clock(struct io *io)
{
    worker_owns(&io->worker);
    io->now_us = clock_us();
    io->now_ms = io->now_us / 1000;
}

/* The loader thread that loads this key. */
static inline unsigned io_loader_index(const struct io *io, uint64_t hash)
{
    return hash_thread(hash, io->options.loader_count);
}

static inline struct loader_thread *io_loader(const struct io *io, uint64_t hash)
{
    return io->options.loaders[io_loader_index(io, hash)];
}

/* The loader of a key, as a read asks for it. */
static inline struct ask_loader io_loader_of(const struct io *io, struct slice key)
{
    struct ask_loader l = {.generation = io->snapshot->generation};
    l.policy = snapshot_policy(io->snapshot, key, &l.index);
    if (l.index >= 0)
        l.counters = snapshot_counters(io->snapshot, 0, (size_t)l.index);
    return l;
}

/* A verdict's flight, where it has one, goes to its loader thread before this one sleeps. */
void io_submit(struct io *io, const struct ask_verdict *v);

#endif
