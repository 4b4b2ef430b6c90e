#include "net/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"
#include "net/commands.h"
#include "net/held.h"
#include "net/subscribe.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- who is there ---- */

int64_t auth_peer_uid(int fd)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof sa;
    struct ucred cred;
    socklen_t cred_size = sizeof cred;
    if (getsockname(fd, (struct sockaddr *)&sa, &size) != 0 || sa.ss_family != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_size) != 0)
        return -1;
    return cred.uid;
}

static void read_peer(int fd, struct auth_request *r)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof sa;
    (void)getpeername(fd, (struct sockaddr *)&sa, &size);
    auth_peer_of(&r->peer, &sa, auth_peer_uid(fd));
}

void auth_conn_opened(struct conn *c)
{
    c->opened_ms = clock_ms();
    const struct conf *conf = c->io->snapshot->conf;
    session_begin(&c->session, conf, conf->user_count > 0 ? auth_peer_uid(c->reading.fd) : -1);
}

bool auth_is_overdue(const struct conn *c, int64_t now_ms)
{
    return !c->session.known && c->state < CONN_FINISHING &&
           now_ms - c->opened_ms >= c->io->snapshot->conf->auth_timeout_ms;
}

/* ---- the method ---- */

int auth_params(struct params *p, struct slice *name, struct slice *password, struct err *e)
{
    struct slice packed[2];
    struct mp_token t;
    for (int i = 0; i < 2; i++) {
        int rc = params_raw(p, &packed[i], e);
        if (rc != 0)
            return rc;
        struct mp_reader one = mp_reader_of(packed[i]);
        bool text = mp_next(&one, &t) == MP_OK && (t.type == MP_STR || t.type == MP_BIN);
        size_t most = i == 0 ? CONF_NAME_MAX : AUTH_PASSWORD_MAX;
        if (!text || t.bytes.size == 0 || t.bytes.size > most)
            return err_set(e, ERR_BAD_REQUEST, "%s: the %s is a str of 1 to %zu bytes", p->method,
                           i == 0 ? "name" : "password", most);
        *(i == 0 ? name : password) = t.bytes;
    }
    return 0;
}

void auth_request_answer(struct auth_request *r, int rc)
{
    sodium_memzero(r->password, sizeof r->password);
    r->rc = rc;
    r->message.recv = r->answered;
    mailbox_send(r->answer_to, &r->message);
}

/* What an attempt takes here and, about, with the main thread. */
#define HELD_BYTES (sizeof(struct auth_request) + 2048)

/* The connection hears no more of it. */
static void let_go(struct conn *c)
{
    c->auth->conn = NULL;
    c->auth = NULL;
    held_orphan(c, HELD_BYTES);
}

static void auth_free(struct io *io, struct auth_request *r)
{
    sodium_memzero(r, sizeof *r);
    free(r);
    held_take(io, NULL, LEDGER_AUTHS, HELD_BYTES);
    ticket_close(io);
}

/* It has been taken out of the queue, or its answer has come before this. */
static void auth_recv_heard(struct message *m, void *owner)
{
    struct auth_request *r = container_of(m, struct auth_request, left);
    r->asked = false;
    if (r->over)
        auth_free(owner, r);
}

static void auth_client_left(struct ticket *t, struct conn *c)
{
    struct auth_request *r = container_of(t, struct auth_request, ticket);
    let_go(c);
    r->asked = true;
    r->heard = auth_recv_heard;
    r->left.recv = c->io->options.recv_auth_left;
    mailbox_send(c->io->options.control, &r->left);
}

/* Who was somebody else before: what that one subscribed to, this one may not be allowed to hear.
 */
static int settle(struct auth_request *r, const struct conf *conf)
{
    struct conn *c = r->conn;
    if (r->rc != 0)
        return r->rc;
    const struct conf_user *u =
        session_user(conf, slice_of(r->name, r->name_size), r->hash, &r->err);
    if (!u)
        return r->err.code;
    if (session_is_another(&c->session, u))
        subscribe_client_left(c);
    session_become(&c->session, conf, u);
    return 0;
}

