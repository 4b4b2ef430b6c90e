/* A server, or something before it, whose answers do not fit what was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pg_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

/* What happens to the n-th message of a type, on the first connection that passes through. */
struct change {
    char type;
    int n;
    bool twice; /* else it is left out */
};

/* libpq 15 forgets a result that it was making when the end of the transaction comes. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:PQmakeEmptyPGresult\n";
}

struct between {
    char folder[64];
    pid_t pid;
};

static int at_path(const char *folder, struct sockaddr_un *addr)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(addr->sun_path, sizeof addr->sun_path, "%.80s/.s.PGSQL.5432", folder);
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static bool put_all(int fd, const char *data, size_t size)
{
    for (ssize_t n; size > 0; data += n, size -= (size_t)n)
        if ((n = write(fd, data, size)) <= 0)
            return false;
    return true;
}

/* Passes on whole messages; how many bytes are left. */
static size_t pass_messages(int to, char *data, size_t size, struct change *change)
{
    size_t at = 0;
    while (size - at >= 5) {
        uint32_t length;
        memcpy(&length, data + at + 1, 4);
        size_t whole = 1 + (size_t)ntohl(length);
        if (size - at < whole)
            break;
        bool hit = change && data[at] == change->type && --change->n == 0;
        int times = hit ? (change->twice ? 2 : 0) : 1;
        while (times-- > 0)
            if (!put_all(to, data + at, whole))
                _exit(0);
        at += whole;
    }
    memmove(data, data + at, size - at);
    return size - at;
}

static void pass(int client, int server, struct change *change)
{
    static char data[1 << 20], from_client[1 << 16];
    size_t size = 0;
    struct pollfd both[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    while (poll(both, 2, -1) > 0) {
        if (both[0].revents) {
            ssize_t n = read(client, from_client, sizeof from_client);
            if (n <= 0 || !put_all(server, from_client, (size_t)n))
                _exit(0);
        }
        if (both[1].revents) {
            ssize_t n = read(server, data + size, sizeof data - size);
            if (n <= 0)
                _exit(0);
            size = pass_messages(client, data, size + (size_t)n, change);
        }
    }
    _exit(0);
}

static struct between begin_between(const struct fixture *f, struct change change)
{
    struct between b = {.folder = "/tmp/rtcache-mid-XXXXXX"};
    struct sockaddr_un own, other;
    assert_non_null(mkdtemp(b.folder));
    int listener = at_path(b.folder, &own);
    assert_int_equal(bind(listener, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(listen(listener, 10), 0);
    b.pid = fork();
    if (b.pid != 0) {
        close(listener);
        return b;
    }
    signal(SIGCHLD, SIG_IGN);
    close(STDOUT_FILENO); /* whoever reads it does not wait for this process */
    close(STDERR_FILENO);
    for (int i = 0;; i++) {
        int client = accept(listener, NULL, NULL), server = at_path(f->server->folder, &other);
        if (fork() == 0) {
            if (connect(server, (struct sockaddr *)&other, sizeof other) != 0)
                _exit(1);
            pass(client, server, i == 0 ? &change : NULL);
        }
        close(client);
        close(server);
    }
}

static void end_between(struct between *b)
{
    struct sockaddr_un own;
    close(at_path(b->folder, &own));
    kill(b->pid, SIGKILL);
    assert_int_equal(waitpid(b->pid, NULL, 0), b->pid);
    unlink(own.sun_path);
    rmdir(b->folder);
}

/* Queries through it: the one that the change hits is answered or fails as by a connection that
 * broke, never with nothing; all after it are answered. */
static void expect_a_new_connection(struct fixture *f, struct change change)
{
    struct between b = begin_between(f, change);
    char url[160];
    int failed = 0;
    snprintf(url, sizeof url, "postgresql:///postgres?host=%s&user=postgres&sslmode=disable",
             b.folder);
    fixture_configure(f);
    f->own.url = url;
    fixture_open(f, 1);
    for (int i = 0; i < 8; i++) {
        struct ask a;
        char params[16];
        ask_init(&a, CALL_VALUE, i % 2 ? "SELECT $1::int" : "SELECT $1::int + 0", NULL);
        snprintf(params, sizeof params, "[%d]", i);
        assert_int_equal(json_to_mp(slice_str(params), &a.params, NULL), 0);
        a.q.params = buf_slice(&a.params);
        ask_wait(f, &a);
        if (a.q.code != 0) {
            assert_string_equal(err_name(a.q.code), "BACKEND_DOWN");
            failed++;
        } else {
            snprintf(params, sizeof params, "%d", i);
            result_is(&a.q, params);
        }
        ask_fini(&a);
    }
    if (failed > 1 || stats(f).disconnects != 1)
        fail_msg("%c %d: %d failed, %d connections were lost", change.type, change.n, failed,
                 (int)stats(f).disconnects);
    fixture_close(f);
    end_between(&b);
}

/* From the second query on: a connection that never answered would be left alone for a while. */
static void an_answer_that_lacks_a_part_ends_its_connection(void **state)
{
    static const struct change changes[] = {{'C', 2, false}, {'C', 3, false}, {'C', 5, false}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        expect_a_new_connection(*state, changes[i]);
}

static void an_answer_with_a_part_too_many_ends_its_connection(void **state)
{
    static const struct change changes[] = {{'C', 2, true}, {'C', 4, true}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        expect_a_new_connection(*state, changes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_lacks_a_part_ends_its_connection),
        cmocka_unit_test(an_answer_with_a_part_too_many_ends_its_connection),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
