/* Sockets whose system calls fail, one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "calls.h"
#include "sys/addr.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[64], file_text[100];

static int folder_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/rtcache-addr-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file_text, sizeof file_text, "unix:%s/s.sock", folder);
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct addr parsed(const char *text)
{
    struct addrs all;
    struct err e;
    assert_int_equal(addr_resolve(&all, text, &e), 0);
    return all.at[0];
}

/* The lowest descriptor that is free. */
static int next_descriptor(void)
{
    int fd = dup(2);
    close(fd);
    return fd;
}

/* One call that fails or returns 0, and what becomes of it. */
struct failing {
    enum call call;
    int nth, reason;
    const char *says; /* NULL: it goes on all the same */
};

static void plan(const struct failing *f)
{
    call_plan(f->call, f->nth, f->reason);
}

static void expect_end(const struct failing *f, size_t i, int rc, const struct err *e)
{
    calls_forget();
    if ((rc == 0) != (f->says == NULL) || (f->says && !strstr(e->text, f->says)))
        fail_msg("case %zu: %d, \"%s\", not \"%s\"", i, rc, rc ? e->text : "",
                 f->says ? f->says : "");
}

static void what_fails_in_a_connect_is_told(void **state)
{
    (void)state;
    static const struct failing cases[] = {
        {CALL_SOCKET, 1, EMFILE, "Too many open files"},
        {CALL_SETSOCKOPT, 1, ENOBUFS, "No buffer space available"},
        {CALL_SETSOCKOPT, 2, ENOBUFS, "No buffer space available"},
        {CALL_SETSOCKOPT, 3, ENOBUFS,
         NULL}, /* that small packets go out at once, wherever it can */
        {CALL_CONNECT, 1, ENETUNREACH, "Network is unreachable"},
        {CALL_CONNECT, 1, EINPROGRESS, "no answer within 5000 ms"},
        {CALL_CONNECT, 1, EAGAIN, "no answer within 5000 ms"},
    };
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int listener, fd;
    char text[64];
    assert_int_equal(addr_listen(&a, 16, false, &listener, &e), 0);
    addr_of_socket(listener, text, sizeof text);
    struct addrs one = {.count = 1, .at = {parsed(text)}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = next_descriptor();
        plan(&cases[i]);
        expect_end(&cases[i], i, addr_connect(&one, 5000, &fd, &e), &e);
        if (!cases[i].says)
            close(fd);
        assert_int_equal(fd, cases[i].says ? -1 : before);
        assert_int_equal(next_descriptor(), before);
    }
    close(listener);
}

/* The connect of TCP goes on where a signal came, and its end is waited for. */
static void a_connect_that_a_signal_breaks_goes_on(void **state)
{
    (void)state;
    static const struct failing cases[] = {
        {CALL_POLL, 1, 0, "no answer within 5000 ms"},
        {CALL_POLL, 1, EBADF, "Bad file descriptor"},
        {CALL_GETSOCKOPT, 1, EBADF, "Bad file descriptor"},
    };
    struct err e;
    int listener, fd;
    char text[64];
    struct addr a = parsed("127.0.0.1:0"), file = parsed(file_text);
    assert_int_equal(addr_listen(&a, 16, false, &listener, &e), 0);
    addr_of_socket(listener, text, sizeof text);
    struct addrs one = {.count = 1, .at = {parsed(text)}}, of_file = {.count = 1, .at = {file}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = next_descriptor();
        call_made(CALL_CONNECT, 1, EINTR);
        plan(&cases[i]);
        expect_end(&cases[i], i, addr_connect(&one, 5000, &fd, &e), &e);
        assert_int_equal(next_descriptor(), before);
    }
    call_made(CALL_CONNECT, 1, EINTR);
    assert_int_equal(addr_connect(&one, 5000, &fd, &e), 0);
    calls_forget();
    close(fd);
    close(listener);
    /* That of a Unix socket does not, and is asked for again. */
    assert_int_equal(addr_listen(&file, 16, false, &listener, &e), 0);
    call_plan(CALL_CONNECT, 1, EINTR);
    assert_int_equal(addr_connect(&of_file, 5000, &fd, &e), 0);
    calls_forget();
    close(fd);
    close(listener);
    unlink(file_text + 5);
}

static void what_fails_in_a_listen_is_told(void **state)
{
    (void)state;
    static const struct failing cases[] = {
        {CALL_SOCKET, 1, EMFILE, "no socket for 127.0.0.1:0: Too many open files"},
        {CALL_SETSOCKOPT, 1, ENOBUFS, "cannot listen on 127.0.0.1:0: No buffer space available"},
        {CALL_SETSOCKOPT, 2, ENOPROTOOPT, "cannot listen on 127.0.0.1:0: Protocol not available"},
        {CALL_BIND, 1, EACCES, "cannot listen on 127.0.0.1:0: Permission denied"},
        {CALL_LISTEN, 1, EADDRINUSE, "cannot listen on 127.0.0.1:0: Address already in use"},
    };
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int fd;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = next_descriptor();
        plan(&cases[i]);
        int rc = addr_listen(&a, 16, true, &fd, &e);
        assert_int_equal(errno, cases[i].reason);
        expect_end(&cases[i], i, rc, &e);
        assert_int_equal(fd, -1);
        assert_int_equal(next_descriptor(), before);
    }
    struct addr six = parsed("[::1]:0");
    if (addr_listen(&six, 16, false, &fd, &e) == 0) { /* where there is IPv6 */
        close(fd);
        call_plan(CALL_SETSOCKOPT, 2, ENOPROTOOPT);
        assert_int_equal(addr_listen(&six, 16, false, &fd, &e), ERR_IO);
        calls_forget();
    }
}