static void tell_log(const struct auth_request *r, int rc)
{
    char text[SHOW_KEY_TEXT];
    const char *user = log_q(show_key(text, slice_of(r->name, r->name_size)));
    if (rc == 0)
        log_debug("auth.ok", "address=%s user=%s", log_q(r->peer.text), user);
    else if (rc == ERR_AUTH_FAILED)
        log_warn("auth.failed", "address=%s user=%s", log_q(r->peer.text), user);
    else
        log_warn("auth.refused", "address=%s user=%s error=%s", log_q(r->peer.text), user,
                 log_q(r->err.text));
}

static void answer(struct conn *c, struct auth_request *r, int rc)
{
    const struct target t = {.io = c->io, .conn = c, .msgid = r->msgid, .notify = r->notify};
    ticket_done(&r->ticket, c);
    let_go(c);
    if (rc == 0) {
        c->session.failures = 0;
        answer_true(&t, true);
    } else {
        answer_error(&t, &r->err);
    }
    c->session.failures += rc == ERR_AUTH_FAILED;
    if (c->session.failures >= (unsigned)c->io->snapshot->conf->max_auth_failures) {
        log_warn("conn.cut", "id=%llu reason=max_auth_failures", (unsigned long long)c->id);
        metrics_inc(c->io->metrics, M_CONNECTIONS_UNKNOWN);
        conn_finish(c);
    } else {
        conn_resume(c, CONN_HALT_AUTH);
    }
}

static void auth_recv_answered(struct message *m, void *owner)
{
    struct io *io = owner;
    struct auth_request *r = container_of(m, struct auth_request, message);
    int rc = r->conn ? settle(r, io->snapshot->conf) : r->rc;
    io_read_clock(io);
    if (!r->withdrawn)
        tell_log(r, rc);
    if (r->conn)
        answer(r->conn, r, rc);
    r->over = true;
    if (!r->asked)
        auth_free(io, r);
}

static int submit(const struct target *t, struct slice name, struct slice password, struct err *e)
{
    static const struct ticket_kind kind = {
        .request = true, .owes = true, .left = auth_client_left};
    struct conn *c = t->conn;
    if (!held_admits(t->io, HELD_BYTES))
        return held_refusal(t->io, "auth", e);
    struct auth_request *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "auth: no memory");
    list_init(&r->link);
    read_peer(c->reading.fd, r);
    r->conn = c;
    r->msgid = t->msgid;
    r->notify = t->notify;
    r->failures = c->session.failures;
    memcpy(r->name, name.data, name.size);
    r->name_size = name.size;
    memcpy(r->password, password.data, password.size);
    r->password_size = password.size;
    r->answer_to = io_mailbox(t->io);
    r->answered = auth_recv_answered;
    r->message.recv = t->io->options.recv_auth;
    c->auth = r;
    ticket_open(&r->ticket, &kind, c, t->notify);
    conn_halt(c, CONN_HALT_AUTH);
    held_add(t->io, c, LEDGER_AUTHS, HELD_BYTES);
    mailbox_send(t->io->options.control, &r->message);
    return 0;
}

void auth_auth(const struct target *t, struct params *p)
{
    struct slice name = {0}, password = {0};
    struct err e;
    int rc = auth_params(p, &name, &password, &e);
    if (rc == 0 && t->io->snapshot->conf->user_count == 0) {
        answer_true(t, true); /* everybody may do everything */
        return;
    }
    if (rc == 0) {
        rc = submit(t, name, password, &e);
        /* The input's buffers are ours. */
        sodium_memzero((void *)(uintptr_t)password.data, password.size);
    }
    if (rc != 0)
        answer_error(t, &e);
}

/* ---- reloads ---- */

void auth_changed(struct io *io, const struct conf *before)
{
    const struct conf *now = io->snapshot->conf;
    list_for_each (link, &io->conns) {
        struct conn *c = container_of(link, struct conn, link);
        const struct conf_user *was = c->session.user;
        bool by_uid = now->user_count > 0 && !was;
        int64_t uid = by_uid ? auth_peer_uid(c->reading.fd) : -1;
        if (session_stays(&c->session, before, now, uid, c->subscriber != NULL))
            continue;
        log_info("conn.user_changed", "id=%llu user=%s", (unsigned long long)c->id,
                 log_q(was ? was->name : ""));
        metrics_inc(io->metrics, M_CONNECTIONS_UNKNOWN);
        conn_cut(c);
    }
}
