#include "peer.h"

#include "wire/mpw.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void must(bool ok, const char *what)
{
    if (!ok)
        errx(2, "%s", what);
}

/* ---- answers ---- */

static int64_t take_int(struct mp_reader *r)
{
    struct mp_token t;
    must(mp_next(r, &t) == MP_OK && t.type == MP_INT, "an answer without its numbers");
    return t.i;
}

static void take_message(struct peer *p, struct slice message)
{
    struct mp_reader r = mp_reader_of(message);
    struct mp_token t;
    struct slice error = {0}, result = {0};
    must(mp_next(&r, &t) == MP_OK && t.type == MP_ARRAY, "a message that is no array");
    int64_t kind = take_int(&r);
    if (kind == 2) {
        answer_notice(p->run, &r);
        return;
    }
    int64_t id = take_int(&r);
    must(kind == 1 && id >= 0 && id < PEER_DEPTH && p->slots[id].busy, "an answer to nothing");
    must(mp_take(&r, &error) == MP_OK && mp_take(&r, &result) == MP_OK, "an answer cut short");
    struct slot *slot = &p->slots[id];
    p->run->busy--;
    answer_take(p->run, slot, error, result);
    p->refused = p->refused || slot->r.code == CODE_SHUTTING_DOWN;
    slot->busy = false;
}

static void take_messages(struct peer *p)
{
    size_t at = 0;
    while (at < p->in.size) {
        struct mp_reader r = mp_reader_of(slice_of(p->in.data + at, p->in.size - at));
        struct slice message;
        int rc = mp_take(&r, &message);
        must(rc != MP_BAD, "bytes that are no MessagePack");
        if (rc == MP_MORE)
            break;
        take_message(p, message);
        at += message.size;
    }
    buf_consume(&p->in, at);
}

/* Who asked hears that nothing came; the connection waits for peer_connect. */
static void lose(struct peer *p)
{
    must(p->run->may_lose, "the server closed a connection");
    run_watch(p->run, &p->watch, 0);
    close(p->watch.fd);
    p->watch.fd = -1;
    buf_clear(&p->in);
    buf_clear(&p->out);
    for (unsigned i = 0; i < PEER_DEPTH; i++) {
        struct slot *slot = &p->slots[i];
        if (!slot->busy)
            continue;
        p->run->busy--;
        answer_lost(p->run, slot);
        slot->busy = false;
    }
}

static void on_ready(struct watch *w, uint32_t events)
{
    struct peer *p = (struct peer *)w;
    if (events & ~(uint32_t)EPOLLOUT) {
        char *room = buf_room(&p->in, 65536);
        must(room != NULL, "memory");
        ssize_t n = recv(w->fd, room, 65536, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            lose(p);
            return;
        }
        if (n > 0)
            p->in.size += (size_t)n;
        take_messages(p);
    }
    peer_fill(p);
}

/* ---- requests ---- */

struct slot *peer_claim(struct peer *p)
{
    for (unsigned i = 0; i < PEER_DEPTH && !peer_is_lost(p); i++) {
        struct slot *s = &p->slots[i];
        if (s->busy)
            continue;
        *s = (struct slot){.busy = true, .r.ttl_ms = INT32_MAX};
        p->run->busy++;
        return s;
    }
    return NULL;
}

void peer_open(struct peer *p, struct slot *slot, const char *method, uint32_t arguments)
{
    slot->r.begin_ns = run_now(p->run);
    must((mpw_array(&p->out, 4) | mpw_int(&p->out, 0) | mpw_int(&p->out, slot - p->slots) |
          mpw_cstr(&p->out, method) | mpw_array(&p->out, arguments)) == 0,
         "memory");
}

void peer_fill(struct peer *p)
{
    struct run *run = p->run;
    struct slot *slot;
    if (peer_is_lost(p))
        return;
    while (p->chooses && !p->refused && !run->quiet && run->started < run->limit &&
           (slot = peer_claim(p))) {
        run->started++;
        ask_choose(run, slot);
        ask_pack(p, slot);
    }
    peer_flush(p);
}

void peer_flush(struct peer *p)
{
    while (p->out.size > 0 && !peer_is_lost(p)) {
        ssize_t n = send(p->watch.fd, p->out.data, p->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            lose(p);
            return;
        }
        if (n < 0)
            break;
        buf_consume(&p->out, (size_t)n);
    }
    if (!peer_is_lost(p))
        run_watch(p->run, &p->watch, EPOLLIN | (p->out.size ? EPOLLOUT : 0));
}

bool peer_connect(struct peer *p)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    must(strlen(p->path) < sizeof to.sun_path, "the socket's path is too long");
    memcpy(to.sun_path, p->path, strlen(p->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0, "a socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return false;
    }
    p->watch.fd = fd;
    p->refused = false;
    run_watch(p->run, &p->watch, EPOLLIN);
    return true;
}

void peer_init(struct peer *p, struct run *run, const char *path, bool chooses)
{
    *p = (struct peer){.run = run, .chooses = chooses, .path = path, .watch.ready = on_ready};
    buf_init(&p->in, 0);
    buf_init(&p->out, 0);
    if (!peer_connect(p))
        err(2, "cannot connect to %s", path);
}

void peer_fini(struct peer *p)
{
    run_watch(p->run, &p->watch, 0);
    close(p->watch.fd);
    buf_fini(&p->in);
    buf_fini(&p->out);
}
