/* What conf_load refuses, and what it says then: the line, and the text after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "conf/conf.h"
#include "conf/refused.h"

static int make(void **state)
{
    if (folder_make(state) != 0 || mkdir(in_folder("scripts"), 0700) != 0)
        return -1;
    write_file("scripts/user.lua", "return {}\n");
    return 0;
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct conf *c;
    struct err e;
    assert_int_equal(conf_load("/nonexistent/rtcache.conf", backend_drivers, &c, NULL, &e),
                     ERR_CONFIG);
    assert_string_equal(e.text, "/nonexistent/rtcache.conf: cannot read the configuration: "
                                "No such file or directory");
    assert_int_equal(conf_load(folder, backend_drivers, &c, NULL, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, ": cannot read the configuration: it is a folder"));
    assert_int_equal(conf_load("", backend_drivers, &c, NULL, &e), ERR_CONFIG);
    assert_null(c);
}

static void syntax_errors_show_their_line(void **state)
{
    (void)state;
    assert_says("watch = true\nlisten : : \"x\"\n", 2,
                "syntax error, at or before: listen : : \"x\"");
    assert_says("watch = true\n\nwatch = false\n", 3,
                "a name is given twice, at or before: watch = false");
    assert_says("watch = true\nuser = \"a\n", 2, "a string has no closing quote on its line");
    assert_says("\n /* \n\n", 2, "the comment that begins here has no end");
    assert_says("idle_timeout = 60s\n", 1,
                "a number is followed by letters; durations and sizes are written in quotes: "
                "\"60s\", \"256mb\"");
    assert_says("max_key = 99999999999999999999\n", 1, "a number is too large");
    assert_says("user = \"a\\x00b\"\n", 1, "a string holds a NUL byte");
    assert_says("watch = true @include \"x\"\n", 1,
                "'@' begins nothing but a line of the form @include \"file\"");
}

static void unknown_names_come_with_the_nearest(void **state)
{
    (void)state;
    assert_says("\nmemroy = 1\n", 2, "unknown option \"memroy\"; did you mean \"memory\"?");
    assert_says("defaults = { stael_ttl = \"5s\" }\n", 1,
                "unknown option \"stael_ttl\"; did you mean \"stale_ttl\"?");
    assert_says("colour = 1\n", 1, "unknown option \"colour\"");
    assert_says("ttl = \"5s\"\n", 1,
                "unknown option \"ttl\"; it belongs to a loader or \"defaults\"");
    static const char *const homes[][2] = {
        {"defaults = { memory = \"1gb\" }", "\"memory\"; it belongs to the top of the file"},
        {"statements = 1", "\"statements\"; it belongs to a backend"},
        {"script = \"a.lua\"", "\"script\"; did you mean \"scripts\"?; it belongs to a loader"},
        {"certificate = \"x\"", "\"certificate\"; it belongs to \"tls\""},
        {"password_hash = \"x\"", "\"password_hash\"; it belongs to a user"},
    };
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        char says[128];
        snprintf(says, sizeof says, "unknown option %s", homes[i][1]);
        assert_says(homes[i][0], 1, says);
    }
    assert_says("backends = { a = { driver = \"sqlite\", path = \"x\", pol = 1 } }\n", 1,
                "unknown option \"pol\"; did you mean \"pool\"?");
}

static void an_option_of_another_driver_is_told_so(void **state)
{
    (void)state;
    assert_says("backends = {\n a = { driver = \"sqlite\", path = \"x\",\n url = \"x\" } }\n", 3,
                "\"url\" belongs to postgres; this backend's driver is sqlite");
    assert_says("backends = { a = { driver = \"postgres\", url = \"x\", busy_timeout = 0 } }\n", 1,
                "\"busy_timeout\" belongs to sqlite; this backend's driver is postgres");
}

static void a_wrong_type_says_what_is_expected_and_what_is_there(void **state)
{
    (void)state;
    assert_says("watch = \"yes\"\n", 1, "\"watch\" takes true or false, found a string");
    assert_says("shards = 1.5\n", 1, "\"shards\" takes an integer, found the number 1.5");
    assert_says("memory = true\n", 1, "\"memory\" takes a size such as \"256mb\", found true");
    assert_says("user = 7\n", 1, "\"user\" takes a string, found the integer 7");
    assert_says("listen = (\"a:1\", 7)\n", 1,
                "\"listen\" takes a string or a list of strings, found the integer 7");
    assert_says("defaults = { jitter = \"x\" }\n", 1, "\"jitter\" takes a number, found a string");
    assert_says("idle_timeout = { }\n", 1,
                "\"idle_timeout\" takes a duration such as \"60s\", found a group");
    assert_says("idle_timeout = 60\n", 1,
                "\"idle_timeout\" takes a duration, found 60 without a unit: write \"60s\" or "
                "\"60ms\"");
    assert_says("idle_timeout = \"5m\"\n", 1,
                "\"idle_timeout\": expected a duration such as \"60s\" (units: ms, s, min, h, d), "
                "found \"5m\"");
    assert_says("backends = ()\n", 1,
                "\"backends\" takes a group of backends: { main = { driver = ... } }");
    assert_says("loaders = { }\n", 1,
                "\"loaders\" takes a list of groups: ( { pattern = ... }, ... )");
    assert_says("defaults = 5\n", 1, "\"defaults\" takes a group: { ttl = \"60s\", ... }");
    assert_says("loaders = ( 5 )\n", 1, "a loader takes a group: { pattern = ..., script = ... }");
    assert_says("backends = { a = 5 }\n", 1, "backend \"a\" takes a group: { driver = ... }");
}

static void bounds_are_told(void **state)
{
    (void)state;
    assert_says("max_key = 65536\n", 1,
                "\"max_key\" is 64kb; it must be at least 1 and at most 65535");
    assert_says("script_memory = \"1kb\"\n", 1,
                "\"script_memory\" is 1kb; it must be at least 1mb and at most 1024gb");
    assert_says("drain_timeout = \"2h\"\n", 1,
                "\"drain_timeout\" is 2h; it must be at least 0s and at most 1h");
    assert_says("max_batch = -1\n", 1,
                "\"max_batch\" is -1; it must be at least 1 and at most 1000000");
    assert_says("defaults = { jitter = 1.5 }\n", 1,
                "\"jitter\" is 1.5; it must be at least 0 and at most 1");
    assert_says("log_level = \"warning\"\n", 1,
                "\"log_level\" is \"warning\"; it must be one of \"debug\", \"info\", \"warn\", "
                "\"error\"; did you mean \"warn\"?");
    assert_says("listen = ()\n", 1,
                "\"listen\" has 0 addresses; it must have at least 1 and at most 16");
    assert_says("user = \"\"\n", 1, "\"user\" is empty");
}

static void the_environment_must_have_the_variable(void **state)
{
    (void)state;
    unsetenv("RTCACHE_TEST_NONE");
    assert_says("user = \"${RTCACHE_TEST_NONE}\"\n", 1,
                "\"user\": the environment has no RTCACHE_TEST_NONE");
    assert_says("user = \"${x\"\n", 1,
                "\"user\": expected ${NAME}, found \"${x\"; $${ stands for ${ itself");
    assert_says("user = \"${1x}\"\n", 1,
                "\"user\": expected ${NAME}, found \"${1x}\"; $${ stands for ${ itself");
    char *text = calloc(1, 5000);
    assert_non_null(text);
    memset(text, 'a', 4999);
    setenv("RTCACHE_TEST_LONG", text, 1);
    free(text);
    assert_says("user = \"${RTCACHE_TEST_LONG}\"\n", 1, "\"user\" is longer than 4096 bytes");
    unsetenv("RTCACHE_TEST_LONG");
}

static void options_that_contradict_one_another_are_refused(void **state)
{
    (void)state;
    assert_says("defaults = { wait_timeout = \"1s\"\n stale_wait = \"2s\" }\n", 2,
                "\"stale_wait\" (2s) is above \"wait_timeout\" (1s)");
    assert_says("defaults = { retry_cap = \"10ms\" }\n", 1,
                "\"retry_base\" (50ms) is above \"retry_cap\" (10ms)");
    assert_says("defaults = { backoff_base = \"1min\" }\n", 1,
                "\"backoff_base\" (1min) is above \"backoff_cap\" (30s)");
    assert_says("defaults = { retry_base = \"1s\", load_timeout = \"500ms\" }\n", 1,
                "\"retry_base\" (1s) is above \"load_timeout\" (500ms)");
    assert_says("floor_ttl = \"5s\"; defaults = { load_timeout = \"6s\"; wait_timeout = \"1s\" }\n",
                1, "\"load_timeout\" (6s) is above \"floor_ttl\" (5s)");
    assert_says("\nauth_share_address = 0.5\n", 2,
                "\"auth_share_address\" (0.5) is above \"auth_share_network\" (0.25)");
    assert_says("auth_share_network = 0.1\n", 1,
                "\"auth_share_address\" (0.125) is above \"auth_share_network\" (0.1)");
    assert_says("shards = 48\n", 1, "\"shards\" is 48; it must be a power of two");
    assert_says("tag_slots = 1000\n", 1, "\"tag_slots\" is 1000; it must be a power of two");
    assert_says("memory = \"1mb\"; shards = 64\n", 1,
                "\"memory\" (1mb) is too small for 64 shards; they need 3mb");
    assert_says("memory = \"65gb\"\n", 1,
                "\"memory\" (65gb) is too large for 16 shards; they hold 64gb");
    assert_says("max_value = \"16mb\"\n", 1,
                "\"max_frame\" (16mb) cannot hold a \"max_value\" (16mb) and a \"max_key\"");
    assert_says("max_output = \"512kb\"\n", 1,
                "\"max_output\" (512kb) cannot hold a \"max_value\" (1mb) and 64kb beside it");
    assert_says("\nmax_output = \"1087kb\"\n", 2,
                "\"max_output\" (1087kb) cannot hold a \"max_value\" (1mb) and 64kb beside it");
    assert_says("\n\nclient_memory = \"159mb\"\n", 3,
                "\"client_memory\" (159mb) cannot hold twice a \"max_frame\" (16mb) and a "
                "\"max_output\" (64mb)");
    assert_says("max_frame = \"80mb\"\n", 1,
                "\"client_memory\" (256mb) cannot hold twice a \"max_frame\" (80mb) and a "
                "\"max_output\" (64mb)");
    assert_says("max_output = \"113mb\"\n", 1,
                "\"client_memory\" (256mb) cannot hold twice a \"max_frame\" (16mb) and a "
                "\"max_output\" (113mb)");
    assert_says("max_frame = \"20kb\"; max_value = \"1kb\"\nmax_frame_before_auth = \"21kb\"\n", 2,
                "\"max_frame_before_auth\" (21kb) is above \"max_frame\" (20kb)");
    assert_says(
        "backends = { a = { driver = \"postgres\", url = \"x\", reconnect_base = \"6s\" } }\n", 1,
        "\"reconnect_base\" (6s) is above \"reconnect_cap\" (5s)");
}

static void what_goes_with_a_feed_s_log_needs_it_and_a_channel(void **state)
{
    (void)state;
#define FED(more) "backends = { a = { driver = \"postgres\", url = \"x\",\n" more " } }\n"
    assert_says(FED("feed_log = \"rtcache_log\""), 2,
                "\"feed_log\" needs \"feed\" beside it: the channel that the log's rows name, "
                "\"rtcache\" where watch-sql was told of no other");
    assert_says(FED("feed = \"c\", feed_poll = \"1s\""), 2,
                "\"feed_poll\" is for a feed that has a \"feed_log\"");
    assert_says(FED("feed = \"c\",\nfeed_poll_idle = \"1s\""), 3,
                "\"feed_poll_idle\" is for a feed that has a \"feed_log\"");
    assert_says(FED("log_keep = \"2h\""), 2, "\"log_keep\" is for a feed that has a \"feed_log\"");
    assert_says(FED("feed = \"c\", feed_log = \"a.b.c\""), 2,
                "\"feed_log\": \"a.b.c\" is not NAME or SCHEMA.NAME");
    assert_says(
        FED("feed = \"c\", feed_log = \"s.l123456789l123456789l123456789l123456789l12345678\""), 2,
        "\"feed_log\": the name of a log has at most 48 bytes");
    assert_says(FED("feed = \"c\", feed_log = \"l\", feed_poll = \"1s\""), 2,
                "\"feed_poll\" (1s) is above \"feed_poll_idle\" (250ms)");
#undef FED
}

/* What is wrong with the defaults is told once, not for each loader that inherits it. */
static void a_contradiction_is_told_where_it_is_written(void **state)
{
    (void)state;
    assert_says("defaults = { retry_cap = \"10ms\" }\n"
                "loaders = ( { pattern = \"a\", script = \"user.lua\" },\n"
                "            { pattern = \"b\", script = \"user.lua\" } )\n",
                1, "\"retry_base\" (50ms) is above \"retry_cap\" (10ms)");
    assert_says("loaders = ( { pattern = \"a\", script = \"user.lua\" },\n"
                "            { pattern = \"b\", script = \"user.lua\", retry_cap = \"10ms\" } )\n",
                2, "\"retry_base\" (50ms) is above \"retry_cap\" (10ms)");
}

