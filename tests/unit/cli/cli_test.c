#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "cli/fake_server.h"

#define WORDS_MAX 16

static struct fake_server server;

/* What a command line printed, and its exit code. */
struct ran {
    int code;
    char *out, *err;
    size_t out_size, err_size;
};

static struct ran run_with(const char *input, bool terminal, const char *line)
{
    char copy[512], *argv[WORDS_MAX] = {"rtcache"};
    int argc = 1;
    struct ran r = {0};

    assert_true(strlen(line) < sizeof copy);
    strcpy(copy, line);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_true(argc < WORDS_MAX);
        argv[argc++] = word;
    }
    struct cli cli = {.in = fmemopen((void *)(uintptr_t)input, strlen(input), "r"),
                      .out = open_memstream(&r.out, &r.out_size),
                      .err = open_memstream(&r.err, &r.err_size),
                      .terminal = terminal,
                      .server = server.address};
    r.code = cli_run(&cli, argc, argv);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    return r;
}

/* want_out, want_err: the whole text, or with a "~" before it a part of it. */
static void assert_text(const char *line, const char *got, const char *want)
{
    if (want[0] == '~' ? !strstr(got, want + 1) : strcmp(got, want) != 0)
        fail_msg("rtcache %s\nprinted:  \"%s\"\nexpected: \"%s\"", line, got, want);
}

static void check_with(const char *input, bool terminal, const char *line, int code,
                       const char *want_out, const char *want_err)
{
    struct ran r = run_with(input, terminal, line);
    assert_text(line, r.out, want_out);
    assert_text(line, r.err, want_err);
    if (r.code != code)
        fail_msg("rtcache %s: exit code %d, expected %d", line, r.code, code);
    free(r.out);
    free(r.err);
}

static void check(const char *line, int code, const char *want_out, const char *want_err)
{
    check_with("x", false, line, code, want_out, want_err);
}

static void check_terminal(const char *line, int code, const char *want_out)
{
    check_with("x", true, line, code, want_out, "");
}

static void a_value_is_printed_as_json(void **state)
{
    (void)state;
    check("get user:42", 0, "[\"get\",\"user:42\"]\n", "");
    check("get text", 0, "\"some \\\"text\\\"\\n\"\n", "");
    check("get bytes", 0, "{\"$bin\":\"/wB6\"}\n", "");
    check("get split", 0, "[\"get\",\"split\"]\n", "");
    check("ping", 0, "\"pong\"\n", "");
    check_terminal("get user:42", 0, "[\n  \"get\",\n  \"user:42\"\n]\n");
    check_terminal("--json get user:42", 0, "[\"get\",\"user:42\"]\n");
    check("get --pretty user:42", 0, "[\n  \"get\",\n  \"user:42\"\n]\n", "");
}

static void raw_is_the_bytes_alone(void **state)
{
    (void)state;
    check("get --raw text", 0, "some \"text\"\n", "");
    struct ran r = run_with("x", false, "get --raw bytes");
    assert_int_equal(r.code, 0);
    assert_int_equal(r.out_size, 3);
    assert_memory_equal(r.out, "\xff\x00z", 3);
    free(r.out);
    free(r.err);
    check("get --raw user:42", 0, "[\"get\",\"user:42\"]\n", "");
}

static void what_is_not_there_is_null_and_exit_code_1(void **state)
{
    (void)state;
    check("get absent", 1, "null\n", "");
    check("peek absent", 1, "null\n", "");
    check("entry absent", 1, "{\"value\":null,\"status\":\"negative\"}\n", "");
    check("entry user:42", 0, "{\"value\":5,\"status\":\"hit\"}\n", "");
    check("touch absent", 1, "false\n", "");
    check("invalidate absent", 1, "false\n", "");
}

static void an_error_goes_to_standard_error_and_is_exit_code_3(void **state)
{
    (void)state;
    check("get error", 3, "", "rtcache: LOAD_FAILED error: the \"source\" said \\u001b[1m no\n");
    check("get refused", 3, "", "rtcache: PROTOCOL no such thing\n");
    check("get stopping", 3, "",
          "rtcache: SHUTTING_DOWN the server is going down (retry after 1000 ms)\n");
    check("get late", 5, "", "rtcache: TIMEOUT late: no answer within 5 ms\n");
}

