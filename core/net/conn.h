/*
 * conn: one client's connection: bytes in, to its protocol, and answers out.
 *
 *   socket -> conn_in -> (conn_tls) -> protocol->take        conn_out -> (conn_tls) -> socket
 *
 *   conn_out   the socket and what is to be written to it, why nothing more is taken
 *   conn_tls   TLS between the two
 *   held       what it holds is written down
 *   conn       its turn's end, and its own
 *   conn_in    what comes          conn_over   whether its time is over
 *                                  conn_drain  the server goes down
 *
 * Each of these calls those above it in this list alone, and none of them a protocol but by its
 * table (protocol.h). Shape: an idle connection holds no buffers: it reads into the thread's room
 * and answers from a buffer that the thread lends. All messages of one read are answered with one
 * write. Long values are sent from where they lie (out_values.h). Thread: its I/O thread's. Limits:
 * max_frame, or max_frame_before_auth; frame_rate; output_timeout; a high-water mark of unread
 * bytes (io's out_pause, CONN_NOBODY_PAUSE), looked at behind each message, above which none is
 * taken; max_output, at which the connection is cut, for what loads bring that it waits for.
 */
#ifndef RTCACHE_NET_CONN_H
#define RTCACHE_NET_CONN_H

#include "net/io.h"
#include "net/out_values.h"
#include "net/protocol.h"
#include "net/ticket.h"
#include "serve/session.h"
#include "wire/rpc.h"

#define CONN_OUT_PAUSE    (1024 * 1024)
#define CONN_NOBODY_PAUSE 4096 /* of one that is nobody yet */
#define CONN_LINGER_MS    1000
#define CONN_FINISH_MS    10000 /* for the last answers to be taken */

/* How far its life is; it never goes back. */
enum conn_state {
    CONN_OPEN,
    CONN_DRAINING,  /* the server goes down: what it asks for from now on is refused */
    CONN_ENDED,     /* the client sends no more: closed when all it asked for is answered */
    CONN_FINISHING, /* closed when what is answered has been written */
    CONN_LINGERING, /* that too, but what is wrong is said first: the client's unread bytes would
                     * reset it away, so they are read for a while */
    CONN_BROKEN,    /* closed at the next safe point */
};

/* Why no further message is taken; as long as there is any. */
enum conn_halt {
    CONN_HALT_FULL = 1, /* the client has to read before more is answered */
    CONN_HALT_AUTH = 2, /* who it is is being found out */
    CONN_HALT_JOB = 4,  /* a request goes on in slices */
    CONN_HALT_TURN = 8, /* its protocol answers one request after the other */
    CONN_HALT_END = 16, /* CONN_LINGERING or CONN_BROKEN */
};

struct conn {
    struct list link;    /* io->conns */
    struct list dirty;   /* io->dirty */
    struct list tickets; /* what is done for it */
    struct list ready;   /* its get_manys whose large answers wait until all before them is sent */
    struct io *io;
    const struct protocol *protocol;
    uint64_t id;
    enum conn_state state;
    unsigned halts; /* of enum conn_halt: what is sent meanwhile is kept unread */
    ev_io reading, writing;
    struct buf in;            /* an incomplete frame */
    struct buf out;           /* answers not written yet, */
    size_t out_sent;          /* but for so many bytes, which are not taken out yet */
    struct out_values values; /* and long values that belong between its bytes */
    struct conn_tls *tls;     /* conn_tls.h; NULL: it speaks plain */
    struct buf sealed;        /* of these, what TLS has made records of */
    struct rpc_scan scan;     /* the protocol's */
    int64_t active_ms;
    int64_t sent_ms; /* when the client took bytes last, or there was nothing for it to take */
    struct shed_member member;
    size_t held_in, held_out, held_outside, held_own; /* as they were written down; net/held.h */
    size_t shed_bytes;                                /* where it was cut for what it holds */
    size_t gathered;           /* bytes of its get_manys that wait for the rest of their items */
    uint32_t parked_count;     /* its requests that are not answered yet, */
    uint32_t owed;             /* and those of them whose answer is sent: no notifications */
    struct session session;    /* who it is, of io's snapshot */
    struct auth_request *auth; /* in the air; NULL: none */
    struct job *job;           /* a request that goes on in slices; NULL: none */
    int64_t opened_ms;
    int64_t frame_ms;   /* since when a frame is incomplete, or its rate was looked at last */
    size_t frame_bytes; /* that were there of it then */
    struct subscriber *subscriber; /* serve/subscriptions.h; NULL before the first subscribe */
    int64_t linger_until_ms;
    int64_t
        done_ms; /* since when nothing is pending, while the server goes down; 0: something is */
    bool errors_as_map;
    bool in_turn; /* it is being read: what is answered is written at the turn's end */
    bool ahead;   /* the first byte of the next answer has been sent already; conn_over.c */
    bool more;    /* something may wait until all is sent: its protocol is asked then */
};

