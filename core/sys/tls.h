/*
 * tls: TLS as a codec over bytes in memory (OpenSSL 3). It touches no socket.
 *
 *   recv -> tls_feed -> tls_read -> plain bytes        plain bytes -> tls_write -> out -> send
 *
 * Shape: a context is what all connections of an address share: certificate, key, CAs; immutable. A
 * session is one connection; idle, it holds no buffers. What it has to say to the peer (handshake,
 * alerts, records) is appended to the `out` of the call, so nothing ever waits for a socket in
 * here. Thread: a context: any; a session: its owner's. Limits: those of `out`; a record has 16
 * KiB.
 */
#ifndef RTCACHE_SYS_TLS_H
#define RTCACHE_SYS_TLS_H

#include "base/buf.h"
#include "base/err.h"

struct tls_context;
struct tls;

struct tls_server_options {
    const char *certificate, *key; /* PEM files */
    const char *client_ca;         /* NULL: clients need no certificate */
    const char *ciphers;           /* of TLS 1.2 */
    bool only_1_3;
};

struct tls_client_options {
    const char *ca;                /* a PEM file; NULL: the system's CAs */
    const char *certificate, *key; /* PEM files; NULL: none */
};

/* Reads the files; ERR_CONFIG names the option and the file. */
int tls_context_server(struct tls_context **out, const struct tls_server_options *o,
                       struct err *e) MUST_USE;
int tls_context_client(struct tls_context **out, const struct tls_client_options *o,
                       struct err *e) MUST_USE;
/* Sessions live on. NULL is allowed. */
void tls_context_free(struct tls_context *c);

/* What is wrong with the time of the certificate at now_s, and "" for nothing; when its time ends,
 * as "2027-01-31T12:00:00Z". text: of at least 64 bytes. */
void tls_context_doubt(const struct tls_context *c, int64_t now_s, char *text, size_t size);
void tls_context_until(const struct tls_context *c, char *text, size_t size);

/* server: the name or address to ask for and to find in the peer's certificate; NULL: we are the
 * server. ERR_NOMEM. */
int tls_new(struct tls **out, struct tls_context *c, const char *server, struct err *e) MUST_USE;
void tls_free(struct tls *t); /* NULL is allowed */

/* The handshake is done. */
bool tls_established(const struct tls *t);

/* What came from the peer: borrowed until tls_read has said TLS_MORE, TLS_END or an error. */
void tls_feed(struct tls *t, struct slice wire);

enum tls_answer {
    TLS_DATA = 1, /* *n plain bytes */
    TLS_MORE,     /* all that was fed is used up */
    TLS_END,      /* the peer will say no more */
};

/* Goes on with the handshake, or takes plain bytes. A negative code where the peer or its
 * certificate is not to be dealt with: ERR_PROTOCOL with the reason, or ERR_NOMEM; out may then
 * have an alert to be sent. */
int tls_read(struct tls *t, struct buf *out, char *room, size_t size, size_t *n,
             struct err *e) MUST_USE;

/* After TLS_MORE: whether what was fed ends within a record. */
bool tls_within_record(const struct tls *t);

/* All of plain, as records. Only when established. ERR_PROTOCOL, ERR_NOMEM. */
int tls_write(struct tls *t, struct buf *out, struct slice plain, struct err *e) MUST_USE;

/* Says that no more will be written. */
void tls_end(struct tls *t, struct buf *out);

#endif
