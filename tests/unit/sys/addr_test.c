#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int folder_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/rtcache-addr-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct addr parsed(const char *text)
{
    struct addr a;
    struct err e;
    assert_int_equal(addr_parse(text, &a, &e), 0);
    return a;
}

static void reads_the_forms_that_users_write(void **state)
{
    (void)state;
    struct addr a = parsed("127.0.0.1:7411");
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a.sa;
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 7411);
    assert_string_equal(a.text, "127.0.0.1:7411");
    assert_true(addr_is_loopback(&a));

    a = parsed(":80");
    assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(ntohs(v4->sin_port), 80);

    a = parsed("[::1]:65535");
    assert_int_equal(a.sa.ss_family, AF_INET6);
    assert_true(addr_is_loopback(&a));
    assert_false(addr_is_unix(&a));

    char host[64];
    addr_host(&a, host, sizeof host);
    assert_string_equal(host, "::1");
    assert_false(a.tls);

    a = parsed("tls:localhost:7412");
    assert_true(a.tls);
    assert_true(addr_is_loopback(&a));
    addr_host(&a, host, sizeof host);
    assert_string_equal(host, "localhost");
    a = parsed("tls::7412");
    addr_host(&a, host, sizeof host);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(ntohs(v4->sin_port), 7412);
    assert_string_equal(a.text, "tls::7412");

    a = parsed("unix:/run/rtcache.sock");
    assert_false(a.tls);
    assert_true(addr_is_unix(&a));
    assert_true(addr_is_loopback(&a));

    a = parsed("0.0.0.0:7411");
    assert_false(addr_is_loopback(&a));
    a = parsed("[::]:7411");
    assert_false(addr_is_loopback(&a));
    a = parsed("[::ffff:127.0.0.1]:1");
    assert_true(addr_is_loopback(&a));
    a = parsed("[::ffff:10.0.0.1]:1");
    assert_false(addr_is_loopback(&a));
}

static void says_what_is_wrong_with_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"", "\"host:port\""},
        {"localhost", "\"host:port\""},
        {"127.0.0.1:", "the port is a number"},
        {"127.0.0.1:http", "the port is a number"},
        {"127.0.0.1:65536", "the port is a number"},
        {"127.0.0.1:-1", "the port is a number"},
        {"127.0.0.1:4294967376", "the port is a number"},
        {"::1:7411", "in brackets"},
        {"[::1]", "\"[IPv6 address]:port\""},
        {"[::1]7411", "\"[IPv6 address]:port\""},
        {"[", "\"host:port\""},
        {"[:1", "\"[IPv6 address]:port\""},
        {"unix:", "absolute path"},
        {"unix:run/x.sock", "absolute path"},
        {"127.0.0.1.5:80", "127.0.0.1.5:80"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct addr a;
        struct err e;
        err_clear(&e);
        assert_int_equal(addr_parse(wrong[i].text, &a, &e), ERR_CONFIG);
        if (!strstr(e.text, wrong[i].says))
            fail_msg("\"%s\" gave \"%s\"", wrong[i].text, e.text);
    }
    char text[200];
    struct addr a;
    struct err e;
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:/", 6);
    text[5 + 107] = '\0';
    assert_int_equal(addr_parse(text, &a, &e), 0);
    text[5 + 107] = 'x';
    text[5 + 108] = '\0';
    assert_int_equal(addr_parse(text, &a, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "107 bytes"));
    text[5 + 108] = 'x';
    text[199] = '\0';
    assert_int_equal(addr_parse(text, &a, &e), ERR_CONFIG);
}