static void several_keys_keep_their_order(void **state)
{
    (void)state;
    check("get b a", 0, "\"b\"\n\"a\"\n", "");
    check("get b absent a", 1, "\"b\"\nnull\n\"a\"\n", "");
    check("get absent error a", 3, "null\nnull\n\"a\"\n", "rtcache: NO_LOADER error: no pattern\n");
    check("get --raw b a", 0, "ba", "");
    check("invalidate x absent y", 1, "[\"invalidate\",\"x\"]\nfalse\n[\"invalidate\",\"y\"]\n",
          "");
    check("invalidate x refused y", 3, "~[\"invalidate\",\"y\"]", "~PROTOCOL no such thing");
}

static void options_become_the_trailing_map(void **state)
{
    (void)state;
    check("get k --timeout 2s --stale-wait=10ms", 0,
          "[\"get\",\"k\",{\"timeout_ms\":2000,\"stale_wait_ms\":10}]\n", "");
    check("--background refresh k", 0, "[\"refresh\",\"k\",{\"background\":true}]\n", "");
    check("refresh k --timeout 2s", 0, "[\"refresh\",\"k\",{\"timeout_ms\":2000}]\n", "");
    check("touch k --ttl 1min --stale-ttl 2min", 0,
          "[\"touch\",\"k\",{\"ttl_ms\":60000,\"stale_ttl_ms\":120000}]\n", "");
    check("touch k --timeout 2s", 0, "[\"touch\",\"k\"]\n", "");
    check("set k 1 --ttl 1s --value-version -7", 0,
          "[\"set\",\"k\",1,{\"ttl_ms\":1000,\"version\":-7}]\n", "");
}

static void set_takes_json_text_or_standard_input(void **state)
{
    (void)state;
    check("set k {\"a\":[1,9007199254740993]}", 0, "[\"set\",\"k\",{\"a\":[1,9007199254740993]}]\n",
          "");
    check("set k -5", 0, "[\"set\",\"k\",-5]\n", "");
    check("set --raw k 5", 0, "[\"set\",\"k\",\"5\"]\n", "");
    check("set k {\"$bin\":\"/wB6\"}", 0, "[\"set\",\"k\",{\"$bin\":\"/wB6\"}]\n", "");
    check_with("[1,\n2]", false, "set k -", 0, "[\"set\",\"k\",[1,2]]\n", "");
    check_with("[1,\n", false, "set --raw k -", 0, "[\"set\",\"k\",\"[1,\\n\"]\n", "");
    check_with("\xff", false, "set --raw k -", 0, "[\"set\",\"k\",{\"$bin\":\"/w==\"}]\n", "");
    check("set k hello", 2, "", "~the value is no JSON that can be stored (--raw stores text)");
    check_with("[1,\n", false, "set k -", 2, "", "~line 2");
}

/* More than the socket's buffers hold, there and back. */
static void a_large_value_goes_through_whole(void **state)
{
    (void)state;
    size_t size = 6 << 20;
    char *input = malloc(size + 1);
    assert_non_null(input);
    memset(input, 'a', size);
    input[size] = '\0';
    struct ran r = run_with(input, false, "set --raw k -");
    assert_int_equal(r.code, 0);
    assert_int_equal(r.out_size, size + strlen("[\"set\",\"k\",\"\"]\n"));
    assert_memory_equal(r.out + r.out_size - 8, "aaaaa\"]\n", 8);
    free(r.out);
    free(r.err);
    free(input);
}

static void words_and_options_stand_in_any_order(void **state)
{
    (void)state;
    check("--json get -- --help", 0, "[\"get\",\"--help\"]\n", "");
    check("get -5", 0, "[\"get\",\"-5\"]\n", "");
    char line[256];
    snprintf(line, sizeof line, "get k -s%s", server.address);
    check(line, 0, "[\"get\",\"k\"]\n", "");
    snprintf(line, sizeof line, "--server=%s get k", server.address);
    check(line, 0, "[\"get\",\"k\"]\n", "");
}

static void a_table_on_a_terminal_json_elsewhere(void **state)
{
    (void)state;
    check_terminal("loaders", 0,
                   "pattern             script    backend    loads  breaker\n"
                   "user:*              user.lua  main     1234567  closed\n"
                   "a-longer-pattern:*  user.lua  -              5  closed\n");
    check("loaders", 0, "~{\"pattern\":\"user:*\"", "");
    check_terminal("loaders --json", 0, "~\"jitter\":0.1");
    check_terminal("stats", 0,
                   "uptime_ms        1500\n"
                   "store.entries    12\n"
                   "store.hit_ratio  0.5\n"
                   "version          0.1\n");
    check("stats", 0,
          "{\"uptime_ms\":1500,\"store\":{\"entries\":12,\"hit_ratio\":0.5},\"version\":\"0.1\"}\n",
          "");
}

