/*
 * handed: listening sockets that a service manager hands over (sd_listen_fds(3)).
 *
 *   LISTEN_PID    this process; else they are not for us
 *   LISTEN_FDS    how many there are, from descriptor 3 on
 *   LISTEN_FDNAMES  their names, with colons between them
 *
 *   handed_read -> handed_take, for each address of `listen` -> what is not taken is served as well
 *
 * The manager has bound them and keeps a copy of each: who connects while no server runs waits in
 * the socket's queue. So they are never closed or unlinked here. A socket whose name is "tls", or
 * begins with "tls-", speaks TLS. Shape: an array. Thread: the main one, before there are others.
 * Limits: HANDED_MAX sockets, HANDED_NAME_MAX bytes of a name.
 */
#ifndef RTCACHE_SERVER_HANDED_H
#define RTCACHE_SERVER_HANDED_H

#include "sys/addr.h"

#define HANDED_FIRST    3
#define HANDED_MAX      64
#define HANDED_NAME_MAX 255

struct handed_socket {
    int fd;
    struct addr addr; /* as it is bound; tls: as the name says */
    char name[HANDED_NAME_MAX + 1];
    bool taken;
};

struct handed {
    struct handed_socket at[HANDED_MAX];
    unsigned count;
};

/* Reads the environment, and takes these variables out of it. ERR_CONFIG: what it says cannot be
 * read, or a descriptor is no stream socket that listens. */
int handed_read(struct handed *h, struct err *e) MUST_USE;

/* *out: the socket that is bound to the address and was not taken yet, which is taken now; NULL:
 * there is none. Of Unix sockets another path to its file will do. ERR_CONFIG: it is to speak TLS
 * by its name, and plain by the address. */
int handed_take(struct handed *h, const struct addr *a, struct handed_socket **out,
                struct err *e) MUST_USE;

/* One that is bound to the port of the address, at whatever host; NULL: there is none. */
const struct handed_socket *handed_of_port(const struct handed *h, const struct addr *a);

#endif
