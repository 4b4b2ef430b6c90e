#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <time.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char certificate[96], key[96], other_key[96], locked_key[96];

static void write_key(const char *path, EVP_PKEY *pkey, const char *pass_phrase)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    int size = pass_phrase ? (int)strlen(pass_phrase) : 0;
    assert_int_equal(PEM_write_PrivateKey(f, pkey, pass_phrase ? EVP_aes_128_cbc() : NULL,
                                          (const unsigned char *)pass_phrase, size, NULL, NULL),
                     1);
    assert_int_equal(fclose(f), 0);
}

/* Signed by itself, for localhost and 127.0.0.1, for a day from now on. */
static void write_certificate(const char *path, EVP_PKEY *pkey)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, pkey);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost, IP:127.0.0.1");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    assert_int_equal(fclose(f), 0);
    X509_free(x);
}

static int make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/rtcache-tls-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(certificate, sizeof certificate, "%s/server.pem", folder);
    snprintf(key, sizeof key, "%s/server.key", folder);
    snprintf(other_key, sizeof other_key, "%s/other.key", folder);
    snprintf(locked_key, sizeof locked_key, "%s/locked.key", folder);
    EVP_PKEY *pkey = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    write_key(key, pkey, NULL);
    write_key(locked_key, pkey, "sesame");
    write_key(other_key, other, NULL);
    write_certificate(certificate, pkey);
    EVP_PKEY_free(pkey);
    EVP_PKEY_free(other);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    unlink(certificate);
    unlink(key);
    unlink(other_key);
    unlink(locked_key);
    return rmdir(folder);
}

static struct tls_server_options server_options(void)
{
    return (struct tls_server_options){
        .certificate = certificate, .key = key, .ciphers = "ECDHE+AESGCM"};
}

/* ---- two sides and the bytes between them ---- */

struct side {
    struct tls_context *context;
    struct tls *tls;
    struct buf wire;  /* to the other */
    struct buf plain; /* from the other */
    int last;         /* of tls_read */
    struct err err;
};

static void open_server(struct side *s, const struct tls_server_options *o)
{
    *s = (struct side){0};
    assert_int_equal(tls_context_server(&s->context, o, &s->err), 0);
    assert_int_equal(tls_new(&s->tls, s->context, NULL, &s->err), 0);
}

static void open_client(struct side *s, const char *name)
{
    const struct tls_client_options o = {.ca = certificate};
    *s = (struct side){0};
    assert_int_equal(tls_context_client(&s->context, &o, &s->err), 0);
    assert_int_equal(tls_new(&s->tls, s->context, name, &s->err), 0);
}

static void close_side(struct side *s)
{
    tls_context_free(s->context);
    tls_free(s->tls);
    buf_fini(&s->wire);
    buf_fini(&s->plain);
}

static void take(struct side *s, struct slice wire)
{
    char room[1000]; /* less than a record */
    size_t n;
    tls_feed(s->tls, wire);
    do {
        s->last = tls_read(s->tls, &s->wire, room, sizeof room, &n, &s->err);
        assert_int_equal(buf_append(&s->plain, room, n), 0);
    } while (s->last == TLS_DATA);
}

/* Carries what there is, step bytes at a time, until both are silent or one ends. */
static void carry(struct side *a, struct side *b, size_t step)
{
    while (a->wire.size > 0 && b->last >= 0) {
        size_t n = a->wire.size < step ? a->wire.size : step;
        char *piece = malloc(n); /* of this size, so that ASan sees a step too far */
        memcpy(piece, a->wire.data, n);
        buf_consume(&a->wire, n);
        take(b, slice_of(piece, n));
        free(piece);
    }
}

static void settle(struct side *a, struct side *b, size_t step)
{
    while ((a->wire.size > 0 && b->last >= 0) || (b->wire.size > 0 && a->last >= 0)) {
        carry(a, b, step);
        carry(b, a, step);
    }
}

static void shake(struct side *client, struct side *server, size_t step)
{
    take(client, slice_of(NULL, 0));
    assert_int_equal(client->last, TLS_MORE);
    settle(client, server, step);
}

static void bytes_pass_both_ways_in_pieces_of_any_size(void **state)
{
    (void)state;
    static char text[100000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 + i / 251);
    const size_t steps[] = {1, 7, 1460, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct side client, server;
        struct tls_server_options o = server_options();
        o.only_1_3 = i % 2;
        open_server(&server, &o);
        open_client(&client, i % 2 ? "localhost" : "127.0.0.1");
        shake(&client, &server, steps[i]);
        assert_true(tls_established(client.tls) && tls_established(server.tls));
        struct slice all = slice_of(text, sizeof text);
        assert_int_equal(tls_write(client.tls, &client.wire, all, NULL), 0);
        assert_int_equal(tls_write(server.tls, &server.wire, all, NULL), 0);
        settle(&client, &server, steps[i]);
        assert_int_equal(server.plain.size, sizeof text);
        assert_memory_equal(server.plain.data, text, sizeof text);
        assert_int_equal(client.plain.size, sizeof text);
        assert_memory_equal(client.plain.data, text, sizeof text);
        assert_int_equal(server.last, TLS_MORE);
        tls_end(client.tls, &client.wire);
        settle(&client, &server, steps[i]);
        assert_int_equal(server.last, TLS_END);
        assert_int_equal(tls_write(server.tls, &server.wire, slice_str("after"), NULL), 0);
        settle(&client, &server, steps[i]);
        assert_int_equal(client.plain.size, sizeof text + 5);
        close_side(&client);
        close_side(&server);
    }
}