/* The same reader as that of the start: what it says stands in address_test.c. */
static void addresses_are_read_as_the_start_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"7411", "\"host:port\", \":port\", \"tls:host:port\" or \"unix:/path\" is expected"},
        {"127.0.0.1", "\"host:port\", \":port\", \"tls:host:port\" or \"unix:/path\" is expected"},
        {"a:", "the port is a number from 0 to 65535"},
        {"a:65536", "the port is a number from 0 to 65535"},
        {"::1:0", "an IPv6 address stands in brackets, \"[::1]:7411\""},
        {"unix:", "unix: takes an absolute path"},
        {"unix:run.sock", "unix: takes an absolute path"},
        {"unix:@name", "unix: takes an absolute path"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[64], says[256];
        snprintf(text, sizeof text, "listen = \"%s\"\n", wrong[i].text);
        snprintf(says, sizeof says, "\"listen\": address \"%s\": %s", wrong[i].text, wrong[i].says);
        assert_says(text, 1, says);
    }
    assert_says("listen = (\":1\", \":1\")\n", 1, "\"listen\" has \":1\" twice");
}

/* A load that a replica cannot answer asks its primary, once. */
static void a_batch_can_wait_as_a_whole(void **state)
{
    (void)state;
    assert_says("watch = true\nmax_parked = 100\n", 2,
                "\"max_batch\" (10000) is above \"max_parked\" (100): a get_many of so many keys "
                "could not wait for them");
    assert_says("max_batch = 20001\n", 1,
                "\"max_batch\" (20001) is above \"max_parked\" (20000): a get_many of so many keys "
                "could not wait for them");
}

