#include "net/conn.h"

#include "base/log.h"
#include "net/auth.h"
#include "net/conn_tls.h"
#include "net/dispatch.h"
#include "net/job.h"
#include "net/park.h"
#include "net/put.h"
#include "net/subscribe.h"
#include "sys/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

static _Thread_local uint64_t next_id;

static void conn_on_readable(struct ev_loop *loop, ev_io *watcher, int events);
static void conn_on_writable(struct ev_loop *loop, ev_io *watcher, int events);

void conn_open(struct io *io, int fd, bool tls)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        metrics_inc(io->metrics, M_CONNECTIONS_CLOSED);
        return;
    }
    int on = 1;
    /* Fails on a Unix socket, where there is nothing to be switched off. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->io = io;
    c->id = ++next_id;
    list_init(&c->dirty);
    list_init(&c->parked);
    list_init(&c->writes);
    list_push_back(&io->conns, &c->link);
    io->conn_count++;
    buf_init(&c->in, 0);
    buf_init(&c->out, 0);
    c->active_ms = clock_ms();
    ev_io_init(&c->reading, conn_on_readable, fd, EV_READ);
    ev_io_init(&c->writing, conn_on_writable, fd, EV_WRITE);
    c->reading.data = c->writing.data = c;
    auth_conn_opened(c);
    ev_io_start(io->worker.loop, &c->reading);
    if (tls && !conn_tls_open(c))
        conn_close(c);
}

/* What nobody has sent may be a password. */
static void conn_drop_in(struct conn *c)
{
    if (!c->known && c->in.data)
        auth_wipe(c->in.data, c->in.capacity);
    buf_fini(&c->in);
}

void conn_close(struct conn *c)
{
    struct io *io = c->io;
    auth_client_left(c);
    job_client_left(c);
    park_client_left(c);
    put_client_left(c);
    subscribe_client_left(c);
    if (c->tls)
        conn_tls_close(c);
    ev_io_stop(io->worker.loop, &c->reading);
    ev_io_stop(io->worker.loop, &c->writing);
    close(c->reading.fd);
    list_walk_passes(&io->swept, &c->link);
    list_remove(&c->link);
    list_remove(&c->dirty);
    conn_drop_in(c);
    buf_fini(&c->out);
    shares_clear(&c->shares);
    io->conn_count--;
    metrics_inc(io->metrics, M_CONNECTIONS_CLOSED);
    free(c);
}

/* ---- out ---- */

/* An empty buffer goes back to the thread, or is freed. */
static void conn_give_back(struct conn *c)
{
    if (!c->out.data)
        return;
    if (!c->io->spare.data && c->out.capacity <= CONN_OUT_PAUSE) {
        c->io->spare = c->out;
        c->out = (struct buf){0};
    } else {
        buf_fini(&c->out);
    }
}

void conn_break(struct conn *c, const char *why)
{
    if (!c->broken)
        log_warn("conn.cut", "id=%llu reason=%s", (unsigned long long)c->id, log_q(why));
    conn_cut(c);
}

void conn_cut(struct conn *c)
{
    c->broken = c->halted = true;
    conn_touch(c);
}

void conn_stop_reading(struct conn *c)
{
    ev_io_stop(c->io->worker.loop, &c->reading);
}

void conn_finish(struct conn *c)
{
    conn_stop_reading(c);
    c->finish = c->linger = c->halted = true;
    conn_touch(c);
}

enum sent { SENT_SOME, SENT_FULL, SENT_FAILED };

/* What a system call said that sends. */
static enum sent judge_sent(struct conn *c, ssize_t n)
{
    if (n > 0) {
        metrics_add(c->io->metrics, M_BYTES_OUT, (uint64_t)n);
        c->active_ms = c->sent_ms = c->io->now_ms;
        return SENT_SOME;
    }
    if (n < 0 && errno == EINTR)
        return SENT_SOME;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? SENT_FULL : SENT_FAILED;
}

bool conn_send(struct conn *c, struct buf *b)
{
    size_t done = 0;
    enum sent sent = SENT_SOME;
    while (done < b->size && sent == SENT_SOME) {
        ssize_t n = sock_send(c->reading.fd, b->data + done, b->size - done);
        sent = judge_sent(c, n);
        done += n > 0 ? (size_t)n : 0;
    }
    if (done > 0)
        buf_consume(b, done);
    return sent != SENT_FAILED;
}

#define PIECES 64 /* for one call */

static bool conn_send_shares(struct conn *c)
{
    enum sent sent = SENT_SOME;
    while (c->shares.count > 0 && sent == SENT_SOME) {
        struct iovec pieces[PIECES];
        int count = shares_pieces(&c->shares, buf_slice(&c->out), pieces, PIECES);
        ssize_t n = sock_send_pieces(c->reading.fd, pieces, (size_t)count);
        sent = judge_sent(c, n);
        if (n > 0)
            buf_consume(&c->out, shares_sent(&c->shares, c->out.size, (size_t)n));
    }
    return sent != SENT_FAILED;
}

