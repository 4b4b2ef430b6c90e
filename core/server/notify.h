/*
 * notify: tells the service manager that started the server how it fares (sd_notify(3)).
 *
 * Shape: one datagram a message to the socket that NOTIFY_SOCKET names, a path or, after an @, an
 * abstract name; nothing where it names none. While WATCHDOG_USEC asks for it (of this process, as
 * WATCHDOG_PID says), WATCHDOG=1 is sent twice in each such time, by a timer of the loop: a main
 * thread that hangs is noticed. Thread: the loop's. Limits: a datagram that does not fit into the
 * manager's queue at once is dropped, for nothing here may wait.
 */
#ifndef RTCACHE_SERVER_NOTIFY_H
#define RTCACHE_SERVER_NOTIFY_H

#include "base/err.h"

#include <ev.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    struct ev_loop *loop;
    int fd; /* -1: nobody is to be told */
    struct sockaddr_un addr;
    socklen_t addr_size;
    ev_timer watchdog;
    int64_t watchdog_us; /* 0: none was asked for */
};

/* Reads the environment. What it names but cannot be used is an error (ERR_CONFIG, ERR_IO). */
int notify_init(struct notify *n, struct ev_loop *loop, struct err *e) MUST_USE;
void notify_fini(struct notify *n);

/* READY=1, and the watchdog begins. */
void notify_ready(struct notify *n);
/* EXTEND_TIMEOUT_USEC: a start or stop that takes long is given so long from now. */
void notify_extend(struct notify *n, int64_t us);
/* STOPPING=1; the watchdog goes on. */
void notify_stopping(struct notify *n);

#endif
