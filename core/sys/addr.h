/*
 * addr: addresses as users write them, and the sockets they stand for.
 *
 * The forms are base/address.h's. A name may have several addresses (localhost is 127.0.0.1 and ::1
 * on most machines): a server listens on all of them, a client tries one after the other.
 * Thread: any. Limits: ADDRS_MAX addresses of a name, the rest is left out.
 * Errors: ERR_CONFIG for what cannot be read or found, ERR_IO with the system's reason.
 */
#ifndef RTCACHE_SYS_ADDR_H
#define RTCACHE_SYS_ADDR_H

#include "base/address.h"

#include <sys/socket.h>

#define ADDRS_MAX 16

struct addr {
    struct sockaddr_storage sa;
    socklen_t sa_size;
    char text[ADDRESS_TEXT_MAX]; /* as it was written */
    char host[ADDRESS_TEXT_MAX]; /* the name in it; "" of a Unix socket */
    bool tls;
};

/* Of one text, each once, in the order in which they are to be tried; all but sa are equal. */
struct addrs {
    struct addr at[ADDRS_MAX];
    unsigned count;
};

/* Looks names up with getaddrinfo, which may block: at start and in the command-line client only.
 */
int addr_resolve(struct addrs *all, const char *text, struct err *e) MUST_USE;
bool addr_is_unix(const struct addr *a);
bool addr_same(const struct addr *a, const struct addr *b);
unsigned addr_port(const struct addr *a); /* 0 of a Unix socket */
void addr_set_port(struct addr *a, unsigned port);
bool addr_is_loopback(const struct addr *a); /* true for Unix sockets too */

/* What the file of a Unix socket is to be; -1: what the process makes of it. */
struct addr_file {
    int64_t mode, uid, gid;
};

/* A listening, non-blocking, close-on-exec socket (SO_REUSEADDR; SO_REUSEPORT where asked; IPv6
 * without IPv4). errno is the system's reason after an ERR_IO. An old Unix socket file that nobody
 * answers on is removed first. */
int addr_listen(const struct addr *a, int backlog, bool reuse_port, int *fd,
                struct err *e) MUST_USE;
/* The same for a Unix socket whose file is as told before anybody can connect. With a mode it sets
 * the umask of the process for a moment: no other thread may make files then. */
int addr_listen_unix(const struct addr *a, int backlog, const struct addr_file *file, int *fd,
                     struct err *e) MUST_USE;

/* Whether addr_listen may be had, looked at beside a server that listens there already and by a
 * user who may have fewer rights. ERR_IO as addr_listen says it, with errno. */
int addr_check(const struct addr *a, struct err *e) MUST_USE;

/* The address a listening socket really has ("127.0.0.1:40123" for port 0). */
void addr_of_socket(int fd, char *text, size_t size);

/* A connected blocking, close-on-exec socket to the first that answers, with a limit in ms for all
 * of them (0: none). ERR_IO with what the first of those said that answered at all, or ERR_TIMEOUT.
 */
int addr_connect(const struct addrs *all, int timeout_ms, int *fd, struct err *e) MUST_USE;

int fd_set_nonblocking(int fd) MUST_USE;

#endif
