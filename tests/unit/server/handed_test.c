/* What is read of the sockets that a service manager hands over. The specs hand over real ones to a
 * real server; here is what they cannot make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/handed.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static void say(const char *count, const char *names)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

/* fd becomes descriptor 3. */
static void hand_over(int fd)
{
    assert_true(fd >= 0);
    if (fd != HANDED_FIRST) {
        assert_int_equal(dup2(fd, HANDED_FIRST), HANDED_FIRST);
        close(fd);
    }
}

static int listening(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void assert_refused(const char *text)
{
    static struct handed h;
    struct err e;
    assert_int_equal(handed_read(&h, &e), ERR_CONFIG);
    if (!strstr(e.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, e.text);
}

static void nothing_is_handed_over_where_nothing_says_so(void **state)
{
    (void)state;
    static const char *const missing[] = {"LISTEN_PID", "LISTEN_FDS"};
    static struct handed h;
    struct err e;
    for (size_t i = 0; i < 2; i++) {
        say("1", NULL);
        unsetenv(missing[i]);
        assert_int_equal(handed_read(&h, &e), 0);
        assert_int_equal(h.count, 0);
    }
    say("0", NULL);
    assert_int_equal(handed_read(&h, &e), 0);
    assert_int_equal(h.count, 0);
}

static void one_is_taken_once_and_the_environment_tells_no_child(void **state)
{
    (void)state;
    static struct handed h;
    struct handed_socket *first, *second;
    struct err e;
    hand_over(listening());
    say("1", "web");
    assert_int_equal(handed_read(&h, &e), 0);
    assert_int_equal(h.count, 1);
    assert_string_equal(h.at[0].name, "web");
    assert_false(h.at[0].addr.tls);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_true(fcntl(HANDED_FIRST, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(HANDED_FIRST, F_GETFL) & O_NONBLOCK);

    struct addr other = h.at[0].addr;
    addr_set_port(&other, addr_port(&other) == 1 ? 2 : 1);
    assert_int_equal(handed_take(&h, &other, &first, &e), 0);
    assert_null(first);
    assert_null(handed_of_port(&h, &other));
    assert_ptr_equal(handed_of_port(&h, &h.at[0].addr), &h.at[0]);
    assert_int_equal(handed_take(&h, &h.at[0].addr, &first, &e), 0);
    assert_ptr_equal(first, &h.at[0]);
    assert_int_equal(handed_take(&h, &h.at[0].addr, &second, &e), 0);
    assert_null(second);
    close(HANDED_FIRST);
}

static void a_name_asks_for_tls_by_its_first_word(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool tls;
    } all[] = {{"tls", true},   {"tls-a", true},  {"tls-", true},
               {"tlsx", false}, {"a-tls", false}, {"", false}};
    static struct handed h;
    struct err e;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        hand_over(listening());
        say("1", all[i].name);
        assert_int_equal(handed_read(&h, &e), 0);
        assert_int_equal(h.at[0].addr.tls, all[i].tls);
        close(HANDED_FIRST);
    }
}

static void a_socket_without_a_path_is_shown_by_its_name_in_the_kernel(void **state)
{
    (void)state;
    static struct handed h;
    struct handed_socket *found;
    struct err e;
    char name[64];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int n = snprintf(name, sizeof name, "rtcache-test-%d", (int)getpid());
    memcpy(un.sun_path + 1, name, (size_t)n);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    hand_over(fd);
    say("1", NULL);
    assert_int_equal(handed_read(&h, &e), 0);
    assert_string_equal(h.at[0].name, "unknown");
    assert_memory_equal(h.at[0].addr.text, "unix:@", 6);
    assert_string_equal(h.at[0].addr.text + 6, name);
    /* It is no file, so no path of a configuration is its. */
    struct addr empty = {.sa_size = sizeof(struct sockaddr_un)};
    empty.sa.ss_family = AF_UNIX;
    assert_int_equal(handed_take(&h, &empty, &found, &e), 0);
    assert_null(found);
    close(HANDED_FIRST);
}

static void what_is_no_socket_to_listen_on_is_refused(void **state)
{
    (void)state;
    close(HANDED_FIRST);
    say("1", "gone");
    assert_refused("descriptor 3 (\"gone\") is not open");
    hand_over(open("/dev/null", O_RDONLY));
    assert_refused("descriptor 3 (\"gone\") is no socket");
    hand_over(socket(AF_INET, SOCK_STREAM, 0));
    assert_refused("descriptor 3 (\"gone\") does not listen; it has to be one of ListenStream=");
    hand_over(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    assert_refused("descriptor 3 (\"gone\") is a socket of datagrams or packets");
    hand_over(socket(AF_NETLINK, SOCK_RAW, 0));
    assert_refused("has the address family 16; IPv4, IPv6 and Unix are served");
    close(HANDED_FIRST);
    assert_non_null(getenv("LISTEN_FDS"));
}

static void numbers_and_names_have_bounds(void **state)
{
    (void)state;
    char names[2 * HANDED_NAME_MAX];
    static struct handed h;
    struct err e;
    memset(names, 'n', sizeof names);
    for (size_t size = HANDED_NAME_MAX; size <= HANDED_NAME_MAX + 1; size++) {
        names[size] = '\0';
        hand_over(listening());
        say("1", names);
        if (size > HANDED_NAME_MAX)
            assert_refused("LISTEN_FDNAMES: a name has more than 255 bytes");
        else
            assert_int_equal(handed_read(&h, &e), 0);
        names[size] = 'n';
    }
    close(HANDED_FIRST);
    say("65", NULL);
    assert_refused("LISTEN_FDS is 65; at most 64 sockets are taken");
    say("1x", NULL);
    assert_refused("LISTEN_FDS is \"1x\", no number");
    say("99999999999999999999", NULL);
    assert_refused("no number");
    say("1", "a:");
    assert_refused("LISTEN_FDNAMES has 2 names, and LISTEN_FDS is 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_handed_over_where_nothing_says_so),
        cmocka_unit_test(one_is_taken_once_and_the_environment_tells_no_child),
        cmocka_unit_test(a_name_asks_for_tls_by_its_first_word),
        cmocka_unit_test(a_socket_without_a_path_is_shown_by_its_name_in_the_kernel),
        cmocka_unit_test(what_is_no_socket_to_listen_on_is_refused),
        cmocka_unit_test(numbers_and_names_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
