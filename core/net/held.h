/*
 * held: what each connection holds is written down (ledger.h), and who holds too much is paused or
 * closed (shed.h).
 *
 * Thread: the connection's. Limits: client_memory, over all I/O threads. It is passed by what the
 * threads take at the same moment, one allocation each, and by small ones until the turn ends.
 */
#ifndef RTCACHE_NET_HELD_H
#define RTCACHE_NET_HELD_H

#include "net/conn.h"

/* An estimate of what OpenSSL keeps for an idle connection, and conn_tls beside it. */
#define HELD_TLS_BYTES ((size_t)48 * 1024)

void held_init(struct io *io);
void held_stop(struct io *io);
/* Once in a while: whether the other threads have come near the limit. */
void held_sweep(struct io *io);

/* false: there is no room for another connection. */
bool held_open(struct conn *c, bool tls);
/* It is closing; what it was parked with is given back when that is freed. */
void held_close(struct conn *c);

/* Its buffers have grown or shrunk. */
void held_settle_buffers(struct conn *c);
static inline void held_settle(struct conn *c)
{
    if (__builtin_expect((c->in.capacity ^ c->held_in) |
                             ((c->out.capacity + c->sealed.capacity) ^ c->held_out) |
                             (c->values.outside ^ c->held_outside),
                         0))
        held_settle_buffers(c);
}

/* Memory that is held for a connection; c NULL: it has left, and what was its is a part by now
 * (held_part, held_orphan). Adding may pause or cut connections.
 */
void held_add(struct io *io, struct conn *c, enum ledger_kind kind, size_t bytes);
void held_take(struct io *io, struct conn *c, enum ledger_kind kind, size_t bytes);
/* Of what c holds so much goes on without it (LEDGER_WRITES, LEDGER_AUTHS). */
void held_orphan(struct conn *c, size_t bytes);
/* So much is given back in slices from now on. */
void held_part(struct conn *c, size_t bytes);

/* Whether so many more bytes may be taken; conn_make_room where others may be closed for them. */
bool held_admits(const struct io *io, size_t bytes);
/* c, whose client sends no more, is read to its end, whatever is held. */
void held_read_on(struct conn *c);
/* It is cut, for there was no room. */
void held_refuse(struct conn *c);
/* What is said where a request is refused for it: ERR_OVERLOADED. */
int held_refusal(const struct io *io, const char *what, struct err *e);

#endif
