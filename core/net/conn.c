#include "net/conn.h"

#include "base/log.h"
#include "net/auth.h"
#include "net/conn_tls.h"
#include "net/held.h"
#include "net/many.h"
#include "net/subscribe.h"
#include "sys/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

static void conn_on_writable(struct ev_loop *loop, ev_io *watcher, int events);

void conn_open(struct io *io, int fd, bool tls)
{
    worker_owns(&io->worker);
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        io_closed(io, io->metrics);
        return;
    }
    int on = 1;
    /* Fails on a Unix socket, where there is nothing to be switched off. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->io = io;
    c->id = ++io->conns_ever;
    list_init(&c->dirty);
    list_init(&c->tickets);
    list_init(&c->ready);
    list_push_back(&io->conns, &c->link);
    buf_init(&c->in, 0);
    buf_init(&c->out, 0);
    c->active_ms = clock_ms();
    ev_io_init(&c->reading, conn_on_readable, fd, EV_READ);
    ev_io_init(&c->writing, conn_on_writable, fd, EV_WRITE);
    c->reading.data = c->writing.data = c;
    auth_conn_opened(c);
    ev_io_start(io->worker.loop, &c->reading);
    if (!held_open(c, tls) || (tls && !conn_tls_open(c)))
        conn_close(c);
}

void conn_close(struct conn *c)
{
    struct io *io = c->io;
    worker_owns(&io->worker);
    tickets_leave(c);
    subscribe_client_left(c);
    if (c->tls)
        conn_tls_close(c);
    ev_io_stop(io->worker.loop, &c->reading);
    ev_io_stop(io->worker.loop, &c->writing);
    close(c->reading.fd);
    list_walk_passes(&io->swept, &c->link);
    list_remove(&c->link);
    list_remove(&c->dirty);
    conn_drop_input(c);
    buf_fini(&c->out);
    shares_clear(&c->shares);
    held_close(c);
    io_closed(io, io->metrics);
    free(c);
}

/* ---- out ---- */

static inline void give_back(struct conn *c)
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

void conn_give_back(struct conn *c)
{
    give_back(c);
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

#define SEND_MOST ((size_t)2 << 20) /* of one connection in one turn, about */

/* The bytes of b from *done on, as far as the socket takes them. */
static inline bool send_from(struct conn *c, const struct buf *b, size_t *done)
{
    enum sent sent = SENT_SOME;
    size_t end = b->size - *done < SEND_MOST ? b->size : *done + SEND_MOST;
    while (*done < end && sent == SENT_SOME) {
        ssize_t n = sock_send(c->reading.fd, b->data + *done, end - *done);
        sent = judge_sent(c, n);
        *done += n > 0 ? (size_t)n : 0;
    }
    return sent != SENT_FAILED;
}

bool conn_send(struct conn *c, struct buf *b)
{
    size_t done = 0;
    bool ok = send_from(c, b, &done);
    if (done > 0)
        buf_consume(b, done);
    return ok;
}

/* They are taken out once they are half of it, so that no byte moves more than once. */
void conn_out_sent(struct conn *c, size_t n)
{
    c->out_sent += n;
    if (c->out_sent < c->out.size - c->out_sent)
        return;
    buf_consume(&c->out, c->out_sent);
    shares_own_consumed(&c->shares, c->out_sent);
    c->out_sent = 0;
}

static bool conn_send_out(struct conn *c)
{
    size_t done = c->out_sent;
    bool ok = send_from(c, &c->out, &done);
    if (__builtin_expect(done == c->out.size, 1)) {
        buf_clear(&c->out);
        c->out_sent = 0;
    } else {
        conn_out_sent(c, done - c->out_sent);
    }
    return ok;
}

#define PIECES 64 /* for one call */

static bool conn_send_shares(struct conn *c)
{
    enum sent sent = SENT_SOME;
    size_t all = 0;
    while (c->shares.count > 0 && sent == SENT_SOME && all < SEND_MOST) {
        struct iovec pieces[PIECES];
        int count = shares_pieces(&c->shares, buf_slice(&c->out), c->out_sent, pieces, PIECES);
        ssize_t n = sock_send_pieces(c->reading.fd, pieces, (size_t)count);
        sent = judge_sent(c, n);
        all += n > 0 ? (size_t)n : 0;
        if (n > 0)
            conn_out_sent(c, shares_sent(&c->shares, c->out_sent, c->out.size, (size_t)n));
    }
    return sent != SENT_FAILED;
}

/* All is written, or the socket takes no more. */
bool conn_write(struct conn *c)
{
    if (c->tls)
        return conn_tls_write(c);
    if (__builtin_expect(c->shares.count == 0, 1))
        return conn_send_out(c);
    return conn_send_shares(c) && (c->shares.count > 0 || conn_send_out(c));
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

void conn_read_on(struct conn *c)
{
    if (ev_is_active(&c->reading) || c->ended || c->halted || c->io->draining)
        return;
    if (!shed_is_paused(&c->member) && conn_unread(c) <= conn_pause_at(c))
        ev_io_start(c->io->worker.loop, &c->reading);
}

/* All that was to be sent is sent. */
static void conn_drained(struct conn *c)
{
    struct ev_loop *loop = c->io->worker.loop;
    if (__builtin_expect(!list_empty(&c->ready), 0) && !c->finish && many_send_ready(c)) {
        held_settle(c);
        conn_touch(c);
        return;
    }
    give_back(c);
    if (ev_is_active(&c->writing))
        ev_io_stop(loop, &c->writing);
    held_settle(c);
    if (c->linger) {
        conn_linger(c);
    } else if (c->finish || (c->ended && list_empty(&c->tickets))) {
        conn_close(c);
    } else {
        conn_read_on(c);
        if (c->full) /* it goes on in a turn of its own, beside all others */
            ev_io_start(loop, &c->writing);
        telling_drained(c);
    }
}

void conn_flush(struct conn *c)
{
    list_remove(&c->dirty);
    if (__builtin_expect(c->ahead, 0))
        conn_skip_ahead(c);
    if (c->broken || !conn_write(c)) {
        conn_close(c);
        return;
    }
    size_t unread = conn_unread(c);
    if (unread == 0) {
        conn_drained(c);
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
    ev_io_start(c->io->worker.loop, &c->writing);
    held_settle(c);
}

void conn_grew(struct conn *c)
{
    if (conn_unread(c) > conn_pause_at(c) && !c->in_turn)
        conn_flush(c);
    else
        held_settle(c);
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