static void a_session_outlives_its_context(void **state)
{
    (void)state;
    struct side client, server;
    struct tls_server_options o = server_options();
    open_server(&server, &o);
    open_client(&client, "localhost");
    tls_context_free(server.context);
    server.context = NULL;
    shake(&client, &server, 100);
    assert_true(tls_established(server.tls));
    close_side(&client);
    close_side(&server);
}

static void a_certificate_for_another_name_is_not_accepted(void **state)
{
    (void)state;
    const char *names[] = {"elsewhere.example", "127.0.0.2"};
    const char *says[] = {"hostname mismatch", "IP address mismatch"};
    for (int i = 0; i < 2; i++) {
        struct side client, server;
        struct tls_server_options o = server_options();
        open_server(&server, &o);
        open_client(&client, names[i]);
        shake(&client, &server, 1000);
        assert_int_equal(client.last, ERR_PROTOCOL);
        assert_non_null(strstr(client.err.text, "the server's certificate is not accepted"));
        assert_non_null(strstr(client.err.text, says[i]));
        assert_int_equal(server.last, ERR_PROTOCOL);
        assert_false(tls_established(server.tls));
        close_side(&client);
        close_side(&server);
    }
}

static void a_client_without_the_certificate_asked_for_is_refused(void **state)
{
    (void)state;
    struct side client, server;
    struct tls_server_options o = server_options();
    o.client_ca = certificate;
    open_server(&server, &o);
    open_client(&client, "localhost");
    shake(&client, &server, 1000);
    assert_int_equal(server.last, ERR_PROTOCOL);
    assert_non_null(strstr(server.err.text, "peer did not return a certificate"));
    assert_non_null(strstr(client.err.text, "certificate required"));
    close_side(&client);
    close_side(&server);
}

static void garbage_is_an_error(void **state)
{
    (void)state;
    struct side server;
    struct tls_server_options o = server_options();
    open_server(&server, &o);
    take(&server, slice_of("\x16\x03\x01\x00\x08no hello", 13));
    assert_int_equal(server.last, ERR_PROTOCOL);
    close_side(&server);
}

/* Whoever connects hears that it is no TLS; who is connected to only that it is wrong. */
static void a_client_hears_that_the_server_speaks_no_tls(void **state)
{
    (void)state;
    static const char plain[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct side client, server;
    struct tls_server_options o = server_options();
    open_client(&client, "localhost");
    take(&client, slice_of(NULL, 0));
    take(&client, slice_str(plain));
    assert_int_equal(client.last, ERR_PROTOCOL);
    assert_string_equal(client.err.text, "the server does not speak TLS at this address");
    close_side(&client);
    open_server(&server, &o);
    take(&server, slice_str(plain));
    assert_int_equal(server.last, ERR_PROTOCOL);
    assert_memory_equal(server.err.text, "TLS: ", 5);
    close_side(&server);
}

static void records_that_nobody_takes_are_bounded(void **state)
{
    (void)state;
    static char text[50000];
    struct side client, server;
    struct tls_server_options o = server_options();
    open_server(&server, &o);
    open_client(&client, "localhost");
    shake(&client, &server, 1000);
    struct buf small;
    buf_init(&small, 20000);
    int rc = tls_write(server.tls, &small, slice_of(text, sizeof text), &server.err);
    assert_int_equal(rc, ERR_NOMEM);
    assert_true(small.size <= 20000);
    buf_fini(&small);
    close_side(&client);
    close_side(&server);
}

/* The text is exact; a %s is the file's name, and what OpenSSL says of it comes after it. */
static void says(const struct err *e, int rc, const char *text, const char *file)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, text, file);
    assert_int_equal(rc, ERR_CONFIG);
    assert_int_equal(e->code, ERR_CONFIG);
    if (wanted[strlen(wanted) - 1] == ' ') { /* and its reason */
        assert_memory_equal(e->text, wanted, strlen(wanted));
        assert_true(strlen(e->text) > strlen(wanted));
    } else {
        assert_string_equal(e->text, wanted);
    }
}

static void refuses(struct tls_server_options o, const char *text, const char *file)
{
    struct tls_context *c = (struct tls_context *)&o;
    struct err e;
    says(&e, tls_context_server(&c, &o, &e), text, file);
    assert_null(c);
}

static void refuses_client(struct tls_client_options o, const char *text, const char *file)
{
    struct tls_context *c = (struct tls_context *)&o;
    struct err e;
    says(&e, tls_context_client(&c, &o, &e), text, file);
    assert_null(c);
}

