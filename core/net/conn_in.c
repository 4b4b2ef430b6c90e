/* A connection's input: what comes is cut into messages and dispatched; what is not whole, or may
 * not be taken yet, is kept. */
#include "net/conn.h"

#include "base/log.h"
#include "net/conn_tls.h"
#include "net/dispatch.h"
#include "net/held.h"
#include "sys/sock.h"

#include <errno.h>

/* What nobody has sent may be a password. */
void conn_drop_input(struct conn *c)
{
    if (!c->known && c->in.data)
        explicit_bzero(c->in.data, c->in.capacity);
    buf_fini(&c->in);
}

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

static __attribute__((noinline)) bool conn_keep(struct conn *c, struct slice rest)
{
    if (!buf_fits(&c->in, rest.size) && !held_make_room(c, buf_growth(&c->in, rest.size))) {
        held_refuse(c);
        return true;
    }
    return buf_append(&c->in, rest.data, rest.size) == 0;
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
        conn_drop_input(c);
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
    c->halted |= c->full || c->job || c->auth; /* whichever ends last brings us back */
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
        if (__builtin_expect(used == in.size, 1))
            return;
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
    conn_drop_input(c);
    conn_stop_reading(c);
    if (!conn_has_left(c))
        return;
    c->finish = true;
    tickets_leave(c);
}

#define LARGE_GROWTH ((size_t)1 << 20)

/* Whether its input has to grow by so much that it waits for a turn in which no other one does. */
static bool conn_growth_waits(const struct conn *c)
{
    if (buf_growth(&c->in, IO_READ_BYTES) < LARGE_GROWTH)
        return false;
    bool waits = c->io->grown;
    c->io->grown = true;
    return waits;
}

void conn_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct conn *c = watcher->data;
    struct io *io = c->io;
    if (c->tls && conn_tls_waits(c))
        return;
    if (__builtin_expect(c->in.size > 0, 0) && conn_growth_waits(c))
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
        explicit_bzero(io->read_room, (size_t)n);
    if (conn_unread(c) > 0 || c->broken || c->finish || c->ended || !list_empty(&c->ready))
        conn_flush(c);
    else
        held_settle(c);
}
