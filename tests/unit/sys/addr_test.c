#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/addr.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
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
    struct addrs all;
    struct err e;
    assert_int_equal(addr_resolve(&all, text, &e), 0);
    return all.at[0];
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

    assert_string_equal(a.host, "::1");
    assert_false(a.tls);

    a = parsed("tls:localhost:7412");
    assert_true(a.tls);
    assert_true(addr_is_loopback(&a));
    assert_string_equal(a.host, "localhost");
    a = parsed("tls::7412");
    assert_string_equal(a.host, "127.0.0.1");
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

static void a_name_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct addrs all;
    struct err e;
    assert_int_equal(addr_resolve(&all, "127.0.0.1.5:80", &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "127.0.0.1.5:80"));
    assert_int_equal(addr_resolve(&all, "::1:80", &e), ERR_CONFIG); /* address_test.c has more */
}

static void expect_echo(const struct addr *a, int listener)
{
    struct err e;
    int client;
    char byte = 0;
    struct addrs one = {.count = 1, .at = {*a}};
    assert_int_equal(addr_connect(&one, 5000, &client, &e), 0);
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
    struct addrs one = {.count = 1, .at = {a}};
    assert_int_equal(addr_connect(&one, 5000, &client, &e), ERR_IO);
    assert_int_equal(client, -1);
    assert_non_null(strstr(e.text, "Connection refused"));
}

/* "localhost" is ::1 and 127.0.0.1 on most machines, and a server may listen on one of them. */
static void tries_every_address_of_a_name(void **state)
{
    (void)state;
    struct addr a = parsed("127.0.0.1:0");
    struct err e;
    int fd, closed, client;
    char text[64], unused[64];
    assert_int_equal(addr_listen(&a, 16, false, &closed, &e), 0);
    addr_of_socket(closed, unused, sizeof unused);
    close(closed);
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    addr_of_socket(fd, text, sizeof text);
    struct addrs all = {.count = 3, .at = {parsed(unused), parsed(unused), parsed(text)}};
    assert_int_equal(addr_connect(&all, 5000, &client, &e), 0);
    close(client);
    close(fd);
    assert_int_equal(addr_connect(&all, 5000, &client, &e), ERR_IO);
    assert_non_null(strstr(e.text, "Connection refused"));
}

/* An address that does not answer leaves time for the next one. */
static void an_address_that_does_not_answer_leaves_time_for_the_next(void **state)
{
    (void)state;
    char full[100], open_text[100];
    snprintf(full, sizeof full, "unix:%s/full.sock", folder);
    snprintf(open_text, sizeof open_text, "unix:%s/open.sock", folder);
    struct err e;
    struct addr a = parsed(full), b = parsed(open_text);
    int fd, open_fd, waiting[64], n = 0, client;
    assert_int_equal(addr_listen(&a, 1, false, &fd, &e), 0);
    assert_int_equal(addr_listen(&b, 16, false, &open_fd, &e), 0);
    struct addrs one = {.count = 1, .at = {a}}, both = {.count = 2, .at = {a, b}};
    while (n < 64 && addr_connect(&one, 20, &waiting[n], &e) == 0)
        n++;
    assert_int_equal(addr_connect(&both, 200, &client, &e), 0);
    close(client);
    while (n > 0)
        close(waiting[--n]);
    close(fd);
    close(open_fd);
    unlink(full + 5);
    unlink(open_text + 5);
}

