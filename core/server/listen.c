/* Listening sockets: handed over by a service manager, or bound before privileges are dropped;
 * accepted from once the configuration stands. New connections go to the I/O threads in turn. */
#include "server/server.h"

#include "base/log.h"
#include "metrics/metrics.h"
#include "net/auth.h"
#include "net/protocols.h"
#include "server/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG          1024
#define ACCEPTS_PER_TURN 64

/* ---- addresses ---- */

/* Two texts may stand for one address: "localhost:7411" and "127.0.0.1:7411". */
static int check_twice(const struct addrs *all, const struct addr *a, struct err *e)
{
    for (unsigned i = 0; i < all->count; i++)
        if (addr_same(&all->at[i], a) && (addr_is_unix(a) || addr_port(a) != 0))
            return err_set(e, ERR_CONFIG, "\"%s\" and \"%s\" are the same address", all->at[i].text,
                           a->text);
    return 0;
}

/* The addresses of each text of `listen`, in its order; found has room for CONF_LISTEN_MAX. */
static int listen_resolve(const struct conf *conf, struct addrs found[], struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < conf->listen_count && rc == 0; i++) {
        rc = addr_resolve(&found[i], conf->listen[i], e);
        for (size_t k = 0; k < i && rc == 0; k++)
            for (unsigned n = 0; n < found[i].count && rc == 0; n++)
                rc = check_twice(&found[k], &found[i].at[n], e);
    }
    if (rc != 0)
        err_prefix(e, "listen");
    return rc;
}

/* This machine does not have the address. */
static bool is_missing(int rc)
{
    return rc == ERR_IO && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
}

/* Whoever reaches the address may do everything: it is not this machine's alone, and nobody has to
 * say who he is. */
static bool is_open_to_all(const struct conf *conf, const struct addr *a)
{
    bool certain = a->tls && conf->tls.client_ca; /* who the clients are */
    return !addr_is_loopback(a) && !certain && conf->user_count == 0;
}

static void warn_open(const char *address, const char *why)
{
    log_warn("listen.open", "address=%s reason=\"%s, and there are no users\"", log_q(address),
             why);
}

/* A place for one more. */
static int listener_new(struct server *s, const struct addr *a, struct listener **out,
                        struct err *e)
{
    if (s->listener_count == SERVER_LISTENERS_MAX)
        return err_set(e, ERR_CONFIG, "more than %d addresses", SERVER_LISTENERS_MAX);
    *out = &s->listeners[s->listener_count];
    **out = (struct listener){.server = s, .fd = -1, .addr = *a};
    if (is_open_to_all(s->conf, a))
        warn_open(a->text, "not loopback");
    return 0;
}

static void listener_begin(struct listener *l, const char *bound)
{
    snprintf(l->text, sizeof l->text, "%s%s", l->addr.tls ? "tls:" : "", bound);
    l->server->listener_count++;
}

/* What systemd makes of a Unix socket lets everybody in, unless SocketMode= says otherwise. */
static void look_at_mode(const struct server *s, const struct listener *l)
{
    struct stat st;
    const char *path = ((const struct sockaddr_un *)&l->addr.sa)->sun_path;
    if (addr_is_unix(&l->addr) && s->conf->user_count == 0 && path[0] != '\0' &&
        stat(path, &st) == 0 && (st.st_mode & S_IWOTH))
        warn_open(l->text, "its mode lets everybody on this machine in");
}

static void take_over(struct listener *l, const struct handed_socket *h, bool listed)
{
    l->handed = true;
    l->listed = listed;
    l->fd = h->fd;
    listener_begin(l, h->addr.text);
    look_at_mode(l->server, l);
    log_info("listen.handed", "address=%s name=%s listed=%d", log_q(l->text), log_q(h->name),
             listed);
}

/* Where the manager listens with one of its own addresses, a part of it cannot be had. */
static int explain(const struct addr *a, const struct handed *h, int rc, struct err *e)
{
    const struct handed_socket *other = errno == EADDRINUSE ? handed_of_port(h, a) : NULL;
    struct err first = *e;
    if (other)
        rc = err_set(e, rc, "%s; a socket for %s was handed over: name that address in \"listen\"",
                     first.text, other->addr.text);
    return rc;
}

static int listen_at(struct server *s, const struct addr *a, struct handed *handed, struct err *e)
{
    struct handed_socket *h;
    struct listener *l;
    char bound[sizeof l->text - sizeof "tls:"];
    int rc = listener_new(s, a, &l, e);
    if (rc == 0)
        rc = handed_take(handed, a, &h, e);
    if (rc != 0)
        return rc;
    if (h) {
        take_over(l, h, true);
        return 0;
    }
    rc = addr_is_unix(a) ? addr_listen_unix(a, BACKLOG, &s->socket_file, &l->fd, e)
                         : addr_listen(a, BACKLOG, false, &l->fd, e);
    if (rc != 0)
        return explain(a, handed, rc, e);
    addr_of_socket(l->fd, bound, sizeof bound);
    listener_begin(l, bound);
    return 0;
}

