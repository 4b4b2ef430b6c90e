/*
 * echo: the floor of every server with one thread and epoll. It answers as many bytes as rtcache
 * does for each request of as many bytes, and does nothing else: what it costs is the kernel's
 * part.
 *
 *   bench_echo get|set PORT KEY_BYTES VALUE_BYTES MANY
 *
 * It counts bytes: requests all have one size, answers are copies of one with the request's id in
 * it. One epoll loop, level-triggered; one recv and one send for what has arrived, as in a server.
 */
#include "packed.h"
#include "text.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS   64
#define IN_ROOM  65536
#define ID_AT    3 /* in requests and answers: the head, the kind, the mark of a u32 */
#define ID_BYTES 4

struct shape {
    size_t request, answer;
    char *bytes; /* of an answer */
};

struct conn {
    int fd;
    size_t in_len, out_len, out_sent;
    char in[IN_ROOM];
    char *out;
};

static void *must_have(void *memory)
{
    if (!memory)
        err(2, "memory");
    return memory;
}

static struct shape make_shape(bool is_set, size_t key_len, size_t value_len, unsigned many)
{
    const struct protocol *p = &protocol_rtcache;
    struct text key = {must_have(calloc(1, key_len)), key_len};
    struct text value = {must_have(calloc(1, value_len)), value_len};
    struct text *keys = must_have(calloc(many, sizeof *keys));
    for (unsigned i = 0; i < many; i++)
        keys[i] = key;
    struct shape s;
    char *request =
        must_have(malloc(PROTOCOL_REQUEST_MAX + value_len + many * (key_len + PROTOCOL_KEY_MAX)));
    s.request = is_set ? p->put_set(request, 0, key, value) : p->put_get(request, 0, keys, many);
    s.bytes = must_have(malloc(PROTOCOL_REQUEST_MAX + many * (value_len + PROTOCOL_KEY_MAX)));
    char *at = put_literal(packed_put_u32(put_literal(s.bytes, "\x94\x01"), 0), "\xc0");
    if (is_set)
        at = put_literal(at, "\xc3");
    else if (many == 1)
        at = packed_put_str(at, value);
    else
        at = packed_put_array(at, many);
    for (unsigned i = 0; !is_set && many > 1 && i < many; i++)
        at = packed_put_str(put_literal(at, "\x81\xa5value"), value);
    s.answer = (size_t)(at - s.bytes);
    free(request);
    free(keys);
    free((char *)key.at);
    free((char *)value.at);
    return s;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 128))
        err(2, "port %u", port);
    return fd;
}

static void watch(int epoll, int how, int fd, uint32_t events, void *data)
{
    struct epoll_event e = {.events = events, .data.ptr = data};
    if (epoll_ctl(epoll, how, fd, &e))
        err(2, "epoll");
}

static void take_conn(int epoll, int listener, const struct shape *s)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), one = 1;
    if (fd < 0)
        err(2, "accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = must_have(malloc(sizeof *c));
    *c = (struct conn){.fd = fd};
    c->out = must_have(malloc((IN_ROOM / s->request + 1) * s->answer));
    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
}

static void drop(struct conn *c)
{
    close(c->fd);
    free(c->out);
    free(c);
}

/* While not all of it went out, nothing is read. */
static bool send_out(int epoll, struct conn *c, bool waited)
{
    ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        return false;
    c->out_sent += n > 0 ? (size_t)n : 0;
    bool waits = c->out_sent < c->out_len;
    if (!waits)
        c->out_len = c->out_sent = 0;
    if (waits != waited)
        watch(epoll, EPOLL_CTL_MOD, c->fd, waits ? EPOLLOUT : EPOLLIN, c);
    return true;
}

/* false: the connection is over. */
static bool serve(int epoll, struct conn *c, const struct shape *s)
{
    if (c->out_len)
        return send_out(epoll, c, true);
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_ROOM - c->in_len, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->in_len += (size_t)n;
    size_t at = 0;
    for (; c->in_len - at >= s->request; at += s->request) {
        char *answer = c->out + c->out_len;
        c->out_len = (size_t)(put_bytes(answer, s->bytes, s->answer) - c->out);
        put_bytes(answer + ID_AT, c->in + at + ID_AT, ID_BYTES);
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
    return !c->out_len || send_out(epoll, c, false);
}

int main(int argc, char **argv)
{
    if (argc != 6 || (strcmp(argv[1], "get") != 0 && strcmp(argv[1], "set") != 0))
        errx(2, "usage: bench_echo get|set PORT KEY_BYTES VALUE_BYTES MANY");
    struct shape s = make_shape(!strcmp(argv[1], "set"), strtoul(argv[3], NULL, 10),
                                strtoul(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
    if (s.request > IN_ROOM)
        errx(2, "requests of %zu bytes, more than %d", s.request, IN_ROOM);
    int listener = listen_on((uint16_t)strtoul(argv[2], NULL, 10));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(2, "epoll");
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    while (true) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c)
                take_conn(epoll, listener, &s);
            else if (!serve(epoll, c, &s))
                drop(c);
        }
    }
}
