/* Whether a connection's time is over: it sends or reads too slowly, or has been left. */
#include "net/conn.h"
#include "net/conn_tls.h"
#include "net/held.h"

#include <poll.h>

bool conn_is_unread(const struct conn *c, int64_t now_ms)
{
    int64_t most_ms = c->io->snapshot->conf->output_timeout_ms;
    /* All may stand in the kernel's buffer, and the next request waits for room in there. */
    return most_ms > 0 && ev_is_active(&c->writing) && now_ms - c->sent_ms >= most_ms;
}

/* The bytes that have come of a request before its last: of a frame, and of a record of TLS. */
static size_t unfinished_bytes(const struct conn *c)
{
    return c->in.size + (c->tls ? conn_tls_unread(c) : 0);
}

bool conn_is_slow(struct conn *c, int64_t now_ms)
{
    const struct conf *conf = c->io->snapshot->conf;
    size_t unfinished = unfinished_bytes(c);
    if (unfinished == 0 || conf->frame_rate == 0)
        return false;
    int64_t took_ms = now_ms - c->frame_ms;
    bool looked_at = ev_is_active(&c->reading); /* else it is us who do not read */
    if (looked_at && took_ms < conf->frame_grace_ms)
        return false;
    /* A record that ends leaves fewer bytes of the frame than it had. */
    size_t came = unfinished > c->frame_bytes ? unfinished - c->frame_bytes : 0;
    c->frame_ms = now_ms;
    c->frame_bytes = unfinished;
    return looked_at && (int64_t)came < conf->frame_rate * took_ms / 1000;
}

/* Sends the first byte of the answer that is owed. A client that has closed its half has it a
 * little early; one that has left resets the connection. */
static void probe(struct conn *c)
{
    if (c->ahead || !c->protocol->first || buf_append(conn_out(c), &c->protocol->first, 1) != 0)
        return;
    if (!conn_write(c))
        conn_advance(c, CONN_BROKEN);
    c->ahead = c->out.size == 0;
    buf_clear(&c->out);
    conn_touch(c);
}

bool conn_is_deserted(struct conn *c)
{
    if (ev_is_active(&c->reading) || c->state >= CONN_FINISHING)
        return false;
    bool ended = conn_has_ended(c);
    /* Behind a full pipe no end is seen: who is paused for what it holds is asked in any case. */
    if (!ended && !shed_is_paused(&c->member))
        return false;
    if (conn_has_left(c))
        return true;
    if (ended)
        held_read_on(c);
    if (conn_unread(c) > 0)
        return false;
    if (c->owed == 0)
        return c->state == CONN_ENDED && !(c->halts & CONN_HALT_JOB);
    probe(c);
    return conn_has_left(c); /* on the same machine the reset is there at once */
}
