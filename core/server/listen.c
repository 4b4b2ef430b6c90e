/* Listening sockets: bound before privileges are dropped, accepted from once the configuration
 * stands. New connections go to the I/O threads in turn. */
#include "server/server.h"

#include "base/log.h"
#include "metrics/metrics.h"
#include "net/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG          1024
#define ACCEPTS_PER_TURN 64

int listen_open(struct server *s, struct err *e)
{
    for (size_t i = 0; i < s->conf->listen_count; i++) {
        struct listener *l = &s->listeners[i];
        l->server = s;
        l->fd = -1;
        int rc = addr_parse(s->conf->listen[i], &l->addr, e);
        bool certain = l->addr.tls && s->conf->tls.client_ca; /* who the clients are */
        if (rc == 0 && !addr_is_loopback(&l->addr) && !certain && s->conf->user_count == 0)
            log_warn("listen.open", "address=%s reason=\"not loopback, and there are no users\"",
                     log_q(s->conf->listen[i]));
        if (rc == 0)
            rc = addr_listen(&l->addr, BACKLOG, false, &l->fd, e);
        if (rc != 0) {
            err_prefix(e, "listen");
            return rc;
        }
        size_t prefix = (size_t)snprintf(l->text, sizeof l->text, "%s", l->addr.tls ? "tls:" : "");
        addr_of_socket(l->fd, l->text + prefix, sizeof l->text - prefix);
        s->listener_count = (unsigned)i + 1;
    }
    return 0;
}

static uint64_t connections_now(void)
{
    return metrics_sum(M_CONNECTIONS) - metrics_sum(M_CONNECTIONS_CLOSED);
}

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
    uint64_t now = connections_now(), most = (uint64_t)conf->max_connections;
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

static void listen_on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct listener *l = watcher->data;
    struct server *s = l->server;
    struct metrics *m = metrics_mine();
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                out_of_descriptors(l);
            return;
        }
        if (!admits(s, fd)) {
            metrics_inc(m, M_CONNECTIONS_REFUSED);
            log_warn("listen.refused", "reason=max_connections limit=%lld",
                     (long long)s->snapshot->conf->max_connections);
            close(fd);
            continue;
        }
        metrics_inc(m, M_CONNECTIONS);
        io_adopt(s->ios[s->next_io++ % s->io_count], fd, l->addr.tls);
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

void listen_close(struct server *s)
{
    if (s->loop)
        ev_timer_stop(s->loop, &s->accept_pause);
    for (unsigned i = 0; i < s->listener_count; i++) {
        struct listener *l = &s->listeners[i];
        if (l->fd < 0)
            continue;
        ev_io_stop(s->loop, &l->accepting);
        close(l->fd);
        l->fd = -1;
        if (addr_is_unix(&l->addr))
            unlink(((const struct sockaddr_un *)&l->addr.sa)->sun_path);
    }
}
