#include "sys/tls_priv.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *tls_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "no reason is given";
}

/* OpenSSL's own words for this are poor. */
static int try_file(const char *option, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CONFIG, "%s: cannot read %s: %s", option, path, strerror(errno));
    close(fd);
    return 0;
}

/* Nobody is there to type it. asked: bool. */
static int on_pass_phrase(char *room, int size, int writing, void *asked)
{
    (void)writing;
    if (size > 0)
        room[0] = '\0';
    *(bool *)asked = true;
    return -1;
}

static int load_certificate(SSL_CTX *ssl, const char *path, struct err *e)
{
    int rc = try_file("certificate", path, e);
    if (rc != 0 || SSL_CTX_use_certificate_chain_file(ssl, path) == 1)
        return rc;
    return err_set(e, ERR_CONFIG, "certificate: %s cannot be used: %s", path, tls_reason());
}

/* After its certificate. */
static int load_key(SSL_CTX *ssl, const char *path, const char *certificate, struct err *e)
{
    bool asked = false;
    int rc = try_file("key", path, e);
    if (rc != 0)
        return rc;
    SSL_CTX_set_default_passwd_cb(ssl, on_pass_phrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
    bool loaded = SSL_CTX_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    SSL_CTX_set_default_passwd_cb(ssl, NULL);
    if (asked) {
        ERR_clear_error();
        return err_set(e, ERR_CONFIG, "key: %s needs a pass phrase, which cannot be given here",
                       path);
    }
    bool other = !loaded && ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509;
    if (!loaded && !other)
        return err_set(e, ERR_CONFIG, "key: %s cannot be used: %s", path, tls_reason());
    if (!other && SSL_CTX_check_private_key(ssl) == 1)
        return 0;
    ERR_clear_error();
    return err_set(e, ERR_CONFIG, "key: %s does not belong to the certificate %s", path,
                   certificate);
}

static int load_ca(SSL_CTX *ssl, const char *option, const char *path, struct err *e)
{
    int rc = try_file(option, path, e);
    if (rc != 0 || SSL_CTX_load_verify_file(ssl, path) == 1)
        return rc;
    return err_set(e, ERR_CONFIG, "%s: %s cannot be used: %s", option, path, tls_reason());
}

static int demand_clients(SSL_CTX *ssl, const char *path, struct err *e)
{
    int rc = load_ca(ssl, "client_ca", path, e);
    if (rc != 0)
        return rc;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    if (!names)
        return err_set(e, ERR_CONFIG, "client_ca: %s cannot be used: %s", path, tls_reason());
    SSL_CTX_set_client_CA_list(ssl, names);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int context_new(struct tls_context **out, const SSL_METHOD *method, struct err *e)
{
    *out = NULL;
    ERR_clear_error();
    struct tls_context *c = calloc(1, sizeof *c);
    if (c)
        c->ssl = SSL_CTX_new(method);
    if (!c || !c->ssl) {
        free(c);
        return err_set(e, ERR_NOMEM, "no TLS context: %s", tls_reason());
    }
    SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    *out = c;
    return 0;
}

/* Tickets alone, whose keys are the context's own: nothing is remembered for clients that left. */
static int set_sessions(SSL_CTX *ssl, struct err *e)
{
    static const unsigned char id[] = "rtcache";
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(ssl, 1) != 1 ||
        SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1) != 1)
        return err_set(e, ERR_INTERNAL, "no TLS sessions: %s", tls_reason());
    return 0;
}

int tls_context_server(struct tls_context **out, const struct tls_server_options *o, struct err *e)
{
    struct tls_context *c;
    *out = NULL;
    int rc = context_new(&c, TLS_server_method(), e);
    if (rc != 0)
        return rc;
    if (o->only_1_3)
        SSL_CTX_set_min_proto_version(c->ssl, TLS1_3_VERSION);
    SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (SSL_CTX_set_cipher_list(c->ssl, o->ciphers) != 1)
        rc = err_set(e, ERR_CONFIG, "ciphers: \"%.64s\": %s", o->ciphers, tls_reason());
    if (rc == 0)
        rc = set_sessions(c->ssl, e);
    if (rc == 0)
        rc = load_certificate(c->ssl, o->certificate, e);
    if (rc == 0)
        rc = load_key(c->ssl, o->key, o->certificate, e);
    if (rc == 0 && o->client_ca)
        rc = demand_clients(c->ssl, o->client_ca, e);
    if (rc != 0) {
        tls_context_free(c);
        return rc;
    }
    const X509 *certificate = SSL_CTX_get0_certificate(c->ssl);
    c->from_s = seconds_of(X509_get0_notBefore(certificate));
    c->until_s = seconds_of(X509_get0_notAfter(certificate));
    *out = c;
    return 0;
}

int tls_context_client(struct tls_context **out, const struct tls_client_options *o, struct err *e)
{
    struct tls_context *c;
    *out = NULL;
    int rc = context_new(&c, TLS_client_method(), e);
    if (rc != 0)
        return rc;
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    if (o->ca)
        rc = load_ca(c->ssl, "CA", o->ca, e);
    else if (SSL_CTX_set_default_verify_paths(c->ssl) != 1)
        rc = err_set(e, ERR_CONFIG, "the system's CAs: %s", tls_reason());
    if (rc == 0 && o->certificate)
        rc = load_certificate(c->ssl, o->certificate, e);
    if (rc == 0 && o->certificate)
        rc = load_key(c->ssl, o->key, o->certificate, e);
    if (rc != 0) {
        tls_context_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void tls_context_free(struct tls_context *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ssl);
    free(c);
}

static void show_time(int64_t at_s, char *text, size_t size)
{
    time_t at = (time_t)at_s;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
}

void tls_context_doubt(const struct tls_context *c, int64_t now_s, char *text, size_t size)
{
    char at[32];
    text[0] = '\0';
    if (now_s < c->from_s) {
        show_time(c->from_s, at, sizeof at);
        snprintf(text, size, "not valid before %s", at);
    } else if (now_s > c->until_s) {
        show_time(c->until_s, at, sizeof at);
        snprintf(text, size, "expired at %s", at);
    }
}

void tls_context_until(const struct tls_context *c, char *text, size_t size)
{
    show_time(c->until_s, text, size);
}
