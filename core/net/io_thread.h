/*
 * io_thread: the life of an I/O thread: its begin, what it is told, its end.
 *
 *   server --io_adopt(fd)--> conn --bytes--> its protocol --> store (hit) --> answer
 *                                                 `--> flights (miss) --> park --> loader thread
 *
 * Thread: new, start, join, free: the main thread; adopt, change, drain, stop: any.
 * Limits: max_connections in all, and per connection max_parked, idle_timeout, and those of conn.h,
 * conn_tls.h and auth.h.
 */
#ifndef RTCACHE_NET_IO_THREAD_H
#define RTCACHE_NET_IO_THREAD_H

#include "net/io.h"
#include "net/protocol.h"

int io_new(struct io **out, const struct io_options *o, struct err *e) MUST_USE;
int io_start(struct io *io, struct err *e) MUST_USE;

/* fd is handed over, with its place in the ledger; it is closed where there is no memory. tls: it
 * is to speak TLS. protocol: what it speaks, static. */
void io_adopt(struct io *io, int fd, bool tls, const struct protocol *protocol);

/* A step of a reload: snapshot becomes current (a reference is taken); message comes back as
 * answered. */
struct io_change {
    struct message message;
    struct io *io;
    struct snapshot *snapshot;
    struct mailbox *answer_to;
    void (*answered)(struct message *m, void *owner);
};
void io_change(struct io *io, struct io_change *c);

/* Requests that come are refused; `drained` is sent to control when nothing is parked any more, and
 * all connections are closed. */
void io_drain(struct io *io, struct message *drained);
void io_stop(struct io *io);
void io_join(struct io *io);
void io_free(struct io *io); /* NULL is allowed */

#endif
