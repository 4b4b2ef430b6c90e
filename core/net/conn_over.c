/* Whether a connection's time is over: it lingers, sends or reads too slowly, or has been left. */
#include "net/conn.h"
#include "net/conn_tls.h"

#include <poll.h>

bool conn_lingered(const struct conn *c, int64_t now_ms)
{
    return c->linger_until_ms != 0 && now_ms >= c->linger_until_ms;
}

bool conn_is_unread(const struct conn *c, int64_t now_ms)
{
    int64_t most_ms = c->io->snapshot->conf->output_timeout_ms;
    /* All may stand in the kernel's buffer, and the next request waits for room in there. */
    return most_ms > 0 && ev_is_active(&c->writing) && now_ms - c->sent_ms >= most_ms;
}

/* The bytes that have come of a request before its last: of a frame, and of a record of TLS. */
static size_t conn_unfinished(const struct conn *c)
{
    return c->in.size + (c->tls ? conn_tls_unread(c) : 0);
}

bool conn_is_slow(struct conn *c, int64_t now_ms)
{
    const struct conf *conf = c->io->snapshot->conf;
    size_t unfinished = conn_unfinished(c);
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

bool conn_has_left(const struct conn *c)
{
    struct pollfd p = {.fd = c->reading.fd};
    return c->broken || (poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)));
}

bool conn_is_deserted(const struct conn *c)
{
    return c->full && conn_unread(c) == 0 && conn_has_left(c);
}
