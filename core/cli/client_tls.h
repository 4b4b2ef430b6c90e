/*
 * client_tls: the TLS of a client's connection.
 *
 * Shape: a session (sys/tls.h) and the records that the socket has not taken yet. Thread: its
 * owner's. Limits: CLIENT_SEAL_BYTES are sealed at once.
 */
#ifndef RTCACHE_CLI_CLIENT_TLS_H
#define RTCACHE_CLI_CLIENT_TLS_H

#include "base/buf.h"
#include "sys/tls.h"

#define CLIENT_SEAL_BYTES 65536

struct client_tls {
    struct tls_context *context;
    struct tls *session;
    struct buf sealed;
};

/* server: the name or address that the certificate must be for. ERR_CONFIG names the file that is
 * wrong. client_tls_fini is due either way. */
int client_tls_init(struct client_tls *t, const struct tls_client_options *o, const char *server,
                    struct err *e) MUST_USE;
void client_tls_fini(struct client_tls *t);

/* Puts the plain bytes of what came from the socket (at first: nothing) after in's. 0, or a
 * positive number where the server will say no more. */
int client_tls_take(struct client_tls *t, struct slice wire, struct buf *in,
                    struct err *e) MUST_USE;

/* Takes some of *rest, if nothing is sealed, and writes what the socket takes. ERR_IO: it is gone.
 */
int client_tls_send(struct client_tls *t, int fd, struct slice *rest) MUST_USE;

#endif
