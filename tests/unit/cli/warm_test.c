/* `rtcache warm` beside a server that answers by rote (fake_server.h); its longest key has 100
 * bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "cli/fake_server.h"
#include "cli/warm.h"

static struct fake_server server;

struct ran {
    int code;
    char *out, *err;
    size_t out_size, err_size;
};

static struct ran run(const char *input, bool terminal, const char *option, const char *file)
{
    const char *argv[] = {"rtcache", "warm", file, option};
    struct ran r = {0};
    struct cli cli = {.in = fmemopen((void *)(uintptr_t)input, strlen(input), "r"),
                      .out = open_memstream(&r.out, &r.out_size),
                      .err = open_memstream(&r.err, &r.err_size),
                      .terminal = terminal,
                      .server = server.address};
    r.code = cli_run(&cli, option ? 4 : 3, (char **)(uintptr_t)argv);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    return r;
}

static void ran_fini(struct ran *r)
{
    free(r->out);
    free(r->err);
}

static void assert_holds(const char *got, const char *want)
{
    if (!strstr(got, want))
        fail_msg("printed:  \"%s\"\nexpected: \"%s\"", got, want);
}

/* want_err "": nothing at all. */
static void check(const char *input, int code, const char *want_out, const char *want_err)
{
    struct ran r = run(input, false, "--rate=1000000", "-");
    assert_holds(r.out, want_out);
    if (want_err[0] == '\0')
        assert_string_equal(r.err, "");
    assert_holds(r.err, want_err);
    assert_int_equal(r.code, code);
    ran_fini(&r);
}

#define COUNTS(keys, loaded, there, absent, failed)                                                \
    "{\"keys\":" #keys ",\"loaded\":" #loaded ",\"already_there\":" #there ",\"absent\":" #absent  \
    ",\"failed\":" #failed ",\"seconds\":"

static void it_says_what_became_of_the_keys(void **state)
{
    (void)state;
    check("miss\nmiss\na\nabsent\nmiss", 0, COUNTS(5, 3, 1, 1, 0), "");
    check("", 0, COUNTS(0, 0, 0, 0, 0), "");
    check("\n\na\n\n", 0, COUNTS(1, 0, 1, 0, 0), "");
}

static void keys_that_fail_are_shown_with_their_lines(void **state)
{
    (void)state;
    check("miss\nerror\na\n", 3, COUNTS(3, 1, 1, 0, 1),
          "rtcache: line 2: LOAD_FAILED error: the \"source\" said \\x1b[1m no\n");
    check("stale_error\n", 3, COUNTS(1, 0, 0, 0, 1), "line 1: LOAD_FAILED stale_error: no\n");
    check("large\n", 3, COUNTS(1, 0, 0, 0, 1), "line 1: not kept: too large: an entry of 9 bytes");
}

static void of_many_that_fail_the_first_are_shown(void **state)
{
    (void)state;
    char input[12 * 6 + 1] = "";
    for (int i = 0; i < 12; i++)
        strcat(input, "error\n");
    struct ran r = run(input, false, NULL, "-");
    assert_int_equal(r.code, 3);
    assert_holds(r.out, COUNTS(12, 0, 0, 0, 12));
    assert_holds(r.err, "line 10: LOAD_FAILED");
    assert_holds(r.err, "rtcache: further keys that fail are counted only\n");
    assert_null(strstr(r.err, "line 11:"));
    ran_fini(&r);
}

static void a_line_that_is_no_key_ends_it_behind_those_before(void **state)
{
    (void)state;
    char key[102];
    memset(key, 'k', sizeof key - 1);
    key[101] = '\0';
    check("miss\n\nmiss\na\tb\nmiss\n", 2, COUNTS(2, 2, 0, 0, 0),
          "rtcache: line 4: column 2: a control character (0x09)");
    check(key, 2, COUNTS(0, 0, 0, 0, 0),
          "rtcache: line 1: a key of 101 bytes, and the server takes 100\n");
    check(key + 1, 0, COUNTS(1, 0, 1, 0, 0), "");
    check("miss\n\"broken\n", 2, COUNTS(1, 1, 0, 0, 0), "rtcache: line 2: column ");
}

static void keys_in_json_are_asked_for_as_they_are(void **state)
{
    (void)state;
    check("\"ab\\u0073ent\"\n{\"$bin\":\"YWJzZW50\"}\n", 0, COUNTS(2, 0, 0, 2, 0), "");
}

static void where_there_is_enough_to_do_it_asks_again_later(void **state)
{
    (void)state;
    check("busy once\nmiss\n", 0, COUNTS(2, 1, 1, 0, 0), "");
    check("busy\nmiss\n", 3, COUNTS(2, 1, 0, 0, 1),
          "rtcache: line 1: OVERLOADED busy: its loader has enough to do\n");
}