/* true: all is written, or the socket takes no more. */
static bool conn_write(struct conn *c)
{
    if (c->tls)
        return conn_tls_write(c);
    if (__builtin_expect(c->shares.count == 0, 1))
        return conn_send(c, &c->out);
    return conn_send_shares(c) && (c->shares.count > 0 || conn_send(c, &c->out));
}

/* After malformed bytes: closing with input unread would reset the connection, and the error that
 * was just written with it. So it is half-closed, and what still comes is thrown away until the
 * client closes, for CONN_LINGER_MS at most. */
static void conn_linger(struct conn *c)
{
    c->linger_until_ms = c->io->now_ms + CONN_LINGER_MS;
    if (c->tls)
        conn_tls_end(c);
    if (shutdown(c->reading.fd, SHUT_WR) != 0)
        conn_close(c);
    else
        ev_io_start(c->io->worker.loop, &c->reading);
}

/* So much may be unread when a further message is taken: with its answer it stays below max_output,
 * as far as that is one value. */
static size_t conn_pause_at(const struct conn *c)
{
    return c->known ? c->io->out_pause : CONN_NOBODY_PAUSE;
}

static bool conn_is_full(const struct conn *c)
{
    return conn_unread(c) + c->gathered > conn_pause_at(c);
}

void conn_fill_if(struct conn *c)
{
    if (c->full || !conn_is_full(c))
        return;
    c->full = true;
    metrics_inc(c->io->metrics, M_PAUSED);
    conn_halt(c);
}

void conn_flush(struct conn *c)
{
    struct ev_loop *loop = c->io->worker.loop;
    list_remove(&c->dirty);
    if (c->broken || !conn_write(c)) {
        conn_close(c);
        return;
    }
    size_t unread = conn_unread(c);
    if (unread == 0) {
        conn_give_back(c);
        if (ev_is_active(&c->writing))
            ev_io_stop(loop, &c->writing);
        if (c->linger) {
            conn_linger(c);
        } else if (c->finish || (c->ended && c->parked_count == 0 && !c->job)) {
            conn_close(c);
        } else {
            if (!ev_is_active(&c->reading) && !c->ended && !c->io->draining && !c->halted)
                ev_io_start(loop, &c->reading);
            if (c->full) /* it goes on in a turn of its own, beside all others */
                ev_io_start(loop, &c->writing);
            telling_drained(c);
        }
        return;
    }
    if (c->finish && c->linger_until_ms == 0)
        c->linger_until_ms = c->io->now_ms + CONN_FINISH_MS;
    if (unread > (size_t)c->io->snapshot->conf->max_output) {
        metrics_inc(c->io->metrics, M_CONNECTIONS_CUT);
        log_warn("conn.cut", "id=%llu reason=\"unread output past max_output\" bytes=%zu",
                 (unsigned long long)c->id, unread);
        conn_close(c);
        return;
    }
    if (unread > conn_pause_at(c))
        conn_stop_reading(c);
    if (!ev_is_active(&c->writing))
        c->sent_ms = c->io->now_ms;
    ev_io_start(loop, &c->writing);
}

static void conn_on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct conn *c = watcher->data;
    io_read_clock(c->io);
    if (!c->full || conn_unread(c) > 0) {
        conn_flush(c);
        return;
    }
    ev_io_stop(loop, &c->writing);
    if (conn_is_full(c))
        return; /* of what is gathered: its end brings us back */
    c->full = false;
    conn_resume(c);
}

/* ---- in ---- */

static void conn_malformed(struct conn *c, uint32_t msgid, const struct err *e)
{
    metrics_inc(c->io->metrics, M_PROTOCOL_ERRORS);
    log_info("conn.malformed", "id=%llu error=%s", (unsigned long long)c->id, log_q(e->text));
    if (rpc_reply_error(conn_out(c), msgid, e, c->errors_as_map) != 0)
        c->broken = true;
    conn_finish(c);
}

#define CONN_AHEAD 16 /* messages that are looked at before the first of them is dispatched */

/* The messages of one read, or some of them. */
struct batch {
    unsigned count;
    int rc; /* RPC_MESSAGE: there may be more; or what rpc_next says of msgs[count], with e */
    struct rpc_msg msgs[CONN_AHEAD];
    size_t ends[CONN_AHEAD]; /* where they end in the input */
    struct err e;
};