static void tls_needs_its_group_and_files_that_can_be_read(void **state)
{
    (void)state;
    write_file("server.pem", "");
    assert_says("watch = true\nlisten = (\":1\", \"tls::2\")\n", 2,
                "\"listen\": \"tls::2\" needs a group \"tls\" with \"certificate\" and \"key\"");
    write_file("server.key", "");
    assert_says("tls = { certificate = \"server.pem\", key = \"server.key\" }\n"
                "listen = \"tls:7411\"\n",
                2,
                "\"listen\": address \"tls:7411\": \"host:port\", \":port\", \"tls:host:port\" or "
                "\"unix:/path\" is expected");
    assert_says("\ntls = {\n certificate = \"server.pem\" }\n", 2, "\"tls\" needs \"key\"");
    char text[512], says[PATH_MAX + 512];
    snprintf(text, sizeof text, "tls = {\n certificate = \"server.pem\";\n key = \"none.key\" }\n");
    snprintf(says, sizeof says, "\"key\": cannot read %s: No such file or directory",
             in_folder("none.key"));
    assert_says(text, 3, says);
    snprintf(text, sizeof text,
             "tls = { certificate = \"server.pem\", key = \"server.pem\",\n client_ca = \".\" }\n");
    snprintf(says, sizeof says, "\"client_ca\": %s is no file", in_folder("."));
    assert_says(text, 2, says);
    assert_says(
        "tls = { certificate = \"server.pem\", key = \"server.pem\",\n"
        " min_version = \"1.1\" }\n",
        2, "\"min_version\" is \"1.1\"; it must be one of \"1.2\", \"1.3\"; did you mean \"1.2\"?");
}

