/* A connection's socket and its output, what is to become of it, and why nothing is taken. */
#include "net/conn.h"

#include "base/log.h"
#include "sys/sock.h"

#include <errno.h>
#include <poll.h>

/* ---- what is to become of it ---- */

void conn_break(struct conn *c, const char *why)
{
    if (c->state != CONN_BROKEN)
        log_warn("conn.cut", "id=%llu reason=%s", (unsigned long long)c->id, log_q(why));
    conn_cut(c);
}

void conn_cut(struct conn *c)
{
    conn_advance(c, CONN_BROKEN);
    conn_touch(c);
}

void conn_finish(struct conn *c)
{
    conn_stop_reading(c);
    conn_advance(c, CONN_LINGERING);
    conn_touch(c);
}

bool conn_has_left(const struct conn *c)
{
    struct pollfd p = {.fd = c->reading.fd};
    return c->state == CONN_BROKEN || (poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)));
}

bool conn_has_ended(const struct conn *c)
{
    struct pollfd p = {.fd = c->reading.fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1;
}

/* ---- what is taken of it ---- */

/* So much may be unread when a further message is taken: with its answer it stays below max_output,
 * as far as that is one value. */
static size_t pause_at(const struct conn *c)
{
    return c->session.known ? c->io->out_pause : CONN_NOBODY_PAUSE;
}

bool conn_is_past_pause(const struct conn *c)
{
    return conn_unread(c) > pause_at(c);
}

bool conn_is_full(const struct conn *c)
{
    return conn_unread(c) + c->gathered > pause_at(c);
}

void conn_stop_reading(struct conn *c)
{
    ev_io_stop(c->io->worker.loop, &c->reading);
}

void conn_read_on(struct conn *c)
{
    if (ev_is_active(&c->reading) || c->state > CONN_DRAINING || c->halts)
        return;
    if (!shed_is_paused(&c->member) && !conn_is_past_pause(c))
        ev_io_start(c->io->worker.loop, &c->reading);
}

void conn_halt(struct conn *c, enum conn_halt why)
{
    c->halts |= why;
    conn_stop_reading(c);
}

void conn_fill_if(struct conn *c)
{
    if ((c->halts & CONN_HALT_FULL) || !conn_is_full(c))
        return;
    metrics_inc(c->io->metrics, M_PAUSED);
    conn_halt(c, CONN_HALT_FULL);
}

/* What nobody has sent may be a password. */
void conn_drop_input(struct conn *c)
{
    if (!c->session.known && c->in.data)
        explicit_bzero(c->in.data, c->in.capacity);
    buf_fini(&c->in);
}

/* ---- out ---- */

void conn_skip_ahead(struct conn *c)
{
    if (c->out.size == 0)
        return;
    c->ahead = false;
    conn_out_sent(c, 1);
}

enum sent { SENT_SOME, SENT_FULL, SENT_FAILED };

/* What a system call said that sends. */
static inline __attribute__((always_inline)) enum sent judge_sent(struct conn *c, ssize_t n)
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
    out_values_own_consumed(&c->values, c->out_sent);
    c->out_sent = 0;
}

static bool send_out(struct conn *c)
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

static bool send_values(struct conn *c)
{
    enum sent sent = SENT_SOME;
    size_t all = 0;
    while (c->values.count > 0 && sent == SENT_SOME && all < SEND_MOST) {
        struct iovec pieces[PIECES];
        int count = out_values_pieces(&c->values, buf_slice(&c->out), c->out_sent, pieces, PIECES);
        ssize_t n = sock_send_pieces(c->reading.fd, pieces, (size_t)count);
        sent = judge_sent(c, n);
        all += n > 0 ? (size_t)n : 0;
        if (n > 0)
            conn_out_sent(c, out_values_sent(&c->values, c->out_sent, c->out.size, (size_t)n));
    }
    return sent != SENT_FAILED;
}

bool conn_send_all(struct conn *c)
{
    if (__builtin_expect(c->values.count == 0, 1))
        return send_out(c);
    return send_values(c) && (c->values.count > 0 || send_out(c));
}