static void one_group_of_stats_is_printed_alone(void **state)
{
    (void)state;
    check_terminal("stats store", 0, "entries    12\nhit_ratio  0.5\n");
    check("stats store", 0, "{\"entries\":12,\"hit_ratio\":0.5}\n", "");
    check_terminal("stats uptime_ms", 0, "1500\n");
    check("stats restart", 1, "", "rtcache: stats has no group \"restart\" here\n");
}

static void keys_of_a_snapshot_are_read_on_this_machine(void **state)
{
    (void)state;
    check("snapshot", 0, "{\"file\":\"/nowhere/at/all\",\"bytes\":100}\n", "");
    check("snapshot --keys", 4, "",
          "rtcache: the server's snapshot cannot be read here: cannot open the folder /nowhere/at: "
          "No such file or directory\n");
    check("snapshot --keys -s unix:/nowhere/at/all.sock", 4, "", "~cannot connect");
}

static void a_lost_connection_is_exit_code_4(void **state)
{
    (void)state;
    check("get close", 4, "", "rtcache: the server closed the connection\n");
    check("get garbage", 4, "", "~not an array of 4");
    check("get stranger", 4, "", "~request 99, which was not sent");
    check("get k -s unix:/nowhere/at/all.sock", 4, "", "~cannot connect");
}

static void an_answer_of_another_shape_is_exit_code_4(void **state)
{
    (void)state;
    static const char says[] = "rtcache: the answer to get is not what the protocol says\n";
    static const char *const odd[] = {"number", "list", "unnamed", "empty", "strange"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char line[64];
        snprintf(line, sizeof line, "get a %s b", odd[i]);
        check(line, 4, "\"a\"\n", says);
    }
    check("get a scalar", 4, "", says);
    check("get a pairs", 4, "", says);
    check("invalidate a twice", 4, "", "rtcache: a second answer to request 2\n");
}

static void input_that_cannot_be_read_is_exit_code_4(void **state)
{
    (void)state;
    char *argv[] = {"rtcache", "set", "k", "-"}, *text = NULL;
    size_t size = 0;
    struct cli cli = {.in = fopen("/", "r"), /* a folder */
                      .out = fopen("/dev/null", "w"),
                      .err = open_memstream(&text, &size),
                      .server = server.address};
    assert_non_null(cli.in);
    assert_int_equal(cli_run(&cli, 4, argv), 4);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    assert_string_equal(text, "rtcache: cannot read standard input: Is a directory\n");
    free(text);
}

static void no_answer_in_time_is_exit_code_5(void **state)
{
    (void)state;
    check("get silent --timeout 20ms", 5, "", "rtcache: no answer within 20 ms\n");
}

/* The bytes that fit go out at once where there is no buffer, and at the end where there is one. */
static void expect_unwritten(const char *line, int mode)
{
    char copy[64], *argv[WORDS_MAX] = {"rtcache"}, *text = NULL;
    int argc = 1;
    size_t size = 0;
    strcpy(copy, line);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    struct cli cli = {.in = fmemopen((void *)(uintptr_t) "word\n", 5, "r"),
                      .out = fopen("/dev/full", "w"),
                      .err = open_memstream(&text, &size),
                      .server = server.address};
    assert_non_null(cli.out);
    setvbuf(cli.out, NULL, mode, 1 << 16);
    int code = cli_run(&cli, argc, argv);
    if (code != 4)
        fail_msg("rtcache %s: exit code %d", line, code);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    if (strcmp(line, "ping") == 0)
        assert_non_null(strstr(text, "cannot write the output: No space left on device"));
    free(text);
}

static void output_that_cannot_be_written_is_not_a_success(void **state)
{
    (void)state;
    static const char *const lines[] = {"ping",      "get b absent",     "help",      "help get",
                                        "--version", "watch-sql --list", "get --help"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        expect_unwritten(lines[i], _IONBF);
        expect_unwritten(lines[i], _IOFBF);
    }
}