/* As glibc does where /etc/hosts names 127.0.0.1 and ::1 localhost: it gives some twice. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*of_libc)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&of_libc = dlsym(RTLD_NEXT, "getaddrinfo");
    int rc = of_libc(node, service, hints, found);
    if (rc != 0 || strcmp(node, "localhost") != 0)
        return rc;
    while (*found)
        found = &(*found)->ai_next;
    return of_libc(node, service, hints, found);
}

static void an_address_is_listed_once(void **state)
{
    (void)state;
    struct addrs all;
    struct err e;
    assert_int_equal(addr_resolve(&all, "localhost:7411", &e), 0);
    for (unsigned i = 0; i < all.count; i++)
        for (unsigned k = 0; k < i; k++)
            assert_false(addr_same(&all.at[i], &all.at[k]));
    assert_int_equal(addr_port(&all.at[0]), 7411);
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
    struct addrs one = {.count = 1, .at = {a}};
    while (n < 64 && (rc = addr_connect(&one, 20, &waiting[n], &e)) == 0)
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

/* Whether an address could be listened on, as --check asks, without listening there. */
static void what_could_be_listened_on_is_told_without_doing_it(void **state)
{
    (void)state;
    char text[100], wanted[256];
    struct err e;
    int fd;
    snprintf(text, sizeof text, "unix:%s/check.sock", folder);
    struct addr a = parsed(text);
    assert_int_equal(addr_check(&a, &e), 0);
    assert_int_not_equal(access(text + 5, F_OK), 0);
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    assert_int_equal(addr_check(&a, &e), 0); /* a server that runs may be its own */
    close(fd);
    assert_int_equal(addr_check(&a, &e), 0);
    unlink(text + 5);
    fd = open(text + 5, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(addr_check(&a, &e), ERR_IO);
    snprintf(wanted, sizeof wanted, "cannot listen on %s: the file exists and is no socket", text);
    assert_string_equal(e.text, wanted);
    unlink(text + 5);
    snprintf(text, sizeof text, "unix:%s/none/s.sock", folder);
    a = parsed(text);
    assert_int_equal(addr_check(&a, &e), ERR_IO);
    snprintf(wanted, sizeof wanted, "cannot listen on %s: No such file or directory", text);
    assert_string_equal(e.text, wanted);
    a = parsed("127.0.0.1:0");
    assert_int_equal(addr_check(&a, &e), 0);
    assert_int_equal(addr_listen(&a, 16, false, &fd, &e), 0);
    char real[128];
    addr_of_socket(fd, real, sizeof real);
    a = parsed(real);
    assert_int_equal(addr_check(&a, &e), 0); /* in use, perhaps by the server that runs */
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    a = parsed("192.0.2.1:7411"); /* of no machine */
    assert_int_equal(addr_check(&a, &e), ERR_IO);
    assert_string_equal(e.text, "cannot listen on 192.0.2.1:7411: Cannot assign requested address");
}

/* Who may connect is right from the file's first moment: nothing changes it afterwards. */
static void a_socket_file_has_its_permissions_from_the_beginning(void **state)
{
    (void)state;
    char text[100], events[4096];
    struct stat st;
    struct err e;
    static const int modes[] = {0600, 0660, 0666, 0200};
    snprintf(text, sizeof text, "unix:%s/mode.sock", folder);
    struct addr a = parsed(text);
    mode_t mask = umask(027);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int fd, watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        const struct addr_file file = {.mode = modes[i], .uid = -1, .gid = -1};
        assert_true(inotify_add_watch(watch, folder, IN_CREATE | IN_ATTRIB | IN_MOVED_TO) >= 0);
        assert_int_equal(addr_listen_unix(&a, 16, &file, &fd, &e), 0);
        assert_int_equal(stat(text + 5, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        assert_true(read(watch, events, sizeof events) > 0);
        assert_int_equal(((struct inotify_event *)events)->mask, IN_CREATE);
        assert_int_equal(read(watch, events, sizeof events), -1);
        assert_int_equal(umask(027), 027); /* that of the process is as it was */
        expect_echo(&a, fd);
        close(fd);
        unlink(text + 5);
        close(watch);
    }
    umask(mask);
}

static void a_socket_file_belongs_to_whom_it_is_given(void **state)
{
    (void)state;
    char text[100];
    struct stat st;
    struct err e;
    int fd;
    snprintf(text, sizeof text, "unix:%s/owner.sock", folder);
    struct addr a = parsed(text);
    struct addr_file file = {.mode = 0660, .uid = (int64_t)geteuid(), .gid = (int64_t)getegid()};
    assert_int_equal(addr_listen_unix(&a, 16, &file, &fd, &e), 0);
    close(fd);
    unlink(text + 5);
    file.uid = 64001;
    file.gid = 64001;
    if (geteuid() == 0) {
        assert_int_equal(addr_listen_unix(&a, 16, &file, &fd, &e), 0);
        assert_int_equal(stat(text + 5, &st), 0);
        assert_int_equal(st.st_uid, 64001);
        assert_int_equal(st.st_gid, 64001);
        assert_int_equal(st.st_mode & 07777, 0660);
        close(fd);
        unlink(text + 5);
    } else {
        assert_int_equal(addr_listen_unix(&a, 16, &file, &fd, &e), ERR_IO);
        assert_non_null(strstr(e.text, "owner and group: Operation not permitted"));
        assert_int_equal(fd, -1);
        assert_int_equal(access(text + 5, F_OK), -1); /* it leaves none behind */
    }
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_forms_that_users_write),
        cmocka_unit_test(a_name_that_is_not_there_is_named),
        cmocka_unit_test(listens_on_a_port_that_the_system_chooses),
        cmocka_unit_test(refuses_a_port_in_use_unless_it_is_shared),
        cmocka_unit_test(says_why_it_cannot_connect),
        cmocka_unit_test(tries_every_address_of_a_name),
        cmocka_unit_test(an_address_that_does_not_answer_leaves_time_for_the_next),
        cmocka_unit_test(an_address_is_listed_once),
        cmocka_unit_test(gives_up_a_connect_that_nobody_takes),
        cmocka_unit_test(takes_over_the_socket_of_a_server_that_died),
        cmocka_unit_test(removes_no_file_that_is_not_a_socket),
        cmocka_unit_test(a_socket_file_has_its_permissions_from_the_beginning),
        cmocka_unit_test(a_socket_file_belongs_to_whom_it_is_given),
        cmocka_unit_test(what_could_be_listened_on_is_told_without_doing_it),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
