#include "server/notify.h"

#include "base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void tell(const struct notify *n, const char *text)
{
    if (n->fd < 0)
        return;
    if (sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->addr,
               n->addr_size) < 0)
        log_warn("server.notify_failed", "text=%s error=%s", log_q(text), log_q(strerror(errno)));
}

static void notify_on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    tell(timer->data, "WATCHDOG=1");
}

static int read_socket(struct notify *n, const char *name, struct err *e)
{
    size_t size = strlen(name);
    if (size < 2 || size >= sizeof n->addr.sun_path || (name[0] != '/' && name[0] != '@'))
        return err_set(e, ERR_CONFIG, "NOTIFY_SOCKET is \"%.128s\", no path or abstract name",
                       name);
    n->addr.sun_family = AF_UNIX;
    memcpy(n->addr.sun_path, name, size);
    if (name[0] == '@')
        n->addr.sun_path[0] = '\0';
    n->addr_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return n->fd < 0 ? err_set(e, ERR_IO, "NOTIFY_SOCKET: %s", strerror(errno)) : 0;
}

static int read_watchdog(struct notify *n, struct err *e)
{
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!time || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    char *end;
    errno = 0;
    n->watchdog_us = strtoll(time, &end, 10);
    if (errno != 0 || *end != '\0' || n->watchdog_us <= 0)
        return err_set(e, ERR_CONFIG, "WATCHDOG_USEC is \"%.32s\", no number of microseconds",
                       time);
    return 0;
}

int notify_init(struct notify *n, struct ev_loop *loop, struct err *e)
{
    *n = (struct notify){.loop = loop, .fd = -1};
    const char *name = getenv("NOTIFY_SOCKET");
    if (!name || name[0] == '\0')
        return 0;
    int rc = read_socket(n, name, e);
    if (rc == 0)
        rc = read_watchdog(n, e);
    double half = (double)n->watchdog_us / 2e6;
    ev_timer_init(&n->watchdog, notify_on_time, half, half);
    n->watchdog.data = n;
    if (rc != 0)
        notify_fini(n);
    return rc;
}

void notify_fini(struct notify *n)
{
    if (n->fd < 0)
        return;
    ev_timer_stop(n->loop, &n->watchdog);
    close(n->fd);
    n->fd = -1;
}

void notify_ready(struct notify *n)
{
    tell(n, "READY=1");
    if (n->fd >= 0 && n->watchdog_us > 0)
        ev_timer_start(n->loop, &n->watchdog);
}

void notify_extend(struct notify *n, int64_t us)
{
    char text[64];
    snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%lld", (long long)us);
    tell(n, text);
}

void notify_stopping(struct notify *n)
{
    tell(n, "STOPPING=1");
}
