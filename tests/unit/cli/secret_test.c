/* Passwords: from files, from pipes, and typed on a terminal that does not show them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/secret.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* ---- files, texts and pipes ---- */

static void assert_secret(const struct secret *s, int rc, const char *want)
{
    assert_int_equal(rc, 0);
    assert_int_equal(s->size, strlen(want));
    assert_memory_equal(s->text, want, s->size);
}

static int of_file(const char *text, size_t size, struct secret *s, struct err *e)
{
    char path[] = "/tmp/rtcache-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
    int rc = secret_of_file(s, path, e);
    unlink(path);
    return rc;
}

static void the_first_line_of_a_file_is_taken(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"word", "word"}, {"word\n", "word"}, {"word\r\nmore\n", "word"}, {" a b \nc", " a b "}};
    struct secret s;
    struct err e;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_secret(&s, of_file(files[i][0], strlen(files[i][0]), &s, &e), files[i][1]);
}

static void a_password_has_one_byte_at_least_and_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    static char text[SECRET_MAX + 3];
    struct secret s;
    struct err e;
    memset(text, 'x', sizeof text);
    text[SECRET_MAX + 2] = '\0';
    for (size_t size = SECRET_MAX - 1; size <= SECRET_MAX + 2; size++) {
        int want = size <= SECRET_MAX ? 0 : ERR_CONFIG;
        assert_int_equal(of_file(text, size, &s, &e), want);
        if (want == 0)
            assert_int_equal(s.size, size);
        else
            assert_non_null(strstr(e.text, "has more than"));
        assert_int_equal(secret_of_text(&s, text + sizeof text - 1 - size, &e), want);
        if (want == 0)
            assert_int_equal(s.size, size);
    }
    assert_int_equal(of_file("", 0, &s, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "the password is empty"));
    assert_int_equal(of_file("\nword", 5, &s, &e), ERR_CONFIG);
    assert_int_equal(secret_of_text(&s, "", &e), ERR_CONFIG);
    assert_string_equal(e.text, "RTCACHE_PASSWORD: the password is empty");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    struct secret s;
    struct err e;
    assert_int_equal(secret_of_file(&s, "/nowhere/at/all", &e), ERR_CONFIG);
    assert_string_equal(e.text, "cannot read /nowhere/at/all: No such file or directory");
    assert_int_equal(secret_of_file(&s, "/", &e), ERR_CONFIG);
    assert_string_equal(e.text, "cannot read /: Is a directory");
    assert_int_equal(of_file("\xef\xbb\xbfword", 7, &s, &e), ERR_CONFIG);
}

static void a_pipe_is_asked_for_nothing(void **state)
{
    (void)state;
    char *said = NULL;
    size_t size = 0;
    int ends[2];
    struct secret s;
    struct err e;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "word\nmore\n", 10), 10);
    close(ends[1]);
    struct cli cli = {.in = fdopen(ends[0], "r"), .err = open_memstream(&said, &size)};
    assert_secret(&s, secret_ask(&s, &cli, true, &e), "word");
    fclose(cli.in);
    fclose(cli.err);
    assert_string_equal(said, "");
    free(said);
}

/* ---- a terminal ---- */

#define ASKED "asked\r\n" /* said last */

/* What is done when a prompt has come. */
struct reply {
    const char *prompt, *line;
    int signal; /* sent where line is NULL */
};

/* This thread asks at the near end, and another one types at the far end. */
struct terminal {
    int far;
    pthread_t asks, types;
    const struct reply *replies;
    size_t count;
    char said[1024];
};

/* Reads until this has been said; false: that never came. */
static bool await(struct terminal *t, const char *text)
{
    size_t size;
    ssize_t n;
    while (!strstr(t->said, text)) {
        size = strlen(t->said);
        if (strstr(t->said, ASKED) ||
            (n = read(t->far, t->said + size, sizeof t->said - 1 - size)) <= 0)
            return false;
        t->said[size + (size_t)n] = '\0';
    }
    return true;
}

static bool is_shown(const struct terminal *t)
{
    struct termios now;
    return tcgetattr(t->far, &now) != 0 || now.c_lflag & ECHO;
}

static void *type_all(void *arg)
{
    struct terminal *t = arg;
    for (size_t i = 0; i < t->count; i++) {
        const struct reply *r = &t->replies[i];
        if (!await(t, r->prompt))
            return NULL;
        while (is_shown(t)) /* the prompt comes first: what is typed before is thrown away */
            usleep(1000);
        while (!r->line && !is_shown(t)) { /* again, where it came before the read had begun */
            pthread_kill(t->asks, r->signal);
            usleep(1000);
        }
        if (r->line && write(t->far, r->line, strlen(r->line)) < 0)
            return NULL;
    }
    await(t, ASKED);
    return NULL;
}

