/* What a service manager is told, at the socket that it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "server/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct ev_loop *loop;
static struct notify n;
static struct err e;
static int manager;
static char name[64];

/* A manager that listens at an abstract name. */
static int start(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(name, sizeof name, "@rtcache-notify-test-%d", (int)getpid());
    memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    loop = ev_loop_new(EVFLAG_AUTO);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    err_clear(&e);
    return bind(manager, (const struct sockaddr *)&at,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
}

static int stop(void **state)
{
    (void)state;
    notify_fini(&n);
    close(manager);
    ev_loop_destroy(loop);
    return 0;
}

/* The next text that the manager was sent; "" where there is none. */
static const char *told(void)
{
    static char text[200];
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void each_word_is_told(void **state)
{
    (void)state;
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(notify_init(&n, loop, &e), 0);
    assert_string_equal(told(), "");
    notify_ready(&n);
    assert_string_equal(told(), "READY=1");
    assert_false(ev_is_active(&n.watchdog)); /* it asks for no sign of life */
    notify_extend(&n, 12345678);
    assert_string_equal(told(), "EXTEND_TIMEOUT_USEC=12345678");
    notify_stopping(&n);
    assert_string_equal(told(), "STOPPING=1");
    assert_string_equal(told(), "");
    notify_fini(&n);
    assert_int_equal(n.fd, -1);
    notify_stopping(&n);
    assert_string_equal(told(), "");
}

static void what_cannot_be_told_is_logged(void **state)
{
    (void)state;
    char text[300];
    int log = memfd_create("log", MFD_CLOEXEC);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(notify_init(&n, loop, &e), 0);
    log_setup(log, LOG_DEBUG);
    notify_ready(&n);
    assert_int_equal(lseek(log, 0, SEEK_CUR), 0); /* it was told */
    close(manager);
    notify_stopping(&n);
    log_setup(STDERR_FILENO, LOG_INFO);
    ssize_t size = pread(log, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    assert_non_null(strstr(text, "warn  server.notify_failed text=\"STOPPING=1\" "
                                 "error=\"Connection refused\"\n"));
    close(log);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void without_a_manager_nobody_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            setenv("NOTIFY_SOCKET", "", 1);
        setenv("WATCHDOG_USEC", "none", 1);
        assert_int_equal(notify_init(&n, loop, &e), 0);
        assert_int_equal(n.fd, -1);
        notify_ready(&n);
        notify_stopping(&n);
    }
}

static void signs_of_life_come_twice_as_often_as_they_are_asked_for(void **state)
{
    (void)state;
    char pid[20];
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    for (int i = 0; i < 3; i++) {
        snprintf(pid, sizeof pid, "%d", (int)getpid() + (i == 2));
        if (i > 0)
            setenv("WATCHDOG_PID", pid, 1);
        assert_int_equal(notify_init(&n, loop, &e), 0);
        assert_false(ev_is_active(&n.watchdog)); /* not before it is ready */
        notify_ready(&n);
        assert_string_equal(told(), "READY=1");
        assert_int_equal(ev_is_active(&n.watchdog) != 0,
                         i < 2); /* of another process none are asked */
        if (i < 2) {
            assert_true(n.watchdog.repeat == 1.5);
            ev_feed_event(loop, &n.watchdog, EV_TIMER);
            ev_run(loop, EVRUN_NOWAIT);
            assert_string_equal(told(), "WATCHDOG=1");
        }
        notify_fini(&n);
        assert_false(ev_is_active(&n.watchdog));
    }
}

static void what_the_environment_says_wrong_is_told(void **state)
{
    (void)state;
    static const char *const times[] = {"0", "-1", "1s", "x", "99999999999999999999"};
    char says[300], path[200], longest[110];
    memset(longest, 'p', sizeof longest);
    longest[0] = '/';
    longest[108] = '\0';
    const char *const names[] = {"/", "@", "relative", longest};
    for (size_t i = 0; i < 4; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        snprintf(says, sizeof says, "NOTIFY_SOCKET is \"%s\", no path or abstract name", names[i]);
        assert_int_equal(notify_init(&n, loop, &e), ERR_CONFIG);
        assert_string_equal(e.text, says);
        assert_int_equal(n.fd, -1);
    }
    longest[107] = '\0';
    snprintf(path, sizeof path, "%s", longest);
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(notify_init(&n, loop, &e), 0);
    notify_fini(&n);
    setenv("NOTIFY_SOCKET", name, 1);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        setenv("WATCHDOG_USEC", times[i], 1);
        snprintf(says, sizeof says, "WATCHDOG_USEC is \"%s\", no number of microseconds", times[i]);
        assert_int_equal(notify_init(&n, loop, &e), ERR_CONFIG);
        assert_string_equal(e.text, says);
        assert_int_equal(n.fd, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, start, stop)
        ONE(each_word_is_told),
        ONE(what_cannot_be_told_is_logged),
        ONE(without_a_manager_nobody_is_told),
        ONE(signs_of_life_come_twice_as_often_as_they_are_asked_for),
        ONE(what_the_environment_says_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
