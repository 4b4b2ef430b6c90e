#include "net/conn_tls.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

#define SEAL_BYTES     (64 * 1024) /* sealed at once: four records */
#define SEALS          16          /* of one connection in one turn */
#define HANDSHAKE_BYTE 0x16        /* with which a client's first record begins */

enum conn_tls_state { TLS_SHAKING, TLS_OPEN, TLS_FAILED };

struct conn_tls {
    struct tls *session;
    int64_t deadline_ms; /* of the handshake */
    enum conn_tls_state state;
    bool heard;          /* the first byte has come */
    bool ended;          /* the peer will say no more */
    size_t record_bytes; /* that have come of a record before its last */
};

/* ---- records on their way out ---- */

static struct buf *lend_sealed(struct conn *c)
{
    struct io *io = c->io;
    if (!c->sealed.data && io->spare_sealed.data) {
        c->sealed = io->spare_sealed;
        io->spare_sealed = (struct buf){0};
    }
    return &c->sealed;
}

static void give_back_sealed(struct conn *c)
{
    if (!c->sealed.data || c->sealed.size > 0)
        return;
    if (c->io->spare_sealed.data)
        buf_fini(&c->sealed);
    else
        c->io->spare_sealed = c->sealed;
    buf_init(&c->sealed, CONN_SEALED_MAX);
}

/* ---- life ---- */

static bool may_shake(const struct io *io)
{
    size_t ios = io->options.io_count;
    size_t most = ((size_t)io->snapshot->conf->tls.max_handshakes + ios - 1) / ios;
    if (io->handshake_count < most)
        return true;
    metrics_inc(io->metrics, M_TLS_REFUSED);
    log_warn("conn.tls_refused", "reason=max_handshakes in_progress=%zu", io->handshake_count);
    return false;
}

bool conn_tls_open(struct conn *c)
{
    struct io *io = c->io;
    struct err e;
    if (!io->snapshot->tls || !may_shake(io))
        return false;
    if (!io->plain_room)
        io->plain_room = malloc(IO_READ_BYTES);
    struct conn_tls *t = calloc(1, sizeof *t);
    int rc = t && io->plain_room ? tls_new(&t->session, io->snapshot->tls, NULL, &e)
                                 : err_set(&e, ERR_NOMEM, "no memory for a TLS connection");
    if (rc != 0) {
        metrics_inc(io->metrics, M_TLS_REFUSED);
        log_warn("conn.tls_refused", "reason=%s", log_q(e.text));
        free(t);
        return false;
    }
    t->deadline_ms = clock_ms() + io->snapshot->conf->tls.handshake_timeout_ms;
    buf_init(&c->sealed, CONN_SEALED_MAX);
    c->tls = t;
    io->handshake_count++;
    metrics_inc(io->metrics, M_TLS_STARTED);
    return true;
}

/* The handshake is over, one way or the other. */
static void leave_handshake(struct conn *c, enum conn_tls_state state)
{
    if (c->tls->state == TLS_SHAKING) {
        c->io->handshake_count--;
        metrics_inc(c->io->metrics, state == TLS_OPEN ? M_TLS_HANDSHAKES : M_TLS_FAILED);
    }
    c->tls->state = state;
}

void conn_tls_close(struct conn *c)
{
    if (c->state != CONN_BROKEN && c->out.size == 0 && c->sealed.size == 0)
        conn_tls_end(c);
    leave_handshake(c, TLS_FAILED);
    tls_free(c->tls->session);
    buf_fini(&c->sealed);
    free(c->tls);
    c->tls = NULL;
}

void conn_tls_end(struct conn *c)
{
    if (c->tls->state != TLS_OPEN)
        return;
    tls_end(c->tls->session, lend_sealed(c));
    if (!conn_send(c, &c->sealed))
        conn_advance(c, CONN_BROKEN);
    buf_clear(&c->sealed);
    give_back_sealed(c);
}

