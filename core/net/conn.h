/*
 * conn: one client's connection: bytes in, messages to dispatch, answers out.
 *
 * Shape: an idle connection holds no buffers: it reads into the thread's room and answers from a
 * buffer that the thread lends. All messages of one read are answered with one write, and the
 * memory that their keys lead to is asked for before the first of them is looked up. Long values
 * are sent from where they lie (shares.h). Over TLS conn_tls.h stands between it and the socket.
 * Thread: its I/O thread's. Limits: max_frame, or max_frame_before_auth; frame_rate;
 * output_timeout; a high-water mark of unread bytes (io's out_pause, CONN_NOBODY_PAUSE), looked at
 * behind each message, above which none is taken; max_output, at which the connection is cut, for
 * what loads bring that it waits for.
 */
#ifndef RTCACHE_NET_CONN_H
#define RTCACHE_NET_CONN_H

#include "net/io.h"
#include "net/shares.h"
#include "net/ticket.h"
#include "wire/rpc.h"

#define CONN_OUT_PAUSE    (1024 * 1024)
#define CONN_NOBODY_PAUSE 4096 /* of one that is nobody yet */
#define CONN_LINGER_MS    1000
#define CONN_FINISH_MS    10000 /* for the last answers to be taken */

struct conn {
    struct list link;    /* io->conns */
    struct list dirty;   /* io->dirty */
    struct list tickets; /* what is done for it */
    struct list ready;   /* its get_manys whose large answers wait until all before them is sent */
    struct io *io;
    uint64_t id;
    ev_io reading, writing;
    struct buf in;        /* an incomplete frame */
    struct buf out;       /* answers not written yet, */
    size_t out_sent;      /* but for so many bytes, which are not taken out yet */
    struct shares shares; /* and long values that belong between its bytes */
    struct conn_tls *tls; /* conn_tls.h; NULL: it speaks plain */
    struct buf sealed;    /* of these, what TLS has made records of */
    struct rpc_scan scan;
    int64_t active_ms;
    int64_t sent_ms; /* when the client took bytes last, or there was nothing for it to take */
    struct shed_member member;
    size_t held_in, held_out, held_shared, held_own; /* as they were written down; net/held.h */
    size_t shed_bytes;                               /* where it was cut for what it holds */
    size_t gathered;              /* bytes of its get_manys that wait for the rest of their items */
    uint32_t parked_count;        /* its requests that are not answered yet, */
    uint32_t owed;                /* and those of them whose answer is sent: no notifications */
    unsigned may;                 /* what it may do without a further look; net/rights.h */
    const struct conf_user *user; /* of io's snapshot; NULL: nobody yet, or there are no users */
    struct auth_request *auth;    /* in the air; NULL: none */
    struct job *job;              /* a request that goes on in slices; NULL: none */
    int64_t opened_ms;
    int64_t frame_ms;   /* since when a frame is incomplete, or its rate was looked at last */
    size_t frame_bytes; /* that were there of it then */
    uint32_t auth_failures;
    struct subscriber *subscriber; /* subscriptions.h; NULL before the first subscribe */
    bool errors_as_map;
    bool in_turn; /* it is being read: what is answered is written at the turn's end */
    bool ended;   /* the client sends no more; it is closed when all it asked for is answered */
    bool finish;  /* close when out is written */
    bool linger;  /* with what is wrong said first: the client's unread bytes would reset it away */
    int64_t linger_until_ms;
    bool broken; /* close at the next safe point */
    bool halted; /* no further message is taken: it ends, its auth or its job goes on, or it is full
                  */
    bool full;   /* it has to read before more is answered: what it sent behind is kept */
    bool ahead;  /* the first byte of the next answer has been sent already; conn_over.c */
    bool known;  /* it is a user, or there are none */
};