static int refuse_open(const struct addr *a, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s, which was handed over, serves everybody who can reach it; name \"users\", "
                   "or tls.client_ca for a socket with TLS, or set open_to_all = true",
                   a->text);
}

/* What was handed over and stands at no address of `listen` is served as well. */
static int listen_others(struct server *s, const struct handed *handed, struct err *e)
{
    for (unsigned i = 0; i < handed->count; i++) {
        const struct handed_socket *h = &handed->at[i];
        struct listener *l;
        if (h->taken)
            continue;
        if (h->addr.tls && !s->conf->tls.certificate)
            return err_set(e, ERR_CONFIG,
                           "%s, which was handed over as \"%.64s\", needs a group \"tls\" with "
                           "\"certificate\" and \"key\"",
                           h->addr.text, h->name);
        if (is_open_to_all(s->conf, &h->addr) && !s->conf->open_to_all)
            return refuse_open(&h->addr, e);
        int rc = listener_new(s, &h->addr, &l, e);
        if (rc != 0)
            return rc;
        take_over(l, h, false);
    }
    return 0;
}

int listen_check_reload(const struct server *s, const struct conf *conf, struct err *e)
{
    for (unsigned i = 0; i < s->listener_count; i++) {
        const struct listener *l = &s->listeners[i];
        if (l->handed && !l->listed && is_open_to_all(conf, &l->addr) && !conf->open_to_all)
            return refuse_open(&l->addr, e);
    }
    return 0;
}

static void forget_from(struct server *s, unsigned first)
{
    while (s->listener_count > first)
        close(s->listeners[--s->listener_count].fd);
}

/* The port that the kernel chose for the listener. */
static unsigned port_of(const struct listener *l)
{
    const char *colon = strrchr(l->text, ':');
    return colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

/* All addresses of one text, on one port: where it is 0 the first of them gets one, and the others
 * take the same. One that this machine does not have (IPv6 that is switched off) is left out. */
static int listen_all(struct server *s, struct addrs all, struct handed *handed, struct err *e)
{
    unsigned first = s->listener_count;
    int rc = 0;
    for (unsigned i = 0; i < all.count; i++) {
        if (s->listener_count > first)
            addr_set_port(&all.at[i], port_of(&s->listeners[first]));
        rc = listen_at(s, &all.at[i], handed, e);
        if (rc != 0 && !is_missing(rc))
            return rc;
        if (rc != 0)
            log_warn("listen.left_out", "address=%s error=%s", log_q(all.at[i].text),
                     log_q(e->text));
    }
    return s->listener_count > first ? 0 : rc;
}

/* Any of them will do but for those that cannot be had for another reason. */
static int check_all(const struct addrs *all, struct err *e)
{
    bool any = false;
    int rc = 0;
    for (unsigned i = 0; i < all->count; i++) {
        rc = addr_check(&all->at[i], e);
        if (rc != 0 && !is_missing(rc))
            return rc;
        any |= rc == 0;
    }
    return any ? 0 : rc;
}

int listen_check(const struct conf *conf, struct err *e)
{
    struct addrs found[CONF_LISTEN_MAX];
    int rc = listen_resolve(conf, found, e);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < conf->listen_count && rc == 0; i++)
        rc = check_all(&found[i], e);
    if (rc != 0)
        err_prefix(e, "listen");
    return rc;
}

/* All texts of `listen`. */
static int listen_listed(struct server *s, struct handed *handed, struct err *e)
{
    struct addrs found[CONF_LISTEN_MAX];
    int rc = listen_resolve(s->conf, found, e);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < s->conf->listen_count && rc == 0; i++) {
        unsigned first = s->listener_count;
        bool any_port = addr_port(&found[i].at[0]) == 0;
        rc = listen_all(s, found[i], handed, e);
        /* A port that was free on one family may be taken on the other. */
        for (int again = 0; rc != 0 && any_port && found[i].count > 1 && again < 16; again++) {
            forget_from(s, first);
            rc = listen_all(s, found[i], handed, e);
        }
    }
    if (rc != 0)
        err_prefix(e, "listen");
    return rc;
}

int listen_open(struct server *s, const struct account *a, struct err *e)
{
    struct handed handed;
    s->socket_file = (struct addr_file){
        .mode = s->conf->unix_bits,
        .uid = a->name ? (int64_t)a->uid : -1,
        .gid = s->conf->unix_gid >= 0 ? s->conf->unix_gid
               : a->name              ? (int64_t)a->gid
                                      : -1,
    };
    int rc = listen_check_group(s->conf, e);
    if (rc == 0)
        rc = handed_read(&handed, e);
    if (rc == 0)
        rc = listen_listed(s, &handed, e);
    if (rc == 0)
        rc = listen_others(s, &handed, e);
    return rc;
}