bool conn_tls_is_late(const struct conn *c, int64_t now_ms)
{
    if (c->tls->state != TLS_SHAKING || now_ms < c->tls->deadline_ms)
        return false;
    log_info("conn.tls_failed",
             "id=%llu error=\"the handshake took longer than handshake_timeout\"",
             (unsigned long long)c->id);
    return true;
}

bool conn_tls_ended(const struct conn *c)
{
    return c->tls->ended;
}

size_t conn_tls_unread(const struct conn *c)
{
    return c->tls->record_bytes;
}

/* ---- in ---- */

/* So much came from the peer, and all that is whole was taken: another record, where it was any. */
static void note_record(struct conn *c, size_t came, bool any)
{
    struct conn_tls *t = c->tls;
    bool within = t->state == TLS_OPEN && tls_within_record(t->session);
    bool begins = within && (any || t->record_bytes == 0);
    t->record_bytes = begins ? came : within ? t->record_bytes + came : 0;
    if (begins && c->in.size == 0)
        conn_frame_begins(c);
}

void conn_tls_fail(struct conn *c, const char *why)
{
    log_info("conn.tls_failed", "id=%llu error=%s", (unsigned long long)c->id, log_q(why));
    if (c->tls->state == TLS_OPEN)
        metrics_inc(c->io->metrics, M_PROTOCOL_ERRORS);
    leave_handshake(c, TLS_FAILED);
    tickets_leave(c);
    conn_out_sent(c, c->out.size - c->out_sent);
    conn_finish(c);
}

bool conn_tls_waits(struct conn *c)
{
    if (c->tls->state != TLS_SHAKING || c->io->shaken++ < CONN_TLS_SHAKES)
        return false;
    metrics_inc(c->io->metrics, M_TLS_PUT_OFF);
    return true;
}

bool conn_tls_feed(struct conn *c, struct slice wire)
{
    if (!c->tls->heard && wire.data[0] != HANDSHAKE_BYTE) {
        conn_tls_fail(c, "the client does not speak TLS");
        return false;
    }
    c->tls->heard = true;
    lend_sealed(c);
    tls_feed(c->tls->session, wire);
    return true;
}

int conn_tls_read(struct conn *c, struct slice *plain, struct err *e)
{
    struct conn_tls *t = c->tls;
    int answer = TLS_DATA;
    size_t filled = 0;
    while (answer == TLS_DATA && filled < IO_READ_BYTES) {
        size_t n = 0;
        answer = tls_read(t->session, &c->sealed, c->io->plain_room + filled,
                          IO_READ_BYTES - filled, &n, e);
        filled += n;
    }
    if (t->state == TLS_SHAKING && tls_established(t->session))
        leave_handshake(c, TLS_OPEN);
    t->ended |= answer == TLS_END;
    *plain = slice_of(c->io->plain_room, filled);
    return answer;
}

void conn_tls_fed(struct conn *c, size_t came, bool any)
{
    tls_feed(c->tls->session, slice_of(NULL, 0));
    note_record(c, came, any);
    give_back_sealed(c);
}

/* ---- out ---- */

bool conn_tls_write(struct conn *c)
{
    struct conn_tls *t = c->tls;
    bool ok = conn_send(c, &c->sealed);
    for (int i = 0; i < SEALS && ok && t->state == TLS_OPEN && c->sealed.size == 0 &&
                    c->out_sent < c->out.size;
         i++) {
        struct err e;
        size_t rest = c->out.size - c->out_sent, n = rest < SEAL_BYTES ? rest : SEAL_BYTES;
        struct slice plain = slice_of(c->out.data + c->out_sent, n);
        if (tls_write(t->session, lend_sealed(c), plain, &e) != 0) {
            log_warn("conn.cut", "id=%llu reason=%s", (unsigned long long)c->id, log_q(e.text));
            return false;
        }
        conn_out_sent(c, n);
        ok = conn_send(c, &c->sealed);
    }
    if (t->state == TLS_FAILED)
        conn_out_sent(c, c->out.size - c->out_sent);
    give_back_sealed(c);
    return ok;
}