static void a_server_that_goes_down_ends_it(void **state)
{
    (void)state;
    check("miss\nstopping\nstopping\n", 3, COUNTS(1, 1, 0, 0, 0),
          "rtcache: line 2: SHUTTING_DOWN the server is going down\n");
    check("close\n", 4, COUNTS(0, 0, 0, 0, 0), "rtcache: line 1: the server closed the connection");
}

static void it_reads_a_file_and_says_where_there_is_none(void **state)
{
    (void)state;
    char path[] = "/tmp/rtcache-warm-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "miss\nabsent\n", 12), 12);
    close(fd);
    struct ran r = run("a\na\n", true, NULL, path);
    assert_int_equal(r.code, 0);
    assert_holds(r.out, "2 keys in ");
    assert_holds(r.out, " s: 1 loaded, 0 already there, 1 absent, 0 failed\n");
    ran_fini(&r);
    unlink(path);
    r = run("", false, NULL, path);
    assert_int_equal(r.code, 2);
    assert_string_equal(r.out, "");
    assert_holds(r.err, "No such file or directory");
    ran_fini(&r);
}

static void the_rate_has_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        int code;
    } all[] = {{"--rate=0", 2}, {"--rate=-1", 2}, {"--rate=1000001", 2},
               {"--rate=x", 2}, {"--rate=1", 0},  {"--raw", 2}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ran r = run("a\n", false, all[i].option, "-");
        assert_int_equal(r.code, all[i].code);
        ran_fini(&r);
    }
}

/* Batches of the given rate, straight into warm_run. */
static void run_paced(const char *input, int64_t rate, struct warm_counts *counts, char **told)
{
    struct client c;
    struct client_options co = {.address = server.address, .timeout_ms = 10000};
    struct err e;
    size_t size;
    struct warm_options o = {.rate = rate, .timeout_ms = 10000, .deadline_ms = 5000};
    o.in = fmemopen((void *)(uintptr_t)input, strlen(input), "r");
    o.err = open_memstream(told, &size);
    assert_int_equal(client_open(&c, &co, &e), 0);
    assert_int_equal(warm_run(&c, &o, counts, &e), 0);
    client_close(&c);
    fclose(o.in);
    fclose(o.err);
}

static void it_keeps_to_the_rate_and_tells_how_far_it_is(void **state)
{
    (void)state;
    struct warm_counts counts;
    char *told;
    run_paced("miss\nmiss\na\nabsent\nmiss\n", 50, &counts, &told);
    assert_int_equal(counts.loaded, 3);
    assert_true(counts.took_ms >= 60); /* two at once, 20 ms each, and the last is not waited for */
    assert_int_equal(counts.slowed, 0);
    assert_holds(told, "rtcache: line 2: 2 loaded, 0 already there, 0 absent, 0 failed; 50 keys a "
                       "second\n");
    assert_holds(told, "rtcache: line 4: 2 loaded, 1 already there, 1 absent, 0 failed; 50 keys");
    free(told);
}

static void it_goes_on_at_half_the_rate_and_comes_back(void **state)
{
    (void)state;
    struct warm_counts counts;
    char *told;
    run_paced("busy once\na\na\na\na\na\n", 20, &counts, &told);
    assert_int_equal(counts.there, 6);
    assert_int_equal(counts.slowed, 1);
    assert_holds(told, "line 1: 0 loaded, 0 already there, 0 absent, 0 failed; 10 keys a second\n");
    assert_holds(told, "; 11 keys a second\n");
    free(told);
}

static int start(void **state)
{
    (void)state;
    return fake_server_start(&server);
}

static int stop(void **state)
{
    (void)state;
    fake_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_became_of_the_keys),
        cmocka_unit_test(keys_that_fail_are_shown_with_their_lines),
        cmocka_unit_test(of_many_that_fail_the_first_are_shown),
        cmocka_unit_test(a_line_that_is_no_key_ends_it_behind_those_before),
        cmocka_unit_test(keys_in_json_are_asked_for_as_they_are),
        cmocka_unit_test(where_there_is_enough_to_do_it_asks_again_later),
        cmocka_unit_test(a_server_that_goes_down_ends_it),
        cmocka_unit_test(it_reads_a_file_and_says_where_there_is_none),
        cmocka_unit_test(the_rate_has_bounds),
        cmocka_unit_test(it_keeps_to_the_rate_and_tells_how_far_it_is),
        cmocka_unit_test(it_goes_on_at_half_the_rate_and_comes_back),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
