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
#include "wire/rpc.h"

#define CONN_OUT_PAUSE    (1024 * 1024)
#define CONN_NOBODY_PAUSE 4096 /* of one that is nobody yet */
#define CONN_LINGER_MS    1000
#define CONN_FINISH_MS    10000 /* for the last answers to be taken */

struct conn {
    struct list link;   /* io->conns */
    struct list dirty;  /* io->dirty */
    struct list parked; /* its requests */
    struct list writes; /* its puts and deletes */
    struct io *io;
    uint64_t id;
    ev_io reading, writing;
    struct buf in;        /* an incomplete frame */
    struct buf out;       /* answers not written yet, */
    struct shares shares; /* and long values that belong between its bytes */
    struct conn_tls *tls; /* conn_tls.h; NULL: it speaks plain */
    struct buf sealed;    /* of these, what TLS has made records of */
    struct rpc_scan scan;
    int64_t active_ms;
    int64_t sent_ms; /* when the client took bytes last, or there was nothing for it to take */
    size_t gathered; /* bytes of its get_manys that wait for the rest of their items */
    uint32_t parked_count;
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
 * TCP both are a FIN: there the first answer that is sent brings the reset, and until then each
 * request has its deadline. */
bool conn_has_left(const struct conn *c);
/* Whether it is full with nothing to be written, so that the loop does not look at it, and its
 * client has left. */
bool conn_is_deserted(const struct conn *c);
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
/* One of its requests is answered that had been parked. */
static inline void conn_unparked(struct conn *c)
{
    c->parked_count--;
    if (c->ended)
        conn_touch(c);
}
/* Bytes that are answered and not written yet. */
static inline size_t conn_unread(const struct conn *c)
{
    return c->out.size + c->shares.bytes + c->sealed.size;
}
/* Writes what it can; may close c. */
void conn_flush(struct conn *c);
/* No memory for an answer, or too much unread: the connection cannot be served any further. */
void conn_break(struct conn *c, const char *why);
/* The same without a word in the log; it is closed before the loop sleeps. */
void conn_cut(struct conn *c);
void conn_stop_reading(struct conn *c);
/* It is closed once what is answered has been written. */
void conn_finish(struct conn *c);
/* Where there is more for its client to read than may be: no further message is taken before. */
void conn_fill_if(struct conn *c);
/* What comes from now on is kept unread until conn_resume. */
void conn_halt(struct conn *c);
void conn_resume(struct conn *c);
/* The same, also where the thread takes no new requests: what was read already is answered. */
void conn_go_on(struct conn *c);

/* For conn_tls. Plain bytes of the client; in: borrowed until it returns. */
void conn_process(struct conn *c, struct slice in);
/* The client sends no more. One that has only closed its half (shutdown(2), `nc -N`) still gets its
 * answers; one that has left altogether is let go of, as far as that can be told. */
void conn_input_ended(struct conn *c);
/* Writes what the socket takes of b; false: the socket is gone. */
bool conn_send(struct conn *c, struct buf *b) MUST_USE;

#endif
