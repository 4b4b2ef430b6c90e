/* A connection's input: what comes goes to its protocol; what is not whole, or may not be taken
 * yet, is kept. */
#include "net/conn.h"

#include "net/conn_tls.h"
#include "net/held.h"
#include "sys/sock.h"
#include "sys/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- plain bytes ---- */

static __attribute__((noinline)) bool keep(struct conn *c, struct slice rest)
{
    if (!buf_fits(&c->in, rest.size) && !conn_make_room(c, buf_growth(&c->in, rest.size))) {
        held_refuse(c);
        return true;
    }
    return buf_append(&c->in, rest.data, rest.size) == 0;
}

static void take_kept(struct conn *c)
{
    size_t used = c->protocol->take(c, buf_slice(&c->in));
    if (used > 0)
        conn_frame_begins(c);
    buf_consume(&c->in, used);
    if (c->in.size == 0)
        conn_drop_input(c);
}

static inline __attribute__((always_inline)) void process(struct conn *c, struct slice in)
{
    if (c->in.size == 0) {
        size_t used = c->protocol->take(c, in);
        if (__builtin_expect(used == in.size, 1))
            return;
        conn_frame_begins(c);
        if (!keep(c, slice_of(in.data + used, in.size - used)))
            conn_advance(c, CONN_BROKEN);
    } else if (keep(c, in)) {
        take_kept(c);
    } else {
        conn_advance(c, CONN_BROKEN);
    }
}

/* The client sends no more. One that has only closed its half (shutdown(2), `nc -N`) still gets its
 * answers; one that has left altogether is let go of, as far as that can be told. */
static void input_ended(struct conn *c)
{
    conn_advance(c, CONN_ENDED);
    conn_drop_input(c);
    conn_stop_reading(c);
    if (!conn_has_left(c))
        return;
    conn_advance(c, CONN_FINISHING);
    tickets_leave(c);
}

void conn_resume(struct conn *c, enum conn_halt why)
{
    c->halts &= ~(unsigned)why;
    c->active_ms = c->io->now_ms;
    c->in_turn = true;
    if (c->in.size > 0)
        take_kept(c);
    if (c->tls && conn_tls_ended(c) && !c->halts)
        input_ended(c);
    c->in_turn = false;
    conn_touch(c);
}

/* ---- the socket ---- */

/* What TLS makes of what came, a room full at a time. */
static void process_sealed(struct conn *c, struct slice wire)
{
    bool any = false;
    int answer = conn_tls_feed(c, wire) ? TLS_DATA : TLS_END;
    while (answer == TLS_DATA && c->state < CONN_FINISHING) {
        struct err e;
        struct slice plain;
        answer = conn_tls_read(c, &plain, &e);
        bool known = c->session.known;
        any |= plain.size > 0;
        if (plain.size > 0)
            process(c, plain);
        if (!known)
            explicit_bzero(c->io->plain_room, plain.size);
        if (c->state >= CONN_FINISHING)
            break;
        if (conn_tls_ended(c) && !c->halts) /* else when its auth has an answer */
            input_ended(c);
        else if (answer < 0)
            conn_tls_fail(c, e.text);
    }
    conn_tls_fed(c, wire.size, any);
}

#define LARGE_GROWTH ((size_t)1 << 20)

/* Whether its input has to grow by so much that it waits for a turn in which no other one does. */
static bool growth_waits(const struct conn *c)
{
    if (buf_growth(&c->in, IO_READ_BYTES) < LARGE_GROWTH)
        return false;
    bool waits = c->io->grown;
    c->io->grown = true;
    return waits;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct conn *c = watcher->data;
    struct io *io = c->io;
    if (c->tls && conn_tls_waits(c))
        return;
    if (__builtin_expect(c->in.size > 0, 0) && growth_waits(c))
        return;
    ssize_t n = sock_recv(watcher->fd, io->read_room, IO_READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    io_read_clock(io);
    if (__builtin_expect(c->state >= CONN_LINGERING, 0)) {
        if (n <= 0 || conn_lingered(c, io->now_ms))
            conn_close(c);
        return;
    }
    if (n <= 0) {
        if (n < 0)
            conn_advance(c, CONN_BROKEN);
        input_ended(c);
        conn_flush(c);
        return;
    }
    c->active_ms = io->now_ms;
    metrics_add(io->metrics, M_BYTES_IN, (uint64_t)n);
    bool known = c->session.known;
    c->in_turn = true;
    struct slice in = slice_of(io->read_room, (size_t)n);
    if (c->tls)
        process_sealed(c, in);
    else
        process(c, in);
    c->in_turn = false;
    if (!known)
        explicit_bzero(io->read_room, (size_t)n);
    if (__builtin_expect(journal_waits(&io->lane), 0))
        conn_touch(c); /* with all others of this turn, behind one write to the journal */
    else if (conn_unread(c) > 0 || c->state != CONN_OPEN || c->more)
        conn_flush(c);
    else
        held_settle(c);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct conn *c = watcher->data;
    io_read_clock(c->io);
    if (!(c->halts & CONN_HALT_FULL) || conn_unread(c) > 0) {
        conn_flush(c);
        return;
    }
    ev_io_stop(loop, &c->writing);
    if (conn_is_full(c))
        return; /* of what is gathered: its end brings us back */
    conn_resume(c, CONN_HALT_FULL);
}

void conn_open(struct io *io, int fd, bool tls, const struct protocol *protocol)
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
    c->protocol = protocol;
    c->id = ++io->conns_ever;
    list_init(&c->dirty);
    list_init(&c->tickets);
    list_init(&c->ready);
    list_push_back(&io->conns, &c->link);
    buf_init(&c->in, 0);
    buf_init(&c->out, 0);
    c->active_ms = clock_ms();
    ev_io_init(&c->reading, on_readable, fd, EV_READ);
    ev_io_init(&c->writing, on_writable, fd, EV_WRITE);
    c->reading.data = c->writing.data = c;
    c->protocol->opened(c);
    ev_io_start(io->worker.loop, &c->reading);
    if (!held_open(c, tls) || (tls && !conn_tls_open(c)))
        conn_close(c);
}
