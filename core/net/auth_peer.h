/*
 * auth_peer: from where a client came, as failures and turns of `auth` are counted.
 *
 *                  address          network
 *   IPv4           all 32 bits      the first 24: what is routed on the internet is no smaller
 *                                   (RFC 7454, 6.1.3), so whoever has one address of it may have
 * all IPv6           the first 64     the first 48: a link has 64 bits of its own (RFC
 * 4291, 2.5.1), a site is given up to 80 (RFC 6177), and routed are 48 at most Unix socket    the
 * uid          the uid
 *
 * Thread: any. Limits: none.
 */
#ifndef RTCACHE_NET_AUTH_PEER_H
#define RTCACHE_NET_AUTH_PEER_H

#include "base/slice.h"

#include <stdint.h>
#include <sys/socket.h>

#define AUTH_PEER_TEXT 64

struct auth_peer {
    char bytes[16];
    unsigned char address_size, network_size; /* of bytes, from their beginning */
    char text[AUTH_PEER_TEXT];                /* for the log */
};

/* sa: of getpeername. uid: of the other end of a Unix socket. */
void auth_peer_of(struct auth_peer *p, const struct sockaddr_storage *sa, int64_t uid);

static inline struct slice auth_peer_address(const struct auth_peer *p)
{
    return slice_of(p->bytes, p->address_size);
}

static inline struct slice auth_peer_network(const struct auth_peer *p)
{
    return slice_of(p->bytes, p->network_size);
}

#endif