static void backends_need_what_their_driver_needs(void **state)
{
    (void)state;
    assert_says("backends = {\n a = { pool = 3 } }\n", 2, "backend \"a\" needs \"driver\"");
    assert_says("backends = {\n a = { driver = \"postgres\" } }\n", 2,
                "backend \"a\" needs \"url\"");
    assert_says("backends = { a = { driver = \"sqlite\" } }\n", 1, "backend \"a\" needs \"path\"");
    assert_says("backends = { a = { driver = \"postgress\" } }\n", 1,
                "\"driver\" is \"postgress\"; it must be one of \"postgres\", \"sqlite\"; did you "
                "mean \"postgres\"?");
    assert_says("backends = { a = { driver = \"sqlite\", path = \":memory:\" } }\n", 1,
                "\"path\" takes the name of a file; \":memory:\" is none");
    char says[PATH_MAX + 64];
    snprintf(says, sizeof says, "\"init\": there is no file %s", in_folder("none.sql"));
    assert_says("backends = { a = { driver = \"sqlite\", path = \"x\", init = \"none.sql\" } }\n",
                1, says);
    assert_says("backends = {\n a = { driver = \"postgres\", url = \"x\" }\n"
                " a = { driver = \"postgres\", url = \"y\" } }\n",
                3, "a name is given twice, at or before: a = { driver = \"...\"");
}

