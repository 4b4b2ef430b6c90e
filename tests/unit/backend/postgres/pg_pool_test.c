#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "pg_fixture.h"

/* Asks until an answer comes: every refusal says when to come back. */
static void until_up(struct fixture *f)
{
    for (;;) {
        struct ask a;
        ask_init(&a, CALL_VALUE, "SELECT 1", NULL);
        ask_wait(f, &a);
        int code = a.q.code;
        assert_true(code == 0 || code == ERR_BACKEND_DOWN);
        if (code != 0)
            assert_true(a.q.err.retry_after_ms <= 201);
        ask_fini(&a);
        if (code == 0)
            return;
    }
}

static void a_killed_server_fails_what_is_in_the_air_and_is_found_again(void **state)
{
    struct fixture *f = opened(state, 2);
    enum { N = 20 };
    struct ask asks[N];
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    for (int i = 0; i < N; i++) {
        ask_init(&asks[i], CALL_VALUE, "SELECT pg_sleep(600)", NULL);
        ask_send(f, &asks[i]);
    }
    for (int i = 0; i < 10; i++)
        ev_run(f->loop, EVRUN_NOWAIT);
    assert_int_equal(pg_server_stop(f->server, "immediate"), 0);
    for (int i = 0; i < N; i++) {
        fixture_wait(f, &asks[i].done, 1);
        assert_string_equal(err_name(asks[i].q.code), "BACKEND_DOWN");
        const char *said = asks[i].q.err.text; /* the third: libpq met the end inside an answer */
        if (!strstr(said, "connection broke: ") && !strstr(said, "cannot ") &&
            !strstr(said, "closed the connection") && !strstr(said, "57P0"))
            fail_msg("%s", said);
        ask_fini(&asks[i]);
    }
    assert_true(stats(f).disconnects >= 1);
    fails(f, CALL_VALUE, "SELECT 1", NULL, ERR_BACKEND_DOWN, "backend \"main\": ");
    assert_int_equal(pg_server_start(f->server), 0);
    until_up(f);
    gives(f, CALL_VALUE, "SELECT 2", NULL, "2");
    fixture_close(f);
}

static void a_terminated_connection_is_replaced(void **state)
{
    struct fixture *f = opened(state, 1);
    struct fixture other = *f;
    fixture_open(&other, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    struct ask running, behind;
    ask_init(&running, CALL_VALUE, "SELECT pg_sleep(600)", NULL);
    ask_init(&behind, CALL_VALUE, "SELECT 'behind'", NULL);
    ask_send(f, &running);
    ask_send(f, &behind);
    const char *terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                            "state = 'active' AND query = 'SELECT pg_sleep(600)'";
    for (int done = 0; !done;) {
        struct ask a;
        ask_init(&a, CALL_VALUE, terminate, NULL);
        ask_wait(&other, &a);
        assert_int_equal(a.q.code, 0);
        done = a.q.result.data[0];
        ask_fini(&a);
    }
    fixture_wait(f, &running.done, 1);
    fixture_wait(f, &behind.done, 1);
    assert_int_equal(running.q.code, ERR_BACKEND_DOWN);
    assert_non_null(strstr(running.q.err.text, "57P01"));
    assert_int_equal(behind.q.code, ERR_BACKEND_DOWN);
    assert_non_null(strstr(behind.q.err.text, "57P01"));
    ask_fini(&running);
    ask_fini(&behind);
    /* It had served: no backoff, the next query connects and is answered. */
    gives(f, CALL_VALUE, "SELECT 2", NULL, "2");
    assert_int_equal(stats(f).connects, 2);
    /* While idle. */
    gives(&other, CALL_VALUE,
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
          "WHERE query = 'SELECT 2' AND state = 'idle'",
          NULL, "1");
    until_up(f);
    fixture_close(&other);
    fixture_close(f);
}

static void a_refused_connect_fails_and_then_fails_at_once(void **state)
{
    struct fixture *f = *state;
    char later[128], url[256];
    snprintf(later, sizeof later, "%s/later", f->server->folder);
    snprintf(url, sizeof url, "postgresql://postgres@/postgres?host=%s", later);
    fixture_configure(f);
    f->own.url = url;
    f->own.reconnect_base_ms = f->own.reconnect_cap_ms = 1000000;
    fixture_open(f, 2);
    struct ask first, second;
    ask_init(&first, CALL_VALUE, "SELECT 1", NULL);
    ask_init(&second, CALL_VALUE, "SELECT 1", NULL);
    ask_send(f, &first);
    assert_int_equal(first.done, 0);
    fixture_wait(f, &first.done, 1);
    assert_int_equal(first.q.code, ERR_BACKEND_DOWN);
    assert_non_null(strstr(first.q.err.text, later));
    assert_true(first.q.err.retry_after_ms > 0);
    assert_int_equal(symlink(f->server->folder, later), 0); /* a connect would succeed by now */
    ask_send(f, &second);
    fixture_wait(f, &second.done, 1);
    assert_int_equal(second.q.code, ERR_BACKEND_DOWN);
    assert_int_equal(unlink(later), 0);
    assert_int_equal(stats(f).connects, 0);
    ask_fini(&first);
    ask_fini(&second);
    fixture_close(f);
}

static void a_name_is_looked_up_and_a_closed_port_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    char url[128];
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, and nobody listens */
    assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    snprintf(url, sizeof url, "host=localhost,127.0.0.1 port=%d,%d user=x password=geheim",
             ntohs(any.sin_port), ntohs(any.sin_port));
    fixture_configure(f);
    f->own.url = url;
    fixture_open(f, 1);
    struct ask a;
    ask_init(&a, CALL_VALUE, "SELECT 1", NULL);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BACKEND_DOWN);
    assert_non_null(strstr(a.q.err.text, "127.0.0.1"));
    assert_null(strstr(a.q.err.text, "geheim"));
    ask_fini(&a);
    /* Ends while a look-up may still run. */
    ask_init(&a, CALL_VALUE, "SELECT 1", NULL);
    ask_send(f, &a);
    backend_cancel(f->backend, &a.q);
    ask_fini(&a);
    fixture_close(f);
    close(fd);
}

