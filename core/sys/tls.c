#include "sys/tls_priv.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tls {
    SSL *ssl;
    struct slice in; /* what was fed and is not used up */
    struct buf *out; /* of the call that runs */
    bool is_server;
};

/* ---- OpenSSL's way to the bytes ---- */

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_write(BIO *b, const char *data, int size)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    return t->out && buf_append(t->out, data, (size_t)size) == 0 ? size : -1;
}

static int bio_read(BIO *b, char *room, int size)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->in.size == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    size_t n = t->in.size < (size_t)size ? t->in.size : (size_t)size;
    memcpy(room, t->in.data, n);
    t->in = slice_of(t->in.data + n, t->in.size - n);
    return (int)n;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return what == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "rtcache");
    if (m && BIO_meth_set_write(m, bio_write) == 1 && BIO_meth_set_read(m, bio_read) == 1 &&
        BIO_meth_set_ctrl(m, bio_ctrl) == 1) {
        method = m;
        return;
    }
    BIO_meth_free(m);
}

/* ---- life ---- */

static bool name_peer(SSL *ssl, const char *server)
{
    unsigned char room[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, server, room) == 1 || inet_pton(AF_INET6, server, room) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server) == 1;
    return SSL_set1_host(ssl, server) == 1 && SSL_set_tlsext_host_name(ssl, server) == 1;
}

int tls_new(struct tls **out, struct tls_context *c, const char *server, struct err *e)
{
    *out = NULL;
    ERR_clear_error();
    struct tls *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for a TLS session");
    (void)pthread_once(&method_once, make_method);
    t->is_server = !server;
    t->ssl = SSL_new(c->ssl);
    BIO *bio = t->ssl && method ? BIO_new(method) : NULL;
    if (!bio || (server && !name_peer(t->ssl, server))) {
        int rc = err_set(e, ERR_NOMEM, "no TLS session: %s", tls_reason());
        BIO_free(bio);
        tls_free(t);
        return rc;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    if (server)
        SSL_set_connect_state(t->ssl);
    else
        SSL_set_accept_state(t->ssl);
    *out = t;
    return 0;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    free(t);
}

bool tls_established(const struct tls *t)
{
    return SSL_is_init_finished(t->ssl) == 1;
}

void tls_feed(struct tls *t, struct slice wire)
{
    t->in = wire;
}

/* ---- bytes ---- */

/* What a call that returned rc was about: it has to be asked at once. */
static int answer_of(struct tls *t, int rc, struct err *e)
{
    int kind = SSL_get_error(t->ssl, rc);
    if (kind == SSL_ERROR_WANT_READ)
        return TLS_MORE;
    if (kind == SSL_ERROR_ZERO_RETURN)
        return TLS_END;
    unsigned long code = ERR_peek_error();
    if (kind == SSL_ERROR_SSL && ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        ERR_clear_error();
        return err_set(e, ERR_PROTOCOL, "the %s's certificate is not accepted: %s",
                       t->is_server ? "client" : "server",
                       X509_verify_cert_error_string(SSL_get_verify_result(t->ssl)));
    }
    if (kind == SSL_ERROR_SSL && !t->is_server &&
        ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
        ERR_clear_error();
        return err_set(e, ERR_PROTOCOL, "the server does not speak TLS at this address");
    }
    if (kind == SSL_ERROR_SYSCALL && code == 0)
        return err_set(e, ERR_NOMEM, "TLS: no room for what the peer is to be told");
    return err_set(e, ERR_PROTOCOL, "TLS: %s", tls_reason());
}

int tls_read(struct tls *t, struct buf *out, char *room, size_t size, size_t *n, struct err *e)
{
    *n = 0;
    /* Nothing of a whole record is left in there; to ask would make a read buffer and drop it. */
    if (t->in.size == 0 && tls_established(t) && SSL_pending(t->ssl) == 0)
        return TLS_MORE;
    t->out = out;
    ERR_clear_error();
    int rc = tls_established(t) ? 1 : SSL_do_handshake(t->ssl);
    if (rc == 1)
        rc = SSL_read_ex(t->ssl, room, size, n);
    int answer = rc == 1 ? TLS_DATA : answer_of(t, rc, e);
    t->out = NULL;
    return answer;
}

bool tls_within_record(const struct tls *t)
{
    return SSL_has_pending(t->ssl) == 1;
}

int tls_write(struct tls *t, struct buf *out, struct slice plain, struct err *e)
{
    size_t n = 0;
    t->out = out;
    ERR_clear_error();
    int rc = plain.size > 0 ? SSL_write_ex(t->ssl, plain.data, plain.size, &n) : 1;
    int answer = rc == 1 ? 0 : answer_of(t, rc, e);
    t->out = NULL;
    if (answer > 0)
        return err_set(e, ERR_PROTOCOL, "TLS: nothing can be written now");
    return answer;
}

void tls_end(struct tls *t, struct buf *out)
{
    t->out = out;
    ERR_clear_error();
    if (tls_established(t))
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    t->out = NULL;
}
