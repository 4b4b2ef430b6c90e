#include "net/conn.h"

#include "base/log.h"
#include "net/conn_tls.h"
#include "net/held.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void conn_close(struct conn *c)
{
    struct io *io = c->io;
    worker_owns(&io->worker);
    tickets_leave(c);
    c->protocol->closed(c);
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
    out_values_clear(&c->values);
    held_close(c);
    io_closed(io, io->metrics);
    free(c);
    tickets_drain(io);
}

static inline __attribute__((always_inline)) bool write_out(struct conn *c)
{
    return c->tls ? conn_tls_write(c) : conn_send_all(c);
}

bool conn_write(struct conn *c)
{
    return write_out(c);
}

/* After malformed bytes: closing with input unread would reset the connection, and the error that
 * was just written with it. So it is half-closed, and what still comes is thrown away until the
 * client closes, for CONN_LINGER_MS at most. */
static void linger(struct conn *c)
{
    c->linger_until_ms = c->io->now_ms + CONN_LINGER_MS;
    if (c->tls)
        conn_tls_end(c);
    if (shutdown(c->reading.fd, SHUT_WR) != 0)
        conn_close(c);
    else
        ev_io_start(c->io->worker.loop, &c->reading);
}

/* All that was to be sent is sent. */
static void drained(struct conn *c)
{
    struct ev_loop *loop = c->io->worker.loop;
    if (__builtin_expect(c->more, 0) && c->state < CONN_FINISHING && c->protocol->more(c)) {
        held_settle(c);
        conn_touch(c);
        return;
    }
    conn_give_back(c);
    if (ev_is_active(&c->writing))
        ev_io_stop(loop, &c->writing);
    held_settle(c);
    if (c->state == CONN_LINGERING) {
        linger(c);
    } else if (c->state == CONN_FINISHING || (c->state == CONN_ENDED && list_empty(&c->tickets))) {
        conn_close(c);
    } else {
        if (!ev_is_active(&c->reading))
            conn_read_on(c);
        if (c->halts & CONN_HALT_FULL) /* it goes on in a turn of its own, beside all others */
            ev_io_start(loop, &c->writing);
    }
}

void conn_flush(struct conn *c)
{
    if (!list_empty(&c->dirty))
        list_remove(&c->dirty);
    journal_flush(&c->io->lane); /* no acknowledgement leaves before what it says is in there */
    if (__builtin_expect(c->ahead, 0))
        conn_skip_ahead(c);
    if (c->state == CONN_BROKEN || !write_out(c)) {
        conn_close(c);
        return;
    }
    size_t unread = conn_unread(c);
    if (unread == 0) {
        drained(c);
        return;
    }
    if (c->state >= CONN_FINISHING && c->linger_until_ms == 0)
        c->linger_until_ms = c->io->now_ms + CONN_FINISH_MS;
    if (unread > (size_t)c->io->snapshot->conf->max_output) {
        metrics_inc(c->io->metrics, M_CONNECTIONS_CUT);
        log_warn("conn.cut", "id=%llu reason=\"unread output past max_output\" bytes=%zu",
                 (unsigned long long)c->id, unread);
        conn_close(c);
        return;
    }
    if (conn_is_past_pause(c))
        conn_stop_reading(c);
    if (!ev_is_active(&c->writing))
        c->sent_ms = c->io->now_ms;
    ev_io_start(c->io->worker.loop, &c->writing);
    held_settle(c);
}

void conn_grew(struct conn *c)
{
    if (conn_is_past_pause(c) && !c->in_turn)
        conn_flush(c);
    else
        held_settle(c);
}

#define ROOM_TRIES 8 /* connections that are closed for one that needs room */

bool conn_make_room(struct conn *c, size_t bytes)
{
    struct io *io = c->io;
    for (int i = 0; i < ROOM_TRIES && !held_admits(io, bytes); i++) {
        struct shed_member *m = shed_largest(&io->shed);
        if (m == &c->member || m->held < c->member.held + bytes)
            return false;
        struct conn *largest = container_of(m, struct conn, member);
        held_refuse(largest);
        conn_close(largest);
    }
    return held_admits(io, bytes);
}
