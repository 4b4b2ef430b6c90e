#include "client.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEY_MAX 64

static int connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        errx(2, "%s: too long", path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        err(2, "cannot connect to %s", path);
    return fd;
}

static int connect_tcp(const char *address)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host)
        errx(2, "%s: not host:port", address);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        errx(2, "%s: not a numeric address", host);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        err(2, "cannot connect to %s", address);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void *must_have(void *memory)
{
    if (!memory)
        err(2, "memory");
    return memory;
}

static void give_back(struct client *c, unsigned slot)
{
    c->free[(c->free_first + c->free_count) % c->work->depth] = slot;
    c->free_count++;
}

void client_init(struct client *c, struct workload *w, const char *address)
{
    size_t request = PROTOCOL_REQUEST_MAX + w->many * (size_t)(KEY_MAX + PROTOCOL_KEY_MAX) +
                     (w->sets > 0 ? w->value.len : 0);
    *c = (struct client){
        .work = w,
        .fd = strchr(address, '/') ? connect_unix(address) : connect_tcp(address),
        .greeting = w->protocol->greeting,
        .in_room = 65536 + (size_t)w->depth * w->many * (256 + w->value.len),
        .out_room = w->depth * request,
    };
    c->in = must_have(malloc(c->in_room));
    c->out = must_have(malloc(c->out_room));
    c->slots = must_have(calloc(w->depth, sizeof *c->slots));
    c->free = must_have(calloc(w->depth, sizeof *c->free));
    for (unsigned slot = 0; slot < w->depth; slot++)
        give_back(c, slot);
}

void client_fini(struct client *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c->slots);
    free(c->free);
}

/* The prefix and seven digits. */
static size_t write_key(char *name, const char *prefix, unsigned number)
{
    size_t len = strlen(prefix) + 7;
    memcpy(name, prefix, len - 7);
    for (char *digit = name + len; digit-- > name + len - 7; number /= 10)
        *digit = (char)('0' + number % 10);
    return len;
}

static void put_request(struct client *c, unsigned slot, uint64_t since_ns)
{
    struct workload *w = c->work;
    bool is_set = w->sets > 0 && (w->sets >= 1 || pick_chance(&w->pick) < w->sets);
    unsigned count = is_set ? 1 : w->many;
    char names[CLIENT_MANY_MAX][KEY_MAX];
    struct text keys[CLIENT_MANY_MAX];
    for (unsigned i = 0; i < count; i++)
        keys[i] = (struct text){names[i], write_key(names[i], w->prefix, pick_key(&w->pick))};
    w->started++;
    char *out = c->out + c->out_len;
    c->out_len += is_set ? w->protocol->put_set(out, slot, keys[0], w->value)
                         : w->protocol->put_get(out, slot, keys, count);
    c->slots[slot] = (struct slot){.since_ns = since_ns, .is_set = is_set};
}

void client_on_writable(struct client *c)
{
    while (c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            err(2, "the server broke the connection");
        c->wants_write = n < 0;
        if (n < 0)
            break;
        c->out_sent += (size_t)n;
    }
    memmove(c->out, c->out + c->out_sent, c->out_len - c->out_sent);
    c->out_len -= c->out_sent;
    c->out_sent = 0;
}

bool client_ask(struct client *c, uint64_t since_ns)
{
    if (!c->free_count || c->work->started == c->work->limit)
        return false;
    unsigned slot = c->free[c->free_first];
    c->free_first = (c->free_first + 1) % c->work->depth;
    c->free_count--;
    put_request(c, slot, since_ns);
    return true;
}

void client_start(struct client *c, uint64_t now_ns)
{
    while (client_ask(c, now_ns))
        ;
    client_on_writable(c);
}

static void take_answer(struct client *c, const struct answer *a, uint64_t now_ns)
{
    struct workload *w = c->work;
    if (!a->ok)
        errx(2, "the server answered with an error: %.200s", c->in);
    unsigned slot = a->has_id ? a->id : c->oldest;
    if (slot >= w->depth || c->free_count == w->depth)
        errx(2, "an answer to nothing: id %u", slot);
    if (!c->slots[slot].is_set && (a->values < w->many || a->bytes < w->many * w->value.len))
        errx(2, "%u values of %zu bytes in all, not %u of %zu each: %.200s", a->values, a->bytes,
             w->many, w->value.len, c->in);
    c->oldest = (c->oldest + 1) % w->depth;
    w->ended++;
    histogram_add(&w->latency, now_ns - c->slots[slot].since_ns);
    give_back(c, slot);
    if (w->rate <= 0)
        client_ask(c, now_ns);
}

static size_t skip_greeting(struct client *c)
{
    size_t n = c->greeting < c->in_len ? c->greeting : c->in_len;
    c->greeting -= n;
    return n;
}

void client_on_readable(struct client *c, uint64_t now_ns)
{
    ssize_t got = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        errx(2, "the server closed the connection");
    c->in_len += (size_t)got;
    size_t at = skip_greeting(c);
    while (at < c->in_len) {
        struct answer a;
        ssize_t n = c->work->protocol->take(c->in + at, c->in_len - at, &a);
        if (n < 0)
            errx(2, "not an answer of %s", c->work->protocol->name);
        if (!n)
            break;
        take_answer(c, &a, now_ns);
        at += (size_t)n;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    client_on_writable(c);
}
