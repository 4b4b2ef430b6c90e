/* Passwords: from files, from pipes, and typed on a terminal that does not show them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/secret.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

struct terminal {
    int far;  /* where what is typed goes in */
    pid_t at; /* who asks there */
    char said[1024];
};

/* What the process at the terminal found: 0 and the password, or the error; then its own end. */
static int ask_here(const char *path, bool again)
{
    struct secret s;
    struct err e;
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return 99;
    struct cli cli = {.in = fdopen(fd, "r"), .err = fdopen(dup(fd), "w")};
    int rc = secret_ask(&s, &cli, again, &e);
    if (rc != 0)
        fprintf(cli.err, "error %d: %s\n", rc, e.text);
    else
        fprintf(cli.err, "got %zu: %.*s\n", s.size, (int)s.size, s.text);
    fflush(cli.err);
    return 0;
}

static void terminal_open(struct terminal *t, bool again)
{
    t->said[0] = '\0';
    t->far = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(t->far >= 0);
    assert_int_equal(grantpt(t->far), 0);
    assert_int_equal(unlockpt(t->far), 0);
    char path[64];
    snprintf(path, sizeof path, "%s", ptsname(t->far));
    t->at = fork();
    assert_true(t->at >= 0);
    if (t->at == 0) {
        setsid();
        _exit(ask_here(path, again));
    }
}

/* Reads until this has been said. */
static void await(struct terminal *t, const char *text)
{
    while (!strstr(t->said, text)) {
        size_t size = strlen(t->said);
        ssize_t n = read(t->far, t->said + size, sizeof t->said - 1 - size);
        if (n <= 0)
            fail_msg("the terminal ended: \"%s\"", t->said);
        t->said[size + (size_t)n] = '\0';
    }
}

static bool is_shown(const struct terminal *t)
{
    struct termios now;
    assert_int_equal(tcgetattr(t->far, &now), 0);
    return now.c_lflag & ECHO;
}

static void type(struct terminal *t, const char *prompt, const char *line)
{
    await(t, prompt);
    while (is_shown(t)) /* the prompt comes first: what is typed before is thrown away */
        usleep(1000);
    assert_int_equal(write(t->far, line, strlen(line)), strlen(line));
}

static int terminal_close(struct terminal *t)
{
    int status;
    assert_int_equal(waitpid(t->at, &status, 0), t->at);
    assert_true(is_shown(t));
    close(t->far);
    return status;
}

static void what_is_typed_is_not_shown(void **state)
{
    (void)state;
    struct terminal t;
    terminal_open(&t, false);
    type(&t, "password: ", "word\n");
    await(&t, "got 4: word");
    assert_int_equal(terminal_close(&t), 0);
    assert_string_equal(t.said, "password: \r\ngot 4: word\r\n");
}

static void a_new_one_is_typed_twice_the_same(void **state)
{
    (void)state;
    static const char *const typed[][3] = {
        {"word\n", "word\n", "got 4: word"},
        {"word\n", "w0rd\n", "the two are not the same"},
        {"word\n", "words\n", "the two are not the same"},
        {"words\n", "word\n", "the two are not the same"},
        {"word\n", "\n", "the password is empty"},
    };
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        struct terminal t;
        terminal_open(&t, true);
        type(&t, "password: ", typed[i][0]);
        type(&t, "again: ", typed[i][1]);
        await(&t, typed[i][2]);
        assert_int_equal(terminal_close(&t), 0);
    }
}

static void an_empty_one_is_not_asked_for_again(void **state)
{
    (void)state;
    struct terminal t;
    terminal_open(&t, true);
    type(&t, "password: ", "\n");
    await(&t, "standard input: the password is empty");
    assert_null(strstr(t.said, "again"));
    assert_int_equal(terminal_close(&t), 0);
}

/* Each signal that ends the process; the terminal shows again what is typed, as terminal_close
 * looks for. */
static void a_signal_finds_the_terminal_as_it_was(void **state)
{
    (void)state;
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        struct terminal t;
        terminal_open(&t, false);
        await(&t, "password: ");
        while (is_shown(&t))
            usleep(1000);
        assert_int_equal(kill(t.at, ending[i]), 0);
        int status = terminal_close(&t);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), ending[i]);
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