/* What was asked is in `said`. The terminal shows afterwards what is typed. */
static int ask_at(struct terminal *t, bool again, struct secret *s, struct err *e)
{
    t->said[0] = '\0';
    t->asks = pthread_self();
    t->far = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(t->far >= 0);
    assert_int_equal(grantpt(t->far), 0);
    assert_int_equal(unlockpt(t->far), 0);
    int near = open(ptsname(t->far), O_RDWR | O_NOCTTY);
    assert_true(near >= 0);
    struct cli cli = {.in = fdopen(near, "r"), .err = fdopen(dup(near), "w")};
    assert_int_equal(pthread_create(&t->types, NULL, type_all, t), 0);
    int rc = secret_ask(s, &cli, again, e);
    assert_true(is_shown(t));
    fputs("asked\n", cli.err);
    fclose(cli.err);
    pthread_join(t->types, NULL);
    fclose(cli.in);
    close(t->far);
    return rc;
}

static void what_is_typed_is_not_shown(void **state)
{
    (void)state;
    const struct reply word = {"password: ", "word\n", 0};
    struct terminal t = {.replies = &word, .count = 1};
    struct secret s;
    struct err e;
    assert_secret(&s, ask_at(&t, false, &s, &e), "word");
    assert_string_equal(t.said, "password: \r\n" ASKED);
}

static void a_new_one_is_typed_twice_the_same(void **state)
{
    (void)state;
    static const struct {
        struct reply replies[2];
        int rc;
        const char *says;
    } typed[] = {
        {{{"password: ", "word\n", 0}, {"again: ", "word\n", 0}}, 0, NULL},
        {{{"password: ", "word\n", 0}, {"again: ", "w0rd\n", 0}},
         ERR_BAD_REQUEST,
         "the two are not the same"},
        {{{"password: ", "w0rd\n", 0}, {"again: ", "word\n", 0}},
         ERR_BAD_REQUEST,
         "the two are not the same"},
        {{{"password: ", "word\n", 0}, {"again: ", "words\n", 0}},
         ERR_BAD_REQUEST,
         "the two are not the same"},
        {{{"password: ", "words\n", 0}, {"again: ", "word\n", 0}},
         ERR_BAD_REQUEST,
         "the two are not the same"},
        {{{"password: ", "word\n", 0}, {"again: ", "\n", 0}},
         ERR_CONFIG,
         "standard input: the password is empty"},
    };
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        struct terminal t = {.replies = typed[i].replies, .count = 2};
        struct secret s;
        struct err e;
        int rc = ask_at(&t, true, &s, &e);
        assert_int_equal(rc, typed[i].rc);
        if (rc == 0)
            assert_secret(&s, rc, "word");
        else
            assert_string_equal(e.text, typed[i].says);
        assert_string_equal(t.said, "password: \r\nagain: \r\n" ASKED);
    }
}

static void an_empty_one_is_not_asked_for_again(void **state)
{
    (void)state;
    const struct reply nothing = {"password: ", "\n", 0};
    struct terminal t = {.replies = &nothing, .count = 1};
    struct secret s;
    struct err e;
    assert_int_equal(ask_at(&t, true, &s, &e), ERR_CONFIG);
    assert_string_equal(e.text, "standard input: the password is empty");
    assert_string_equal(t.said, "password: \r\n" ASKED);
}

static volatile sig_atomic_t signalled;

static void on_ending(int number)
{
    signalled = number;
}

/* Each signal that ends the process goes to whoever had it before, with the terminal as it was and
 * nothing left of what was typed. */
static void a_signal_finds_the_terminal_as_it_was(void **state)
{
    (void)state;
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const struct sigaction own = {.sa_handler = on_ending};
    static const struct secret nothing;
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        const struct reply replies[] = {/* without its end, but handed over */
                                        {"password: ", "half\x04", 0},
                                        {"password: ", NULL, ending[i]}};
        struct terminal t = {.replies = replies, .count = 2};
        struct secret s;
        struct err e;
        struct sigaction before;
        assert_int_equal(sigaction(ending[i], &own, &before), 0);
        signalled = 0;
        assert_int_equal(ask_at(&t, false, &s, &e), ERR_IO);
        assert_int_equal(sigaction(ending[i], &before, NULL), 0);
        assert_int_equal(signalled, ending[i]);
        assert_memory_equal(&s, &nothing, sizeof s);
        assert_string_equal(e.text, "cannot read the password: Interrupted system call");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_of_a_file_is_taken),
        cmocka_unit_test(a_password_has_one_byte_at_least_and_no_more_than_there_is_room_for),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(a_pipe_is_asked_for_nothing),
        cmocka_unit_test(what_is_typed_is_not_shown),
        cmocka_unit_test(a_new_one_is_typed_twice_the_same),
        cmocka_unit_test(an_empty_one_is_not_asked_for_again),
        cmocka_unit_test(a_signal_finds_the_terminal_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