#define SQLITE_MAIN "backends = { main = { driver = \"sqlite\", path = \"x.db\" } }\n"

static void sql_stands_in_place_of_a_script(void **state)
{
    (void)state;
    assert_says("loaders = (\n { pattern = \"a:*\", script = \"user.lua\", sql = \"SELECT 1\","
                " backend = \"main\" } )\n" SQLITE_MAIN,
                2, "a loader has \"script\" or \"sql\", not both");
    assert_says("loaders = (\n { pattern = \"a:*\", sql = \"SELECT $1\" } )\n", 2,
                "\"sql\" needs a \"backend\"");
    assert_says("loaders = (\n { pattern = \"a:*:*\",\n sql = \"SELECT '$9', $3\","
                " backend = \"main\" } )\n" SQLITE_MAIN,
                3, "\"sql\" has $3, but the pattern \"a:*:*\" has 2 stars");
    assert_says("loaders = (\n { pattern = \"a:*\", script = \"user.lua\", version = \"v\" } )\n",
                2, "\"version\" goes with \"sql\"; a script returns its version");
    assert_says("loaders = (\n { pattern = \"a:*\", sql = \"SELECT 1\", backend = \"main\","
                " jit = true } )\n" SQLITE_MAIN,
                2, "\"jit\" goes with \"script\"");
}

static void loaders_need_a_pattern_and_a_script_that_is_there(void **state)
{
    (void)state;
    assert_says("loaders = (\n { script = \"user.lua\" } )\n", 2, "a loader needs \"pattern\"");
    assert_says("loaders = (\n { pattern = \"a\" } )\n", 2, "a loader needs \"script\" or \"sql\"");
    char says[PATH_MAX + 64];
    snprintf(says, sizeof says, "\"script\": there is no file %s", in_folder("scripts/none.lua"));
    assert_says("loaders = ( { pattern = \"a\",\n script = \"none.lua\" } )\n", 2, says);
    const char *leaving[] = {"../x.lua", "/etc/passwd", "a/../b.lua", ".."};
    for (size_t i = 0; i < sizeof leaving / sizeof *leaving; i++) {
        char text[128];
        snprintf(text, sizeof text, "loaders = ( { pattern = \"a\", script = \"%s\" } )\n",
                 leaving[i]);
        snprintf(says, sizeof says, "\"script\": \"%s\" leaves the folder of scripts", leaving[i]);
        assert_says(text, 1, says);
    }
    snprintf(says, sizeof says, "\"scripts\": there is no folder %s", in_folder("nowhere"));
    assert_says("\nscripts = \"nowhere\"\n"
                "loaders = ( { pattern = \"a\", script = \"user.lua\" } )\n",
                2, says);
    snprintf(says, sizeof says, "\"lua\": there is no folder %s", in_folder("nowhere"));
    assert_says("lua = \"nowhere\"\n", 1, says);
}

static void loaders_name_backends_that_are_there(void **state)
{
    (void)state;
    assert_says("backends = { main = { driver = \"sqlite\", path = \"x\" } }\n"
                "loaders = ( { pattern = \"a\", script = \"user.lua\",\n backend = \"mian\" } )\n",
                3, "there is no backend \"mian\"; did you mean \"main\"?");
    assert_says("loaders = ( { pattern = \"a\", script = \"user.lua\", backend = \"main\" } )\n", 1,
                "there is no backend \"main\"");
}

static void equal_patterns_are_refused(void **state)
{
    (void)state;
    char says[PATH_MAX + 64];
    snprintf(says, sizeof says, "pattern \"a\" is that of the loader at %s:1 too",
             in_folder("rtcache.conf"));
    assert_says("loaders = ( { pattern = \"a\", script = \"user.lua\" },\n"
                "{ pattern = \"b\", script = \"user.lua\" },\n"
                "{ pattern = \"a\", script = \"user.lua\" } )\n",
                3, says);
}

