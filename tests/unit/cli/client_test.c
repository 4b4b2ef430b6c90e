/* A connection whose system calls fail or take nothing, one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "calls.h"
#include "cli/client.h"
#include "cli/fake_server.h"

static struct fake_server server;

static const struct {
    enum call call;
    int nth;
    int reason; /* 0: the call returns 0 */
    bool made;
    int code; /* of client_open or client_exchange; 0: both answers are there */
    const char *says;
} cases[] = {
    {CALL_SOCKET, 1, EMFILE, false, ERR_IO, "Too many open files"},
    {CALL_FCNTL, 1, EBADF, false, ERR_IO, "cannot use the socket: Bad file descriptor"},
    {CALL_FCNTL, 2, EPERM, false, ERR_IO, "cannot use the socket: Operation not permitted"},
    {CALL_POLL, 1, EINVAL, false, ERR_IO, "cannot wait for the server: Invalid argument"},
    {CALL_POLL, 1, EINTR, false, 0, NULL},
    {CALL_POLL, 2, EINTR, false, 0, NULL},
    {CALL_RECV, 1, ECONNRESET, false, ERR_IO, "connection lost: Connection reset by peer"},
    {CALL_RECV, 1, EINTR, false, 0, NULL},
    {CALL_RECV, 1, EAGAIN, false, 0, NULL},
    {CALL_RECV, 1, 0, false, ERR_IO, "the server closed the connection"},
    {CALL_SEND, 1, EINTR, false, 0, NULL},
    {CALL_SEND, 1, EAGAIN, false, 0, NULL},
    {CALL_SEND, 1, 0, false, 0, NULL},
    {CALL_SEND, 1, EPIPE, false, ERR_TIMEOUT, "no answer within 2000 ms"},
    {CALL_SEND, 1, EPIPE, true, 0, NULL}, /* what it has sent before is answered */
};

/* Sends [get, key] and [get, other]. */
static int ask(struct client *c, const char *key, const char *other, struct client_reply replies[2],
               struct err *e)
{
    struct buf b;
    buf_init(&b, 0);
    const char *const keys[] = {key, other};
    for (uint32_t i = 0; i < 2; i++) {
        fake_must(mpw_array(&b, 4) | mpw_int(&b, 0) | mpw_int(&b, i + 1) | mpw_cstr(&b, "get"));
        fake_must(mpw_array(&b, 1) | mpw_cstr(&b, keys[i]));
    }
    replies[0] = replies[1] = (struct client_reply){.data = NULL};
    int rc = client_exchange(c, buf_slice(&b), replies, 2, e);
    buf_fini(&b);
    return rc;
}

static void is_answered(struct client *c, const char *key, const char *other)
{
    struct client_reply replies[2];
    struct err e;
    if (ask(c, key, other, replies, &e) != 0)
        fail_msg("%s", e.text);
    for (int i = 0; i < 2; i++) {
        const char *of = i == 0 ? key : other;
        assert_true(replies[i].arrived && !replies[i].failed);
        assert_non_null(memmem(replies[i].data, replies[i].size, of, strlen(of)));
    }
    client_replies_free(replies, 2);
}

/* The lowest descriptor that is free. */
static int next_descriptor(void)
{
    int fd = dup(2);
    close(fd);
    return fd;
}

static void plan(size_t i)
{
    call_plan(cases[i].call, cases[i].nth, cases[i].reason);
    calls[cases[i].call].made = cases[i].made;
}

static void what_fails_is_told_and_what_takes_nothing_is_done_again(void **state)
{
    (void)state;
    const struct client_options o = {.address = server.address, .timeout_ms = 2000};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client c;
        struct client_reply replies[2] = {{.data = NULL}};
        struct err e = {.code = 0};
        int before = next_descriptor();
        plan(i);
        int rc = client_open(&c, &o, &e);
        bool opened = rc == 0;
        if (opened)
            rc = ask(&c, "one", "two", replies, &e);
        calls_forget();
        client_replies_free(replies, 2);
        if (rc != cases[i].code || (rc != 0 && !strstr(e.text, cases[i].says)))
            fail_msg("case %zu: %d, %s", i, rc, e.text);
        if (rc == 0)
            is_answered(&c, "three", "four"); /* and nothing of the first is left */
        if (opened)
            client_close(&c);
        assert_int_equal(next_descriptor(), before);
    }
}

/* The peer takes the connection, and no byte of the handshake goes out. */
static void a_handshake_that_cannot_be_sent_is_told(void **state)
{
    (void)state;
    char address[160];
    snprintf(address, sizeof address, "tls:%s", server.address);
    const struct client_options o = {.address = address, .timeout_ms = 2000};
    struct client c;
    struct err e;
    int before = next_descriptor();
    call_plan(CALL_SEND, 1, ECONNRESET);
    assert_int_equal(client_open(&c, &o, &e), ERR_IO);
    assert_string_equal(e.text, "connection lost: Connection reset by peer");
    calls_forget();
    assert_int_equal(next_descriptor(), before);
}

static int start(void **state)
{
    (void)state;
    return fake_server_start(&server);
}

static int stop(void **state)
{
    (void)state;
    fake_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_is_told_and_what_takes_nothing_is_done_again),
        cmocka_unit_test(a_handshake_that_cannot_be_sent_is_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