/* fd is handed over. */
void conn_open(struct io *io, int fd, bool tls);
/* Whether its time to linger is over. */
bool conn_lingered(const struct conn *c, int64_t now_ms);
/* From now on it is sending a frame, of which nothing has come. */
void conn_frame_begins(struct conn *c);
/* Whether its client has not taken a byte for output_timeout, with some there for it. */
bool conn_is_unread(const struct conn *c, int64_t now_ms);
/* Whether its client has left. A Unix socket tells who has left from who has closed one half. Over
 * TCP both are a FIN, until something is sent: then who has left answers with a reset. */
bool conn_has_left(const struct conn *c);
/* Whether it sends no more, one way or the other, also where that is behind what is not read. */
bool conn_has_ended(const struct conn *c);
/* Whether the loop does not look for what it sends, and its client has left, or has closed its half
 * and no answer is owed to it. Where one is owed and nothing is there to be sent, the first byte of
 * that answer is, which tells at the next look. */
bool conn_is_deserted(struct conn *c);
/* The first byte of its output has been sent. */
void conn_skip_ahead(struct conn *c);
/* Whether the frame that it is sending comes in more slowly than frame_rate. */
bool conn_is_slow(struct conn *c, int64_t now_ms);
/* Drops its parked requests and frees it. Not from inside dispatch: set broken there. */
void conn_close(struct conn *c);
/* Where answers go, a buffer that the thread lends; after writing outside the connection's own turn
 * call conn_touch. */
static inline struct buf *conn_out(struct conn *c)
{
    if (__builtin_expect(!c->out.data && c->io->spare.data, 0)) {
        c->out = c->io->spare;
        c->io->spare = (struct buf){0};
    }
    return &c->out;
}
static inline void conn_touch(struct conn *c)
{
    if (!c->in_turn && list_empty(&c->dirty))
        list_push_back(&c->io->dirty, &c->dirty);
}
/* Bytes that are answered and not written yet. */
static inline size_t conn_unread(const struct conn *c)
{
    return c->out.size - c->out_sent + c->shares.bytes + c->sealed.size;
}
/* More has come to be sent to it outside its own turn: looked at as it grows. */
void conn_grew(struct conn *c);
/* Writes what it can; may close c. */
void conn_flush(struct conn *c);
/* No memory for an answer, or too much unread: the connection cannot be served any further. */
void conn_break(struct conn *c, const char *why);
/* The same without a word in the log; it is closed before the loop sleeps. */
void conn_cut(struct conn *c);
void conn_stop_reading(struct conn *c);
/* Reads on, unless something else keeps it. */
void conn_read_on(struct conn *c);
/* It is closed once what is answered has been written. */
void conn_finish(struct conn *c);
/* Where there is more for its client to read than may be: no further message is taken before. */
void conn_fill_if(struct conn *c);
/* What comes from now on is kept unread until conn_resume. */
void conn_halt(struct conn *c);
void conn_resume(struct conn *c);
/* The same, also where the thread takes no new requests: what was read already is answered. */
void conn_go_on(struct conn *c);

/* An empty buffer goes back to the thread, or is freed. */
void conn_give_back(struct conn *c);
/* For the files of conn. false: the socket is gone. */
bool conn_write(struct conn *c) MUST_USE;
/* Of out, so many more bytes are sent. */
void conn_out_sent(struct conn *c, size_t n);
void conn_on_readable(struct ev_loop *loop, ev_io *watcher, int events);
void conn_drop_input(struct conn *c);

/* For conn_tls. Plain bytes of the client; in: borrowed until it returns. */
void conn_process(struct conn *c, struct slice in);
/* The client sends no more. One that has only closed its half (shutdown(2), `nc -N`) still gets its
 * answers; one that has left altogether is let go of, as far as that can be told. */
void conn_input_ended(struct conn *c);
/* Writes what the socket takes of b, all of it or some, and takes that out; false: the socket is
 * gone. */
bool conn_send(struct conn *c, struct buf *b) MUST_USE;

#endif