static void a_server_that_does_not_answer_is_given_up_in_time(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/rtcache-mute-XXXXXX", url[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path.sun_path, sizeof path.sun_path, "%s/.s.PGSQL.5432", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&path, sizeof path), 0);
    assert_int_equal(listen(fd, 5), 0);
    snprintf(url, sizeof url, "postgresql:///x?host=%s", folder);
    fixture_configure(f);
    f->own.url = url;
    f->own.connect_timeout_ms = 100;
    f->own.reconnect_base_ms = f->own.reconnect_cap_ms = 1000000; /* one connect, no second */
    fixture_open(f, 1);
    fails(f, CALL_VALUE, "SELECT 1", NULL, ERR_BACKEND_DOWN, "no answer within 100 ms");
    assert_int_equal(stats(f).timeouts, 1);
    fixture_close(f);
    close(fd);
    unlink(path.sun_path);
    rmdir(folder);
}

static void a_url_that_cannot_be_read_is_refused_without_its_password(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"postgresql://u:geheim@[::1", "host=x geheim",
                                      "postgresql://u:%zzgeheim@h/db", "nope=1 password=geheim"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct backend *b;
        struct err e;
        fixture_configure(f);
        f->own.url = bad[i];
        assert_int_equal(backend_new(&b, f->loop, &f->conf, 1, &e), ERR_CONFIG);
        assert_null(b);
        assert_non_null(strstr(e.text, "backend 'main': the url"));
        assert_null(strstr(e.text, "geheim"));
    }
}

static void a_procedure_may_commit_on_its_own(void **state)
{
    struct fixture *f = opened(state, 1);
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    gives(f, CALL_COUNT, "CREATE PROCEDURE two() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$", NULL,
          "0");
    gives(f, CALL_COUNT, "CALL two()", NULL, "0");
    gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    assert_int_equal(stats(f).disconnects, 0);
    fixture_close(f);
}

static void until_open(struct fixture *f, uint32_t connections)
{
    struct ev_timer watchdog;
    ev_now_update(f->loop);
    ev_timer_init(&watchdog, fixture_on_watchdog, WATCHDOG_S, 0);
    ev_timer_start(f->loop, &watchdog);
    while (stats(f).connections < connections)
        ev_run(f->loop, EVRUN_ONCE);
    ev_timer_stop(f->loop, &watchdog);
}

static void connections_open_as_they_are_needed(void **state)
{
    struct fixture *f = opened(state, 3);
    struct fixture other = *f;
    struct ask a[4];
    fixture_open(&other, 1);
    for (int i = 0; i < 5; i++)
        gives(f, CALL_VALUE, "SELECT 1", NULL, "1");
    /* The one in use, and one that is kept idle, which may be there already. */
    assert_in_range(stats(f).connections, 1, 2);
    gives(&other, CALL_VALUE, "SELECT 1 FROM pg_advisory_lock(7)", NULL, "1");
    for (int i = 0; i < 4; i++) /* the last is one more than there are connections */
        ask_init(&a[i], CALL_VALUE, "SELECT 1 FROM pg_advisory_xact_lock_shared(7)", NULL);
    for (uint32_t i = 0; i < 4; i++) {
        ask_send(f, &a[i]);
        until_open(f, i < 1 ? 2 : 3); /* one beside those that have something to do */
        assert_int_equal(stats(f).connections, i < 1 ? 2 : 3);
        assert_int_equal(stats(f).idle, i < 2 ? 1 : 0);
        assert_int_equal(stats(f).in_flight, i + 1);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(a[i].done, 0);
    gives(&other, CALL_VALUE, "SELECT pg_advisory_unlock(7)", NULL, "true");
    for (int i = 0; i < 4; i++) {
        fixture_wait(f, &a[i].done, 1);
        result_is(&a[i].q, "1");
        ask_fini(&a[i]);
    }
    assert_int_equal(stats(f).connects, 3);
    assert_int_equal(stats(f).idle, 3);
    gives(f, CALL_VALUE,
          "SELECT application_name FROM pg_stat_activity WHERE pid = "
          "pg_backend_pid()",
          NULL, "\"rtcache\"");
    fixture_close(&other);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_open_as_they_are_needed),
        cmocka_unit_test(a_killed_server_fails_what_is_in_the_air_and_is_found_again),
        cmocka_unit_test(a_terminated_connection_is_replaced),
        cmocka_unit_test(a_refused_connect_fails_and_then_fails_at_once),
        cmocka_unit_test(a_name_is_looked_up_and_a_closed_port_is_refused),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up_in_time),
        cmocka_unit_test(a_url_that_cannot_be_read_is_refused_without_its_password),
        cmocka_unit_test(a_procedure_may_commit_on_its_own),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
