/*
 * tls_priv: what tls.c and tls_context.c share.
 *
 * Shape, thread, limits: those of tls.h.
 */
#ifndef RTCACHE_SYS_TLS_PRIV_H
#define RTCACHE_SYS_TLS_PRIV_H

#include "sys/tls.h"

#include <openssl/ssl.h>

struct tls_context {
    SSL_CTX *ssl;
    int64_t from_s, until_s; /* of the certificate; of a server */
};

/* The reason of OpenSSL's last error on this thread, whose queue is empty then. */
const char *tls_reason(void);

#endif
