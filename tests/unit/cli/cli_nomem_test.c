/* Each command without one of the allocations that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "cli/fake_server.h"
#include "wire/json_read.h"

#include "faulty.h"

#define WORDS_MAX 8
#define ROOM      32768

static struct fake_server server;
static char folder[64], password_file[96];

/* What a command printed, into room that is there before it runs. */
struct printed {
    int code;
    char out[ROOM], err[ROOM];
};

static FILE *open_room(char *room, const char *how, char *buffer)
{
    FILE *f = fmemopen(room, ROOM, how);
    assert_non_null(f);
    assert_int_equal(setvbuf(f, buffer, _IOFBF, ROOM), 0);
    return f;
}

/* The nth allocation fails, and so many after it; 0: none. Whether one did. */
static bool run(struct printed *p, const char *const words[WORDS_MAX], bool terminal, int64_t nth,
                int64_t more)
{
    static char buffers[3][ROOM], input[ROOM];
    char *argv[WORDS_MAX + 1] = {"rtcache"};
    int argc = 1;
    for (; argc <= WORDS_MAX && words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    memset(p, 0, sizeof *p);
    int size = snprintf(input, sizeof input, "[1, {\"a\": \"%09000d\"}]", 5);
    FILE *in = fmemopen(input, (size_t)size, "r");
    assert_non_null(in);
    assert_int_equal(setvbuf(in, buffers[0], _IOFBF, ROOM), 0);
    struct cli cli = {.in = in,
                      .out = open_room(p->out, "w", buffers[1]),
                      .err = open_room(p->err, "w", buffers[2]),
                      .terminal = terminal,
                      .server = server.address,
                      .password = "word"};
    bool failed = false;
    if (nth == 0)
        p->code = cli_run(&cli, argc, argv);
    else
        failed = FAULTY_WITHOUT(nth, more, p->code = cli_run(&cli, argc, argv));
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    return failed;
}

/* Either all is as it is with memory, or a part of it is there and the rest is told. */
static void check(const char *const words[WORDS_MAX], bool terminal, int64_t more)
{
    static struct printed whole, got;
    int refusals = 0;
    run(&whole, words, terminal, 0, 0);
    for (int64_t nth = 1; run(&got, words, terminal, nth, more); nth++) {
        bool same = got.code == whole.code && strcmp(got.out, whole.out) == 0 &&
                    strcmp(got.err, whole.err) == 0;
        bool told = got.code > CLI_NIL && got.code != CLI_TIMEOUT &&
                    strncmp(got.err, "rtcache: ", 9) == 0 && strstr(got.err, "emory") &&
                    strncmp(got.out, whole.out, strlen(got.out)) == 0;
        if (!same && !told)
            fail_msg("%s, allocation %lld: code %d\n%s\n%s", words[0], (long long)nth, got.code,
                     got.out, got.err);
        refusals += told;
    }
    assert_int_equal(got.code, whole.code);
    assert_string_equal(got.out, whole.out);
    assert_true(refusals > 0);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    const char *const commands[][WORDS_MAX] = {
        {"ping"},
        {"get", "user:42"},
        {"get", "b", "absent", "error", "a"},
        {"get", "--raw", "text"},
        {"get", "error"},
        {"get", "user:42", "--user", "app"},
        {"get", "user:42", "--user", "app", "--password-file", password_file},
        {"entry", "user:42"},
        {"set", "k", "{\"a\": [1, 2.5, \"text\"]}"},
        {"set", "k", "-"},
        {"set", "--raw", "k", "-"},
        {"set", "k", "1", "--ttl", "5s"},
        {"invalidate", "x", "absent", "y"},
        {"lift-floors", "match", "user:*"},
        {"stats"},
        {"stats", "store"},
        {"snapshot"},
        {"snapshot", "--keys"},
        {"loaders"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        for (int terminal = 0; terminal < 2; terminal++) {
            check(commands[i], terminal, 0);
            check(commands[i], terminal, FAULTY_ALL);
        }
    }
}

static void without_memory_there_is_no_hash(void **state)
{
    (void)state;
    const char *const words[WORDS_MAX] = {"passwd", "--file", password_file};
    static struct printed p;
    for (int all = 0; all < 2; all++) {
        int64_t nth = 1, more = all ? FAULTY_ALL : 0;
        for (; run(&p, words, false, nth, more); nth++) {
            assert_in_range(p.code, CLI_USAGE, CLI_CONNECTION);
            assert_string_equal(p.out, "");
            assert_non_null(strstr(p.err, "emory"));
        }
        assert_true(nth > 2);
        assert_string_equal(p.err, "");
        assert_int_equal(p.code, CLI_DONE);
        assert_memory_equal(p.out, "$argon2id$", 10);
    }
}

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/rtcache-cli-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(password_file, sizeof password_file, "%s/password", folder);
    FILE *f = fopen(password_file, "w");
    if (!f || fputs("word\n", f) < 0 || fclose(f) != 0)
        return -1;
    json_read_install(); /* as the program does */
    return fake_server_start(&server);
}

static int stop(void **state)
{
    (void)state;
    fake_server_stop(&server);
    unlink(password_file);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(without_memory_there_is_no_hash),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
