/*
 * addr: addresses as users write them, and the sockets they stand for.
 *
 * Forms: "host:port", "[v6]:port", ":port" (loopback), "unix:/path"; "tls:" before one of the first
 * three: the same with TLS, which is the caller's to speak. Thread: any. Limits: 127
 * bytes of text, 107 of a path.
 * Errors: ERR_CONFIG for a form that cannot be read, ERR_IO with the system's reason.
 */
#ifndef RTCACHE_SYS_ADDR_H
#define RTCACHE_SYS_ADDR_H

#include "base/err.h"

#include <sys/socket.h>

struct addr {
    struct sockaddr_storage sa;
    socklen_t sa_size;
    char text[128]; /* as it was written */
    bool tls;
};

/* Resolves names with getaddrinfo, which may block: at start and in the command-line client only.
 */
int addr_parse(const char *text, struct addr *a, struct err *e) MUST_USE;
bool addr_is_unix(const struct addr *a);
/* The host as it was written; "127.0.0.1" for ":port". Not of a Unix socket. */
void addr_host(const struct addr *a, char *host, size_t size);
bool addr_is_loopback(const struct addr *a); /* true for Unix sockets too */

/* A listening, non-blocking, close-on-exec socket (SO_REUSEADDR; SO_REUSEPORT where asked; IPv6
 * without IPv4). An old Unix socket file that nobody answers on is removed first. */
int addr_listen(const struct addr *a, int backlog, bool reuse_port, int *fd,
                struct err *e) MUST_USE;

/* The address a listening socket really has ("127.0.0.1:40123" for port 0). */
void addr_of_socket(int fd, char *text, size_t size);

/* A connected blocking, close-on-exec socket, with a limit in ms for the connect (0: none). ERR_IO,
 * or ERR_TIMEOUT. */
int addr_connect(const struct addr *a, int timeout_ms, int *fd, struct err *e) MUST_USE;

int fd_set_nonblocking(int fd) MUST_USE;

#endif
