#include "cli/client.h"

#include "base/clock.h"
#include "sys/addr.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_SIZE 65536

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    if (c->has_tls)
        client_tls_fini(&c->tls);
    buf_fini(&c->in);
}

void client_replies_free(struct client_reply *replies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(replies[i].data);
}

static int keep(struct client_reply *reply, const struct rpc_answer *answer, struct err *e)
{
    struct slice s = answer->failed ? answer->error : answer->result;

    reply->data = malloc(s.size);
    if (!reply->data)
        return err_set(e, ERR_NOMEM, "no memory for an answer of %zu bytes", s.size);
    memcpy(reply->data, s.data, s.size);
    reply->size = s.size;
    reply->failed = answer->failed;
    reply->arrived = true;
    return 0;
}

/* One answer to its place; *missing counts down. */
static int take_answer(const struct rpc_answer *answer, struct client_reply *replies, size_t count,
                       size_t *missing, struct err *e)
{
    bool for_all = answer->failed && answer->msgid == 0;

    if (!for_all && (answer->msgid == 0 || answer->msgid > count))
        return err_set(e, ERR_PROTOCOL, "an answer to request %u, which was not sent",
                       answer->msgid);
    size_t first = for_all ? 0 : answer->msgid - 1;
    size_t end = for_all ? count : answer->msgid;
    for (size_t i = first; i < end; i++) {
        if (replies[i].arrived && !for_all)
            return err_set(e, ERR_PROTOCOL, "a second answer to request %u", answer->msgid);
        if (replies[i].arrived)
            continue;
        int rc = keep(&replies[i], answer, e);
        if (rc != 0)
            return rc;
        (*missing)--;
    }
    return 0;
}

static int take_answers(struct client *c, struct client_reply *replies, size_t count,
                        size_t *missing, struct err *e)
{
    const struct rpc_limits limits = {.max_frame = CLIENT_MAX_FRAME};
    size_t at = 0;

    while (*missing > 0 && at < c->in.size) {
        struct rpc_answer answer;
        size_t used;
        struct slice rest = slice_of(c->in.data + at, c->in.size - at);
        int rc = rpc_answer_next(&c->scan, rest, &limits, &answer, &used, e);
        if (rc == RPC_MORE)
            break;
        if (rc == RPC_MESSAGE)
            rc = take_answer(&answer, replies, count, missing, e);
        if (rc < 0)
            return rc;
        at += used;
    }
    buf_consume(&c->in, at);
    return 0;
}

static int read_sealed(struct client *c, struct err *e)
{
    char room[READ_SIZE];
    ssize_t n = recv(c->fd, room, sizeof room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return err_set(e, ERR_IO, "connection lost: %s", strerror(errno));
    int rc = n > 0 ? client_tls_take(&c->tls, slice_of(room, (size_t)n), &c->in, e) : 1;
    return rc > 0 ? err_set(e, ERR_IO, "the server closed the connection") : rc;
}

static int read_some(struct client *c, struct err *e)
{
    if (c->has_tls)
        return read_sealed(c, e);
    char *room = buf_room(&c->in, READ_SIZE);
    if (!room)
        return err_set(e, ERR_NOMEM, "no memory to read an answer");
    ssize_t n = recv(c->fd, room, READ_SIZE, 0);
    if (n == 0)
        return err_set(e, ERR_IO, "the server closed the connection");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return err_set(e, ERR_IO, "connection lost: %s", strerror(errno));
    if (n > 0)
        c->in.size += (size_t)n;
    return 0;
}

/* A server that refuses a request may stop reading it: its answer is read all the same. */
static void send_some(struct client *c, struct slice *rest)
{
    if (c->has_tls) {
        if (client_tls_send(&c->tls, c->fd, rest) != 0) {
            rest->size = 0;
            buf_clear(&c->tls.sealed);
        }
        return;
    }
    ssize_t n = send(c->fd, rest->data, rest->size, MSG_NOSIGNAL);
    if (n > 0)
        *rest = slice_of(rest->data + n, rest->size - (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        rest->size = 0;
}

static int wait_ready(struct client *c, bool sending, short *ready, struct err *e)
{
    struct pollfd p = {.fd = c->fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0))};
    int64_t left = c->deadline_ms - clock_ms();
    int n = left > 0 ? poll(&p, 1, (int)left) : 0;

    *ready = p.revents;
    if (n < 0 && errno != EINTR)
        return err_set(e, ERR_IO, "cannot wait for the server: %s", strerror(errno));
    if (n == 0 && c->deadline_ms <= clock_ms())
        return err_set(e, ERR_TIMEOUT, "no answer within %lld ms", (long long)c->timeout_ms);
    return 0;
}

static int shake_hands(struct client *c, struct err *e)
{
    struct slice nothing = slice_of(NULL, 0);
    int rc = client_tls_take(&c->tls, nothing, &c->in, e);
    while (rc == 0 && !(tls_established(c->tls.session) && c->tls.sealed.size == 0)) {
        short ready = 0;
        rc = wait_ready(c, c->tls.sealed.size > 0, &ready, e);
        if (rc == 0 && (ready & POLLOUT) && client_tls_send(&c->tls, c->fd, &nothing) != 0)
            rc = err_set(e, ERR_IO, "connection lost: %s", strerror(errno));
        if (rc == 0 && (ready & (POLLIN | POLLHUP | POLLERR)))
            rc = read_some(c, e);
    }
    return rc;
}

int client_open(struct client *c, const struct client_options *o, struct err *e)
{
    struct addrs found;

    *c = (struct client){.fd = -1, .timeout_ms = o->timeout_ms};
    c->deadline_ms = clock_ms() + o->timeout_ms;
    buf_init(&c->in, CLIENT_MAX_FRAME + READ_SIZE);
    int rc = addr_resolve(&found, o->address, e);
    if (rc == 0 && found.at[0].tls) {
        c->has_tls = true;
        rc = client_tls_init(&c->tls, &o->tls, found.at[0].host, e);
    }
    if (rc == 0)
        rc = addr_connect(&found, (int)o->timeout_ms, &c->fd, e);
    if (rc == 0 && fd_set_nonblocking(c->fd) != 0)
        rc = err_set(e, ERR_IO, "cannot use the socket: %s", strerror(errno));
    if (rc == 0 && c->has_tls)
        rc = shake_hands(c, e);
    if (rc != 0)
        client_close(c);
    return rc;
}

int client_exchange(struct client *c, struct slice requests, struct client_reply *replies,
                    size_t count, struct err *e)
{
    struct slice rest = requests;
    size_t missing = count;

    while (missing > 0) {
        short ready = 0;
        bool sending = rest.size > 0 || c->tls.sealed.size > 0;
        int rc = wait_ready(c, sending, &ready, e);
        if (rc == 0 && (ready & POLLOUT) && sending)
            send_some(c, &rest);
        if (rc == 0 && (ready & (POLLIN | POLLHUP | POLLERR)))
            rc = read_some(c, e);
        if (rc == 0)
            rc = take_answers(c, replies, count, &missing, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}