static void all_problems_are_told_in_the_order_of_the_file(void **state)
{
    (void)state;
    write_file("rtcache.conf", "loaders = ( { pattern = \"a\", script = \"none.lua\" } )\n"
                               "watch = 1\n"
                               "@include \"inc.conf\"\n"
                               "shards = 3\n");
    write_file("inc.conf", "\nmax_batch = 0\n\nmemroy = 1\n");
    struct buf report;
    struct err e;
    refused(&report, &e);
    const char *at = report.data;
    const struct {
        const char *file;
        int line;
    } want[] = {{"rtcache.conf", 1},
                {"rtcache.conf", 2},
                {"inc.conf", 2},
                {"inc.conf", 4},
                {"rtcache.conf", 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char start[PATH_MAX + 64];
        snprintf(start, sizeof start, "%s:%d: ", in_folder(want[i].file), want[i].line);
        if (strncmp(at, start, strlen(start)) != 0)
            fail_msg("line %zu of\n%s\nis not for %s", i, report.data, start);
        at = strchr(at, '\n') + 1;
    }
    assert_int_equal(*at, '\0');
    assert_non_null(strstr(e.text, "rtcache.conf:1: \"script\""));
    buf_fini(&report);
}

static void syntax_errors_in_included_files_name_these(void **state)
{
    (void)state;
    write_file("rtcache.conf", "watch = true\n@include \"inc.conf\"\n");
    write_file("inc.conf", "\n\nshards == 4\n");
    struct buf report;
    struct err e;
    refused(&report, &e);
    assert_has(report.data, "inc.conf", 3, "syntax error, at or before: shards == 4");
    buf_fini(&report);
}

static void more_problems_than_can_be_kept_are_counted(void **state)
{
    (void)state;
    struct buf text, report;
    struct err e;
    buf_init(&text, 0);
    for (int i = 0; i < 600; i++)
        assert_int_equal(buf_printf(&text, "wrong_%d = 1\n", i), 0);
    write_bytes("rtcache.conf", text.data, text.size);
    buf_fini(&text);
    refused(&report, &e);
    assert_non_null(strstr(report.data, "and 100 problems more\n"));
    buf_fini(&report);
}

/* They would steer the terminal of whoever reads them. */
static void control_characters_of_a_value_are_shown_as_question_marks(void **state)
{
    (void)state;
    struct buf report;
    struct err e;
    write_file("rtcache.conf", "log_level = \"a\\x01\\x1f\\x7f\\tb\\x20~\"\n");
    refused(&report, &e);
    assert_non_null(strstr(report.data, "a????b ~"));
    assert_non_null(strstr(e.text, "a????b ~"));
    buf_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(syntax_errors_show_their_line),
        cmocka_unit_test(unknown_names_come_with_the_nearest),
        cmocka_unit_test(an_option_of_another_driver_is_told_so),
        cmocka_unit_test(a_wrong_type_says_what_is_expected_and_what_is_there),
        cmocka_unit_test(bounds_are_told),
        cmocka_unit_test(the_environment_must_have_the_variable),
        cmocka_unit_test(options_that_contradict_one_another_are_refused),
        cmocka_unit_test(what_goes_with_a_feed_s_log_needs_it_and_a_channel),
        cmocka_unit_test(a_contradiction_is_told_where_it_is_written),
        cmocka_unit_test(addresses_are_read_as_the_start_reads_them),
        cmocka_unit_test(a_batch_can_wait_as_a_whole),
        cmocka_unit_test(tls_needs_its_group_and_files_that_can_be_read),
        cmocka_unit_test(backends_need_what_their_driver_needs),
        cmocka_unit_test(sql_stands_in_place_of_a_script),
        cmocka_unit_test(loaders_need_a_pattern_and_a_script_that_is_there),
        cmocka_unit_test(loaders_name_backends_that_are_there),
        cmocka_unit_test(equal_patterns_are_refused),
        cmocka_unit_test(all_problems_are_told_in_the_order_of_the_file),
        cmocka_unit_test(syntax_errors_in_included_files_name_these),
        cmocka_unit_test(more_problems_than_can_be_kept_are_counted),
        cmocka_unit_test(control_characters_of_a_value_are_shown_as_question_marks),
    };
    return cmocka_run_group_tests(tests, make, folder_remove);
}