static void wrong_usage_is_exit_code_2_and_says_what_is_right(void **state)
{
    (void)state;
    check("", 2, "", "~a command is missing");
    check("gte k", 2, "", "~no command \"gte\"; did you mean get?");
    check("something-else k", 2, "", "~no command");
    check("get", 2, "", "~get takes KEY...");
    check("set k", 2, "", "~set takes KEY VALUE");
    check("peek a b", 2, "", "~peek takes KEY, and \"b\" is one word too many");
    check("ping a", 2, "", "~ping takes no words");
    check("get k --timeuot 5s", 2, "", "~unknown option --timeuot; did you mean --timeout?");
    check("get k --zzzzzzzzzzzz", 2, "", "rtcache: unknown option --zzzzzzzzzzzz\n");
    check("get k --zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz=1", 2, "",
          "rtcache: unknown option --zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n"); /* 40 of 42 */
    check("get k -x", 2, "", "~unknown option -x");
    check("get k --tls -s unix:/a.sock", 2, "", "~--tls: unix:/a.sock does not go over a network");
    check("watch-sql", 2, "", "~`rtcache help watch-sql` says more.\n");
    check("watch-sql --nothing", 2, "", "~`rtcache help watch-sql` says more.\n");
    check("tier-sql --nothing", 2, "", "~`rtcache help tier-sql` says more.\n");
    check("get k --ttl 5s", 2, "", "~get takes no --ttl");
    check("get k --json=1", 2, "", "~--json takes nothing");
    check("get k --timeout", 2, "", "~--timeout takes DURATION");
    check("get k --timeout soon", 2, "", "~--timeout: ");
    check("get k --timeout 0s", 2, "", "~--timeout takes 1ms to 1h");
    check("invalidate k --version 5", 2, "", "~the version of a value is --value-version N");
    check("invalidate k --version=5", 2, "", "~the version of a value is --value-version N");
    check("set k 1 -V", 2, "", "~the version of a value is --value-version N");
    check("set k 1 --value-version 5x", 2, "", "~--value-version takes a whole number");
    check("get k -s nonsense", 2, "", "~nonsense");
    check("help nonsense", 2, "", "~no command \"nonsense\"");
}

static void help_names_commands_options_and_exit_codes(void **state)
{
    (void)state;
    check("--help", 0, "~invalidate KEY...", "");
    check("help", 0, "~Exit codes: 0 done; 1 null", "");
    check("-h", 0, "~--server ADDR", "");
    check("watch-sql -h", 0, "~watch-sql TABLE", "");
    check("watch-sql --help", 0, "~watch-sql TABLE", "");
    check("tier-sql -h", 0, "~tier-sql [TABLE]", "");
    check("tier-sql --sqlite", 0, "~CREATE TABLE IF NOT EXISTS", "");
    check("help set", 0, "~--value-version N", "");
    check("set --help", 0, "~VALUE is JSON", "");
    check("--version", 0, "rtcache " RTCACHE_VERSION "\n", "");
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
        cmocka_unit_test(a_value_is_printed_as_json),
        cmocka_unit_test(raw_is_the_bytes_alone),
        cmocka_unit_test(what_is_not_there_is_null_and_exit_code_1),
        cmocka_unit_test(an_error_goes_to_standard_error_and_is_exit_code_3),
        cmocka_unit_test(several_keys_keep_their_order),
        cmocka_unit_test(options_become_the_trailing_map),
        cmocka_unit_test(set_takes_json_text_or_standard_input),
        cmocka_unit_test(a_large_value_goes_through_whole),
        cmocka_unit_test(words_and_options_stand_in_any_order),
        cmocka_unit_test(a_table_on_a_terminal_json_elsewhere),
        cmocka_unit_test(one_group_of_stats_is_printed_alone),
        cmocka_unit_test(keys_of_a_snapshot_are_read_on_this_machine),
        cmocka_unit_test(a_lost_connection_is_exit_code_4),
        cmocka_unit_test(an_answer_of_another_shape_is_exit_code_4),
        cmocka_unit_test(input_that_cannot_be_read_is_exit_code_4),
        cmocka_unit_test(no_answer_in_time_is_exit_code_5),
        cmocka_unit_test(output_that_cannot_be_written_is_not_a_success),
        cmocka_unit_test(wrong_usage_is_exit_code_2_and_says_what_is_right),
        cmocka_unit_test(help_names_commands_options_and_exit_codes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