static void expect_echo(const struct addr *a, int listener)
{
    struct err e;
    int client;
    char byte = 0;
    assert_int_equal(addr_connect(a, 5000, &client, &e), 0);
    assert_int_equal(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(client, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    int server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(write(server, "x", 1), 1);
    assert_int_equal(read(client, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(server);
    close(client);
}

static void listens_on_a_port_that_the_system_chooses(void **state)
{
    (void)state;
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int fd;
    char text[64];
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    addr_of_socket(fd, text, sizeof text);
    assert_memory_equal(text, "127.0.0.1:", 10);
    assert_string_not_equal(text, "127.0.0.1:0");
    struct addr real = parsed(text);
    expect_echo(&real, fd);
    close(fd);
}

static void refuses_a_port_in_use_unless_it_is_shared(void **state)
{
    (void)state;
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int first, second;
    char text[64];
    assert_int_equal(addr_listen(&a, 16, true, &first, &e), 0);
    addr_of_socket(first, text, sizeof text);
    a = parsed(text);
    assert_int_equal(addr_listen(&a, 16, false, &second, &e), ERR_IO);
    assert_int_equal(second, -1);
    assert_non_null(strstr(e.text, text));
    assert_non_null(strstr(e.text, "Address already in use"));
    assert_int_equal(addr_listen(&a, 16, true, &second, &e), 0);
    close(first);
    close(second);
}

static void says_why_it_cannot_connect(void **state)
{
    (void)state;
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int fd, client;
    char text[64];
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    addr_of_socket(fd, text, sizeof text);
    close(fd);
    a = parsed(text);
    assert_int_equal(addr_connect(&a, 5000, &client, &e), ERR_IO);
    assert_int_equal(client, -1);
    assert_non_null(strstr(e.text, "Connection refused"));
}

static void gives_up_a_connect_that_nobody_takes(void **state)
{
    (void)state;
    char text[100];
    snprintf(text, sizeof text, "unix:%s/full.sock", folder);
    struct addr a = parsed(text);
    struct err e;
    int fd, waiting[64], n = 0, rc = 0;
    assert_int_equal(addr_listen(&a, 1, false, &fd, &e), 0);
    while (n < 64 && (rc = addr_connect(&a, 20, &waiting[n], &e)) == 0)
        n++;
    assert_int_equal(rc, ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "no answer within 20 ms"));
    while (n > 0)
        close(waiting[--n]);
    close(fd);
    unlink(text + 5);
}

static void takes_over_the_socket_of_a_server_that_died(void **state)
{
    (void)state;
    char text[100], real[128];
    snprintf(text, sizeof text, "unix:%s/s.sock", folder);
    struct addr a = parsed(text);
    struct err e;
    int fd, other;
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    addr_of_socket(fd, real, sizeof real);
    assert_string_equal(real, text);
    assert_int_equal(addr_listen(&a, 16, false, &other, &e), ERR_IO);
    assert_non_null(strstr(e.text, "address in use"));
    close(accept(fd, NULL, NULL)); /* the attempt looked whether somebody answers */
    expect_echo(&a, fd);
    close(fd);
    assert_int_equal(access(text + 5, F_OK), 0);
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    expect_echo(&a, fd);
    close(fd);
    unlink(text + 5);
}

static void removes_no_file_that_is_not_a_socket(void **state)
{
    (void)state;
    char text[100];
    snprintf(text, sizeof text, "unix:%s/file", folder);
    int fd = open(text + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    struct addr a = parsed(text);
    struct err e;
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), ERR_IO);
    assert_non_null(strstr(e.text, "no socket"));
    assert_int_equal(access(text + 5, F_OK), 0);
    unlink(text + 5);
    snprintf(text, sizeof text, "unix:%s/none/s.sock", folder);
    a = parsed(text);
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), ERR_IO);
    assert_non_null(strstr(e.text, "No such file or directory"));
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_forms_that_users_write),
        cmocka_unit_test(says_what_is_wrong_with_an_address),
        cmocka_unit_test(listens_on_a_port_that_the_system_chooses),
        cmocka_unit_test(refuses_a_port_in_use_unless_it_is_shared),
        cmocka_unit_test(says_why_it_cannot_connect),
        cmocka_unit_test(gives_up_a_connect_that_nobody_takes),
        cmocka_unit_test(takes_over_the_socket_of_a_server_that_died),
        cmocka_unit_test(removes_no_file_that_is_not_a_socket),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