int listen_check_group(const struct conf *conf, struct err *e)
{
    if (conf->unix_gid < 0 || account_may_give(conf->unix_gid))
        return 0;
    return err_set(e, ERR_CONFIG,
                   "%s:%d: \"unix_group\": the user that the server runs as is not in the group "
                   "\"%.64s\", and cannot give it a socket",
                   conf->unix_file, conf->unix_line, conf->unix_group);
}

/* ---- accepting ---- */

/* An operator's, by its uid over a Unix socket. */
static bool is_operator(const struct server *s, int fd)
{
    int64_t uid = auth_peer_uid(fd);
    const struct conf_user *u = conf_user_of_uid(s->snapshot->conf, uid);
    return uid == 0 || (uid >= 0 && uid == (int64_t)geteuid()) || (u && (u->rights & RIGHT_ADMIN));
}

/* Whether there is room for fd. */
static bool admits(const struct server *s, int fd)
{
    const struct conf *conf = s->snapshot->conf;
    uint64_t now = ledger_read(&s->ledger->places), most = (uint64_t)conf->max_connections;
    if (now < most)
        return true;
    if (now >= most + (uint64_t)conf->reserved_connections || !is_operator(s, fd))
        return false;
    metrics_inc(metrics_mine(), M_CONNECTIONS_RESERVED);
    return true;
}

static void listen_on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct server *s = timer->data;
    for (unsigned i = 0; i < s->listener_count; i++)
        if (s->listeners[i].fd >= 0)
            ev_io_start(loop, &s->listeners[i].accepting);
}

/* No descriptor is left: the waiting client is refused with the spare one, then accepting pauses,
 * for the socket stays readable and the loop would spin. */
static void out_of_descriptors(struct listener *l)
{
    struct server *s = l->server;
    log_warn("listen.accept_failed", "error=%s", log_q(strerror(errno)));
    metrics_inc(metrics_mine(), M_CONNECTIONS_REFUSED);
    if (s->spare_fd >= 0) {
        close(s->spare_fd);
        int fd = accept(l->fd, NULL, NULL);
        if (fd >= 0)
            close(fd);
        s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (unsigned i = 0; i < s->listener_count; i++)
        ev_io_stop(s->loop, &s->listeners[i].accepting);
    ev_timer_init(&s->accept_pause, listen_on_pause_over, .1, 0.);
    s->accept_pause.data = s;
    ev_timer_start(s->loop, &s->accept_pause);
}

/* false: nobody waits, or nobody can be taken. */
static bool accept_one(struct listener *l)
{
    struct server *s = l->server;
    struct metrics *m = metrics_mine();
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            out_of_descriptors(l);
        return false;
    }
    if (!admits(s, fd)) {
        metrics_inc(m, M_CONNECTIONS_REFUSED);
        log_warn("listen.refused", "reason=max_connections limit=%lld",
                 (long long)s->snapshot->conf->max_connections);
        close(fd);
        return true;
    }
    ledger_take_place(s->ledger);
    metrics_inc(m, M_CONNECTIONS);
    io_adopt(s->ios[s->next_io++ % s->io_count], fd, l->addr.tls, protocol_at(&l->addr));
    return true;
}

static void listen_on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct listener *l = watcher->data;
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(l); i++) {
    }
}

void listen_start(struct server *s)
{
    for (unsigned i = 0; i < s->listener_count; i++) {
        struct listener *l = &s->listeners[i];
        ev_io_init(&l->accepting, listen_on_accept, l->fd, EV_READ);
        l->accepting.data = l;
        ev_io_start(s->loop, &l->accepting);
    }
}

/* Who is connected and waits to be accepted would be reset as the socket is closed: a server that
 * drains takes them in, and answers them as all others. */
void listen_accept_rest(struct server *s)
{
    for (unsigned i = 0; i < s->listener_count; i++) {
        struct listener *l = &s->listeners[i];
        for (int n = 0; n < BACKLOG && !l->handed && l->fd >= 0 && accept_one(l); n++) {
        }
    }
}

void listen_close(struct server *s)
{
    if (s->loop)
        ev_timer_stop(s->loop, &s->accept_pause);
    for (unsigned i = 0; i < s->listener_count; i++) {
        struct listener *l = &s->listeners[i];
        if (l->fd < 0)
            continue;
        ev_io_stop(s->loop, &l->accepting);
        if (!l->handed) /* who connects to one of the manager's waits for the next server */
            close(l->fd);
        l->fd = -1;
        if (addr_is_unix(&l->addr) && !l->handed)
            unlink(((const struct sockaddr_un *)&l->addr.sa)->sun_path);
    }
}