static void conn_parse(struct conn *c, struct slice in, size_t at, struct batch *b)
{
    const struct conf *conf = c->io->snapshot->conf;
    struct rpc_limits limits = {
        .max_frame = (size_t)(c->known ? conf->max_frame : conf->max_frame_before_auth)};
    unsigned most = c->known ? CONN_AHEAD : 1; /* the first may change what may follow */
    b->rc = RPC_MESSAGE;
    for (b->count = 0; b->count < most; b->count++) {
        size_t used = 0;
        struct slice rest = slice_of(in.data + at, in.size - at);
        b->rc = at < in.size ? rpc_next(&c->scan, rest, &limits, &b->msgs[b->count], &used, &b->e)
                             : RPC_MORE;
        if (b->rc != RPC_MESSAGE)
            return;
        at += used;
        b->ends[b->count] = at;
    }
}

/* Dispatches the whole messages of `in`; the bytes used. */
static size_t conn_take(struct conn *c, struct slice in)
{
    size_t at = 0;
    struct batch b;
    b.rc = RPC_MESSAGE;
    while (b.rc == RPC_MESSAGE && !c->halted) {
        conn_parse(c, in, at, &b);
        if (b.count > 1)
            dispatch_ahead(c->io, b.msgs, b.count);
        unsigned done = 0;
        while (done < b.count && !c->halted) {
            dispatch(c, &b.msgs[done]);
            at = b.ends[done++];
            /* Looked at as it grows: 64 KiB of input may ask for gigabytes. */
            if (__builtin_expect(c->out.size + c->shares.bytes > CONN_NOBODY_PAUSE, 0))
                conn_fill_if(c);
        }
        if (done < b.count || (b.rc < 0 && c->halted)) {
            c->scan = (struct rpc_scan){0}; /* what follows is read again, if at all */
        } else if (b.rc < 0) {
            conn_malformed(c, b.msgs[b.count].msgid, &b.e);
            return in.size;
        }
    }
    return at;
}

static bool conn_keep(struct conn *c, struct slice rest)
{
    return rest.size == 0 || buf_append(&c->in, rest.data, rest.size) == 0;
}

void conn_frame_begins(struct conn *c)
{
    c->frame_ms = c->io->now_ms;
    c->frame_bytes = 0;
}

/* Takes what is kept. */
static void conn_take_kept(struct conn *c)
{
    size_t used = conn_take(c, buf_slice(&c->in));
    if (used > 0)
        conn_frame_begins(c);
    buf_consume(&c->in, used);
    if (c->in.size == 0)
        conn_drop_in(c);
}

void conn_halt(struct conn *c)
{
    c->halted = true;
    conn_stop_reading(c);
}

void conn_resume(struct conn *c)
{
    if (!c->io->draining)
        conn_go_on(c);
    else
        c->halted = c->broken || c->linger;
}

void conn_go_on(struct conn *c)
{
    c->halted = c->broken || c->linger; /* TLS may have failed meanwhile */
    c->active_ms = c->io->now_ms;
    c->in_turn = true;
    c->halted |= c->full;
    if (c->in.size > 0)
        conn_take_kept(c);
    if (c->tls && conn_tls_ended(c) && !c->halted)
        conn_input_ended(c);
    c->in_turn = false;
    conn_touch(c);
}

void conn_process(struct conn *c, struct slice in)
{
    if (c->in.size == 0) {
        size_t used = conn_take(c, in);
        if (used < in.size)
            conn_frame_begins(c);
        if (!conn_keep(c, slice_of(in.data + used, in.size - used)))
            c->broken = true;
    } else if (conn_keep(c, in)) {
        conn_take_kept(c);
    } else {
        c->broken = true;
    }
}

void conn_input_ended(struct conn *c)
{
    c->ended = true;
    conn_drop_in(c);
    conn_stop_reading(c);
    if (!conn_has_left(c))
        return;
    c->finish = true;
    job_client_left(c);
    park_client_left(c);
    put_client_left(c);
}

static void conn_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct conn *c = watcher->data;
    struct io *io = c->io;
    if (c->tls && conn_tls_waits(c))
        return;
    ssize_t n = sock_recv(watcher->fd, io->read_room, IO_READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    io_read_clock(io);
    if (c->linger) {
        if (n <= 0 || conn_lingered(c, io->now_ms))
            conn_close(c);
        return;
    }
    if (n <= 0) {
        if (n < 0)
            c->broken = true;
        conn_input_ended(c);
        conn_flush(c);
        return;
    }
    c->active_ms = io->now_ms;
    metrics_add(io->metrics, M_BYTES_IN, (uint64_t)n);
    bool known = c->known;
    c->in_turn = true;
    struct slice in = slice_of(io->read_room, (size_t)n);
    if (c->tls)
        conn_tls_take(c, in);
    else
        conn_process(c, in);
    c->in_turn = false;
    if (!known)
        auth_wipe(io->read_room, (size_t)n);
    if (conn_unread(c) > 0 || c->broken || c->finish || c->ended)
        conn_flush(c);
}
