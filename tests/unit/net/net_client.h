/*
 * net_client: clients of a net_world, on socket pairs. What they send and hear is written as JSON.
 *
 *   hears(w, a, "set [\"k\", 1]", "true");
 *   hears(w, a, "get [\"\"]", "BAD_KEY get: the key is empty");
 */
#ifndef RTCACHE_TESTS_NET_CLIENT_H
#define RTCACHE_TESTS_NET_CLIENT_H

#include "net_world.h"

struct client {
    int fd;
    struct conn *conn; /* while it is there */
    struct buf in;
    uint32_t last; /* message id */
    ev_io hearing; /* it wakes the loop */
};

static inline void client_on_hearing(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
}

static inline void client_open(struct net_world *w, struct client *c)
{
    int pair[2];
    *c = (struct client){.fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    buf_init(&c->in, 0);
    ledger_take_place(w->ledger);
    conn_open(w->io, pair[0], false, &rpc_protocol);
    c->conn = container_of(w->io->conns.prev, struct conn, link);
    c->fd = pair[1];
    ev_io_init(&c->hearing, client_on_hearing, c->fd, EV_READ);
    ev_io_start(w->io->worker.loop, &c->hearing);
}

/* The server's side of it holds but few bytes that it has not read. */
static inline void client_is_narrow(struct client *c)
{
    int bytes = 1;
    assert_int_equal(setsockopt(c->conn->reading.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes),
                     0);
    ev_io_stop(c->conn->io->worker.loop, &c->hearing);
}

/* It leaves, and the server has seen it. */
static inline void client_close(struct net_world *w, struct client *c)
{
    size_t before = ledger_connections(w->ledger);
    ev_io_stop(w->io->worker.loop, &c->hearing);
    close(c->fd);
    buf_fini(&c->in);
    if (c->conn)
        while (before > 0 && ledger_connections(w->ledger) == before)
            net_sweep(w); /* one that is not read is looked at */
    c->conn = NULL;
}

/* Sends bytes while the server takes them. */
static inline void client_write(struct net_world *w, struct client *c, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t n = send(c->fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        net_turn(w);
    }
}

/* A request, "method [params]" in JSON; "*method [...]" is a notification. Its id, or 0. */
static inline uint32_t client_pack(struct client *c, struct buf *out, const char *call)
{
    struct err e = {.text = ""};
    bool notify = call[0] == '*';
    const char *name = call + notify, *params = strchr(call, ' ');
    assert_non_null(params);
    assert_int_equal(mpw_array(out, notify ? 3 : 4) | mpw_int(out, notify ? 2 : 0), 0);
    if (!notify)
        assert_int_equal(mpw_uint(out, ++c->last), 0);
    assert_int_equal(mpw_str(out, slice_of(name, (size_t)(params - name))), 0);
    if (json_to_mp(slice_str(params + 1), out, &e) != 0)
        fail_msg("%s: %s", call, e.text);
    return notify ? 0 : c->last;
}

static inline uint32_t client_send(struct net_world *w, struct client *c, const char *call)
{
    struct buf out;
    buf_init(&out, 0);
    uint32_t id = client_pack(c, &out, call);
    client_write(w, c, out.data, out.size);
    buf_fini(&out);
    return id;
}

/* Its job, once it has one, has no slice until net_go_on. */
static inline struct job *net_hold(struct net_world *w, struct client *c)
{
    while (!c->conn->job)
        net_wait(w);
    slices_remove(&w->io->slices, &c->conn->job->work);
    return c->conn->job;
}

static inline void net_go_on(struct net_world *w, struct job *j)
{
    slices_add(&w->io->slices, &j->work);
}

/* Sends it before the loop turns. */
static inline uint32_t client_sends(struct client *c, const char *call)
{
    struct buf out;
    buf_init(&out, 0);
    uint32_t id = client_pack(c, &out, call);
    assert_int_equal(send(c->fd, out.data, out.size, MSG_NOSIGNAL), out.size);
    buf_fini(&out);
    return id;
}

/* A call with an array of so many texts, from BEGINNING1 on; tail: "" or ", OPTIONS". */
static inline const char *call_of_many(const char *method, const char *beginning, int count,
                                       const char *tail)
{
    static char rooms[2][1 << 20];
    static unsigned turn;
    char *room = rooms[turn++ % 2];
    int at = sprintf(room, "%s [[", method);
    for (int i = 1; i <= count; i++)
        at += sprintf(room + at, "%s\"%s%d\"", i > 1 ? "," : "", beginning, i);
    sprintf(room + at, "]%s]", tail);
    return room;
}

/* The size of the message that has come; 0: it is not whole. */
static inline size_t client_whole(struct client *c)
{
    struct rpc_scan scan = {0};
    struct err e;
    int rc = rpc_scan_step(&scan, buf_slice(&c->in), SIZE_MAX, &e);
    assert_true(rc >= 0);
    return rc == RPC_MESSAGE ? scan.mp.offset : 0;
}

/* Reads what is there. false: the server has closed. */
static inline bool client_read(struct client *c)
{
    static char room[1 << 16];
    ssize_t n;
    while ((n = recv(c->fd, room, sizeof room, 0)) > 0)
        assert_int_equal(buf_append(&c->in, room, (size_t)n), 0);
    return n < 0 && errno == EAGAIN;
}

/* The JSON of one value of at. */
static inline void client_show(struct mp_reader *at, struct buf *out)
{
    struct slice packed;
    struct err e = {.text = ""};
    assert_int_equal(mp_take(at, &packed), MP_OK);
    if (json_from_mp(packed, out, &e) != 0)
        fail_msg("%s", e.text);
}

/* The next message: the JSON of an answer's result, or its error's text; "-> ..." is what a
 * notification has. "closed" where the server has closed. *id: of the answer. */
static inline const char *client_next(struct net_world *w, struct client *c, uint32_t *id)
{
    static struct buf shown;
    struct mp_token t, about;
    size_t size = 0;
    bool open = true;
    ev_io_start(w->io->worker.loop, &c->hearing);
    while (open && (size = client_whole(c)) == 0) {
        open = client_read(c);
        if (open && client_whole(c) == 0)
            net_wait(w);
    }
    buf_clear(&shown);
    shown.max = 0;
    if (!size && !(size = client_whole(c)))
        return "closed";
    struct mp_reader at = mp_reader_of(slice_of(c->in.data, size));
    assert_int_equal(mp_next(&at, &t) | mp_next(&at, &about), MP_OK);
    if (about.i == 2) {
        assert_int_equal(mp_next(&at, &t) | buf_append(&shown, "-> ", 3), 0);
        client_show(&at, &shown);
    } else {
        struct mp_reader before;
        assert_int_equal(mp_next(&at, &t), MP_OK);
        *id = (uint32_t)t.i;
        before = at;
        assert_int_equal(mp_next(&at, &t), MP_OK);
        if (t.type == MP_STR) {
            assert_int_equal(buf_append(&shown, t.bytes.data, t.bytes.size), 0);
        } else {
            at = t.type == MP_NIL ? at : before;
            client_show(&at, &shown);
        }
    }
    assert_int_equal(buf_append(&shown, "", 1), 0);
    buf_consume(&c->in, size);
    return shown.data;
}

/* Whether that is what was wanted, in which a '#' stands for any number. */
static inline bool client_fits(const char *want, const char *is)
{
    for (; *want; want++) {
        size_t digits = *want == '#' ? strspn(is, "-0123456789.") : *want == *is;
        if (digits == 0)
            return false;
        is += digits;
    }
    return *is == '\0';
}

/* A request and its answer, which has to be that; NULL: whatever it is. */
static inline void hears(struct net_world *w, struct client *c, const char *call, const char *want)
{
    uint32_t got = 0, id = client_send(w, c, call);
    const char *answer = client_next(w, c, &got);
    if (want && !client_fits(want, answer))
        fail_msg("%.200s: %.1000s, and not %.1000s", call, answer, want);
    assert_int_equal(got, id);
}

/* The lines logged since the last look, without their times, have to be these, debug lines and all;
 * a '#' stands for any number. NULL ends them. */
static inline void logs(struct net_world *w, const char *const *lines)
{
    char *rest = NULL, *line = strtok_r((char *)net_logged(w), "\n", &rest);
    for (; *lines && line; lines++, line = strtok_r(NULL, "\n", &rest)) {
        line += strcspn(line, " ") + 1; /* behind the time */
        if (!client_fits(*lines, line))
            fail_msg("%s, and not %s", line, *lines);
    }
    if (*lines || line)
        fail_msg("%s, and not %s", line ? line : "nothing more", *lines ? *lines : "nothing");
}

#define LOGS(w, ...) logs(w, (const char *const[]){__VA_ARGS__, NULL})

/* What comes next without a request. */
static inline void hears_next(struct net_world *w, struct client *c, const char *want)
{
    uint32_t id;
    const char *answer = client_next(w, c, &id);
    if (!client_fits(want, answer))
        fail_msg("%.1000s, and not %.1000s", answer, want);
}

/* Nothing comes, however often the loop turns. */
static inline void hears_nothing(struct net_world *w, struct client *c)
{
    for (int i = 0; i < 20; i++)
        net_turn(w);
    assert_true(client_read(c));
    assert_int_equal(client_whole(c), 0);
}

#endif