static void what_fails_with_a_socket_file_is_told_and_leaves_none(void **state)
{
    (void)state;
    static const struct failing cases[] = {
        {CALL_SOCKET, 1, EMFILE, "no socket for "},
        {CALL_BIND, 1, EACCES, ": Permission denied"},
        {CALL_LSTAT, 1, EACCES, " its owner and group: Permission denied"},
        {CALL_LISTEN, 1, EINVAL, ": Invalid argument"},
        {CALL_FLOCK, 1, ENOLCK, NULL}, /* without the lock */
        {CALL_FLOCK, 1, EWOULDBLOCK, NULL},
    };
    struct addr a = parsed(file_text);
    struct err e;
    int fd;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = next_descriptor();
        plan(&cases[i]);
        expect_end(&cases[i], i, addr_listen(&a, 16, false, &fd, &e), &e);
        assert_int_equal(access(file_text + 5, F_OK), cases[i].says ? -1 : 0);
        if (!cases[i].says)
            close(fd);
        (void)unlink(file_text + 5);
        assert_int_equal(next_descriptor(), before);
    }
}

static void an_old_socket_file_stays_where_it_is_in_doubt(void **state)
{
    (void)state;
    static const struct failing cases[] = {
        {CALL_SOCKET, 2, EMFILE, "a server answers there"},
        {CALL_CONNECT, 1, EACCES, "a server answers there"},
        {CALL_UNLINK, 1, EROFS, "cannot remove the old socket "},
        {CALL_BIND, 2, EACCES, ": Permission denied"},        /* it has been removed by then */
        {CALL_UNLINK, 1, ENOENT, ": Address already in use"}, /* so it was said, and it is there */
    };
    struct addr a = parsed(file_text);
    struct err e;
    int fd, before = next_descriptor();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)unlink(file_text + 5);
        assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
        close(fd);
        plan(&cases[i]);
        expect_end(&cases[i], i, addr_listen(&a, 16, false, &fd, &e), &e);
        assert_int_equal(fd, -1);
        assert_int_equal(access(file_text + 5, F_OK), cases[i].call == CALL_BIND ? -1 : 0);
        assert_int_equal(next_descriptor(), before);
    }
    assert_int_equal(unlink(file_text + 5), 0);
}

static void what_a_check_cannot_find_out_is_told(void **state)
{
    (void)state;
    static const struct failing cases[] = {
        {CALL_SOCKET, 1, EMFILE, "cannot listen on 127.0.0.1:0: Too many open files"},
        {CALL_SETSOCKOPT, 1, ENOBUFS, "cannot listen on 127.0.0.1:0: No buffer space available"},
        {CALL_BIND, 1, EADDRNOTAVAIL, "cannot listen on 127.0.0.1:0: Cannot assign requested"},
        {CALL_BIND, 1, EADDRINUSE, NULL}, /* by the server that runs */
        {CALL_BIND, 1, EACCES, NULL},     /* by a user who may less */
    };
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = next_descriptor();
        plan(&cases[i]);
        int rc = addr_check(&a, &e);
        assert_int_equal(errno, cases[i].reason);
        expect_end(&cases[i], i, rc, &e);
        assert_int_equal(next_descriptor(), before);
    }
}

static void what_is_asked_of_a_socket_in_vain_is_not_known(void **state)
{
    (void)state;
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int fd;
    char text[64];
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    call_plan(CALL_GETSOCKNAME, 1, EBADF);
    addr_of_socket(fd, text, sizeof text);
    assert_string_equal(text, "?");
    for (int nth = 1; nth <= 2; nth++) {
        call_plan(CALL_FCNTL, nth, EBADF);
        assert_int_equal(fd_set_nonblocking(fd), ERR_IO);
        calls_forget();
    }
    assert_int_equal(fd_set_nonblocking(fd), 0);
    close(fd);
}

static void an_address_has_the_port_that_it_is_given(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:0", "[::1]:0"};
    for (int i = 0; i < 2; i++) {
        struct addr a = parsed(texts[i]);
        assert_int_equal(addr_port(&a), 0);
        addr_set_port(&a, 40123);
        assert_int_equal(addr_port(&a), 40123);
    }
    struct addr a = parsed(file_text), b = a;
    addr_set_port(&a, 40123);
    assert_int_equal(addr_port(&a), 0);
    assert_true(addr_same(&a, &b));
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_in_a_connect_is_told),
        cmocka_unit_test(a_connect_that_a_signal_breaks_goes_on),
        cmocka_unit_test(what_fails_in_a_listen_is_told),
        cmocka_unit_test(what_fails_with_a_socket_file_is_told_and_leaves_none),
        cmocka_unit_test(an_old_socket_file_stays_where_it_is_in_doubt),
        cmocka_unit_test(what_a_check_cannot_find_out_is_told),
        cmocka_unit_test(what_is_asked_of_a_socket_in_vain_is_not_known),
        cmocka_unit_test(an_address_has_the_port_that_it_is_given),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