static void what_is_wrong_with_a_file_is_told_with_its_name(void **state)
{
    (void)state;
    char belongs[256];
    struct tls_server_options o = server_options();
    snprintf(belongs, sizeof belongs, "key: %%s does not belong to the certificate %s",
             certificate);
    o.key = other_key;
    refuses(o, belongs, other_key);
    o.key = locked_key;
    refuses(o, "key: %s needs a pass phrase, which cannot be given here", locked_key);
    o.key = certificate;
    refuses(o, "key: %s cannot be used: ", certificate);
    o.key = "/nowhere/server.key";
    refuses(o, "key: cannot read %s: No such file or directory", "/nowhere/server.key");
    o = server_options();
    o.certificate = key;
    refuses(o, "certificate: %s cannot be used: ", key);
    o.certificate = folder;
    refuses(o, "certificate: %s cannot be used: ", folder);
    o.certificate = "/nowhere/server.pem";
    refuses(o, "certificate: cannot read %s: No such file or directory", "/nowhere/server.pem");
    o = server_options();
    o.client_ca = key;
    refuses(o, "client_ca: %s cannot be used: ", key);
    o.client_ca = "/nowhere/ca.pem";
    refuses(o, "client_ca: cannot read %s: No such file or directory", "/nowhere/ca.pem");
    o = server_options();
    o.ciphers = "NONSENSE";
    refuses(o, "ciphers: \"%s\": no cipher match", "NONSENSE");
}

static void what_is_wrong_with_a_clients_file_is_told_with_its_name(void **state)
{
    (void)state;
    struct tls_client_options o = {.ca = key};
    refuses_client(o, "CA: %s cannot be used: ", key);
    o.ca = "/nowhere/ca.pem";
    refuses_client(o, "CA: cannot read %s: No such file or directory", "/nowhere/ca.pem");
    o = (struct tls_client_options){.ca = certificate, .certificate = key, .key = key};
    refuses_client(o, "certificate: %s cannot be used: ", key);
    o = (struct tls_client_options){.certificate = certificate, .key = locked_key};
    refuses_client(o, "key: %s needs a pass phrase, which cannot be given here", locked_key);
    o.key = other_key;
    char belongs[256];
    snprintf(belongs, sizeof belongs, "key: %%s does not belong to the certificate %s",
             certificate);
    refuses_client(o, belongs, other_key);
}

static void the_time_of_a_certificate_is_told(void **state)
{
    (void)state;
    struct tls_context *c;
    struct tls_server_options o = server_options();
    char text[64];
    assert_int_equal(tls_context_server(&c, &o, NULL), 0);
    tls_context_doubt(c, (int64_t)time(NULL), text, sizeof text);
    assert_string_equal(text, "");
    tls_context_doubt(c, (int64_t)time(NULL) + 90000, text, sizeof text);
    assert_memory_equal(text, "expired at 2", 12);
    tls_context_doubt(c, 1000, text, sizeof text);
    assert_memory_equal(text, "not valid before 2", 18);
    tls_context_until(c, text, sizeof text);
    assert_int_equal(strlen(text), 20);
    tls_context_free(c);
}

/* Both its first and its last second are its own. */
static void a_certificate_is_valid_from_its_first_second_to_its_last(void **state)
{
    (void)state;
    struct tls_server_options o = server_options();
    struct tls_context *c;
    struct err e;
    char text[64], until[64];
    struct tm tm = {0};
    assert_int_equal(tls_context_server(&c, &o, &e), 0);
    tls_context_until(c, until, sizeof until);
    assert_non_null(strptime(until, "%Y-%m-%dT%H:%M:%SZ", &tm));
    int64_t last = timegm(&tm), first = 0, known = last;
    while (known - first > 1) { /* the first second by halves */
        int64_t mid = first + (known - first) / 2;
        tls_context_doubt(c, mid, text, sizeof text);
        if (text[0])
            first = mid;
        else
            known = mid;
    }
    tls_context_doubt(c, known - 1, text, sizeof text);
    assert_memory_equal(text, "not valid before ", 17);
    assert_non_null(strptime(text + 17, "%Y-%m-%dT%H:%M:%SZ", &tm));
    assert_int_equal(timegm(&tm), known);
    tls_context_doubt(c, last, text, sizeof text);
    assert_string_equal(text, "");
    tls_context_doubt(c, last + 1, text, sizeof text);
    assert_memory_equal(text, "expired at ", 11);
    assert_string_equal(text + 11, until);
    tls_context_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways_in_pieces_of_any_size),
        cmocka_unit_test(a_session_outlives_its_context),
        cmocka_unit_test(a_certificate_for_another_name_is_not_accepted),
        cmocka_unit_test(a_client_without_the_certificate_asked_for_is_refused),
        cmocka_unit_test(garbage_is_an_error),
        cmocka_unit_test(a_client_hears_that_the_server_speaks_no_tls),
        cmocka_unit_test(records_that_nobody_takes_are_bounded),
        cmocka_unit_test(what_is_wrong_with_a_file_is_told_with_its_name),
        cmocka_unit_test(what_is_wrong_with_a_clients_file_is_told_with_its_name),
        cmocka_unit_test(the_time_of_a_certificate_is_told),
        cmocka_unit_test(a_certificate_is_valid_from_its_first_second_to_its_last),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