/* ---- conn_in ---- */

/* fd is handed over. protocol: static. */
void conn_open(struct io *io, int fd, bool tls, const struct protocol *protocol);
/* One reason less why no message is taken. What was kept is taken where there is no other. */
void conn_resume(struct conn *c, enum conn_halt why);

/* ---- conn_over ---- */

/* Whether its client has not taken a byte for output_timeout, with some there for it. */
bool conn_is_unread(const struct conn *c, int64_t now_ms);
/* Whether the loop does not look for what it sends, and its client has left, or has closed its half
 * and no answer is owed to it. Where one is owed and nothing is there to be sent, the first byte of
 * that answer is, which tells at the next look. */
bool conn_is_deserted(struct conn *c);
/* Whether the frame that it is sending comes in more slowly than frame_rate. */
bool conn_is_slow(struct conn *c, int64_t now_ms);

/* ---- conn_drain ---- */

/* The server goes down: from now on its protocol refuses what it asks for. */
void conn_drain(struct conn *c);
/* Looks at one of a server that goes down, which ends it in order where nothing is pending. true:
 * it can be closed at once. */
bool conn_drained(struct conn *c, int64_t now_ms);

/* ---- conn ---- */

/* Drops its tickets and frees it. Not from inside its protocol: conn_cut there. */
void conn_close(struct conn *c);
/* Writes what it can; may close c. */
void conn_flush(struct conn *c);
/* More has come to be sent to it outside its own turn: looked at as it grows. */
void conn_grew(struct conn *c);
/* Writes what the socket takes of all that is to be sent. false: the socket is gone. */
bool conn_write(struct conn *c) MUST_USE;
/* Whether so many more bytes may be taken (held.h), where connections of this thread that hold more
 * are closed for it. In c's own turn alone. */
bool conn_make_room(struct conn *c, size_t bytes);

/* ---- conn_out ---- */

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
    return c->out.size - c->out_sent + c->values.bytes + c->sealed.size;
}
/* Whether its time to linger is over. */
static inline bool conn_lingered(const struct conn *c, int64_t now_ms)
{
    return c->linger_until_ms != 0 && now_ms >= c->linger_until_ms;
}
/* From now on it is sending a frame, of which nothing has come. */
static inline void conn_frame_begins(struct conn *c)
{
    c->frame_ms = c->io->now_ms;
    c->frame_bytes = 0;
}
/* Its state becomes at least that. */
static inline void conn_advance(struct conn *c, enum conn_state state)
{
    if (state > c->state)
        c->state = state;
    if (state >= CONN_LINGERING)
        c->halts |= CONN_HALT_END;
}
/* No memory for an answer, or too much unread: the connection cannot be served any further. */
void conn_break(struct conn *c, const char *why);
/* That, without a word in the log; it is closed before the loop sleeps. */
void conn_cut(struct conn *c);
/* It is closed once what is answered has been written. */
void conn_finish(struct conn *c);
void conn_stop_reading(struct conn *c);
/* Reads on, unless something else keeps it. */
void conn_read_on(struct conn *c);
/* What comes from now on is kept unread until conn_resume. */
void conn_halt(struct conn *c, enum conn_halt why);
/* Whether there is more for its client to read than may be. */
bool conn_is_full(const struct conn *c);
/* Where it is: no further message is taken before it has read. */
void conn_fill_if(struct conn *c);
/* Where it is, nothing more is read from the socket; outside the protocol. */
bool conn_is_past_pause(const struct conn *c);
/* What was kept of its input is gone, wiped where it may be a password. */
void conn_drop_input(struct conn *c);
/* An empty buffer goes back to the thread, or is freed. */
static inline void conn_give_back(struct conn *c)
{
    if (!c->io->spare.data && c->out.capacity <= CONN_OUT_PAUSE) {
        c->io->spare = c->out;
        c->out = (struct buf){0};
    } else {
        buf_fini(&c->out);
    }
}
/* Whether its client has left. A Unix socket tells who has left from who has closed one half. Over
 * TCP both are a FIN, until something is sent: then who has left answers with a reset. */
bool conn_has_left(const struct conn *c);
/* Whether it sends no more, one way or the other, also where that is behind what is not read. */
bool conn_has_ended(const struct conn *c);
/* Writes what the socket takes of b, all of it or some, and takes that out; false: the socket is
 * gone. */
bool conn_send(struct conn *c, struct buf *b) MUST_USE;
/* Writes what the socket takes of its output, as it is. false: the socket is gone. */
bool conn_send_all(struct conn *c) MUST_USE;
/* Of out, so many more bytes are sent. */
void conn_out_sent(struct conn *c, size_t n);
/* The first byte of its output has been sent before. */
void conn_skip_ahead(struct conn *c);

#endif
