/* What options have to do with one another: at the bound it is taken, one past it it is told, at
 * the option that is written; and where an option belongs that stands somewhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/loaded.h"
#include "conf/refused.h"

#define SQLITE_MAIN "backends = { main = { driver = \"sqlite\", path = \"x.db\" } }\n"

static int make(void **state)
{
    if (folder_make(state) != 0 || mkdir(in_folder("scripts"), 0700) != 0)
        return -1;
    write_file("scripts/user.lua", "return {}\n");
    return 0;
}

static void what_stands_at_its_bound_is_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "defaults = { stale_wait = \"5s\" }\n",
        "defaults = { retry_cap = \"50ms\" }\n",
        "defaults = { backoff_base = \"30s\" }\n",
        "defaults = { retry_base = \"10s\", retry_cap = \"10s\" }\n",
        "defaults = { retry_base = \"11s\", retry_cap = \"11s\", retries = 0 }\n",
        "defaults = { load_timeout = \"10ms\" }\n", /* no wait is written */
        "floor_ttl = \"10s\"\n",
        "auth_share_address = 0.25\n",
        "shards = 1\n",
        "shards = 64; memory = \"3mb\"\n",
        "memory = \"64gb\"\n",
        "max_value = \"16773120\"\nmax_output = \"17mb\"\n", /* 16 MiB less max_key */
        "max_output = \"1088kb\"\n",
        "client_memory = \"160mb\"\n",
        "max_frame = \"20kb\"; max_value = \"1kb\"\nmax_frame_before_auth = \"20kb\"\n",
        "max_batch = 20000\n",
        "auth_delay = \"10s\"\n",
        "listen = (\":1\", \":2\", \"127.0.0.1:0\", \"127.0.0.1:0\")\n",
        "backends = { a = { driver = \"sqlite\", path = \"x\", min_loads = 5, max_loads = 5 } }\n",
        "scripts = \"nowhere\"\n" SQLITE_MAIN "loaders = ({ pattern = \"a:{x:int}:*\", sql = "
        "\"SELECT $1, $x, $2\", backend = \"main\" })\n",
        "scripts = \"nowhere\"\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        conf_unref(load(texts[i]));
}

static void what_is_past_it_is_told_where_it_is_written(void **state)
{
    (void)state;
    assert_says("\nauth_share_network = 0.1\n", 2,
                "\"auth_share_address\" (0.125) is above \"auth_share_network\" (0.1)");
    assert_says("auth_share_network = 0.1\nauth_share_address = 0.2\n", 2,
                "\"auth_share_address\" (0.2) is above \"auth_share_network\" (0.1)");
    assert_says("\nauth_delay = \"11s\"\n", 2,
                "\"auth_delay\" (11s) is above \"auth_delay_cap\" (10s)");
    assert_says("shards = 64\nmemory = \"1mb\"\n", 2,
                "\"memory\" (1mb) is too small for 64 shards; they need 3mb");
    assert_says("shards = 1\nmemory = \"5gb\"\n", 2,
                "\"memory\" (5gb) is too large for 1 shards; they hold 4gb");
    assert_says("max_value = \"2mb\"\nmax_frame = \"1mb\"\n", 2,
                "\"max_frame\" (1mb) cannot hold a \"max_value\" (2mb) and a \"max_key\"");
    assert_says("max_batch = 30000\nmax_parked = 29999\n", 2,
                "\"max_batch\" (30000) is above \"max_parked\" (29999): a get_many of so many keys "
                "could not wait for them");
    assert_says("max_value = \"2mb\"\nmax_output = \"2mb\"\n", 2,
                "\"max_output\" (2mb) cannot hold a \"max_value\" (2mb) and 64kb beside it");
    assert_says("listen = (\":1\",\n\":2\", \":1\")\n", 1, "\"listen\" has \":1\" twice");
    assert_says("backends = { a = { driver = \"sqlite\", path = \"x\",\n max_loads = 4,\n"
                " min_loads = 5 } }\n",
                3, "\"min_loads\" (5) is above \"max_loads\" (4)");
    assert_says("backends = { a = { driver = \"sqlite\", path = \"x\",\n max_loads = 31 } }\n", 2,
                "\"min_loads\" (32) is above \"max_loads\" (31)");
}

static void a_parameter_is_a_star_of_its_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *sql, *says;
    } wrong[] = {
        {"a:{id:int}", "SELECT $0", "\"sql\" has $0, but parameters count from $1"},
        {"a:{id:int}", "SELECT $2, $3",
         "\"sql\" has $3, but the pattern \"a:{id:int}\" has 1 star"},
        {"a:{ident:int}", "SELECT $idnet",
         "\"sql\" has $idnet, but the pattern \"a:{ident:int}\" has no star of that name; did you "
         "mean "
         "$ident?"},
        {"a:{team:int}:{user:int}:*", "SELECT $usr",
         "\"sql\" has $usr, but the pattern \"a:{team:int}:{user:int}:*\" has no star of that "
         "name; "
         "did you mean $user?"},
        {"a:*", "SELECT $id", "\"sql\" has $id, but the pattern \"a:*\" has no star of that name"},
        {"a", "SELECT $1", "\"sql\" has $1, but the pattern \"a\" has 0 stars"},
        {"a", "SELECT $99999", "\"sql\" has $65535, but the pattern \"a\" has 0 stars"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "loaders = ( { pattern = \"%s\",\n sql = \"%s\", backend = \"main\" } )\n" SQLITE_MAIN,
            wrong[i].pattern, wrong[i].sql);
        assert_says(text, 2, wrong[i].says);
    }
}

static void patterns_of_the_same_keys_are_told_at_the_later_one(void **state)
{
    (void)state;
    char says[PATH_MAX + 200];
    snprintf(says, sizeof says,
             "pattern \"a:{y:int}\" matches the same keys as that of the loader at %s:2",
             in_folder("rtcache.conf"));
    assert_says("loaders = ( { pattern = \"z\", script = \"user.lua\" },\n"
                "{ pattern = \"a:{x:int}\", script = \"user.lua\" },\n"
                "{ pattern = \"a:*\", script = \"user.lua\" },\n"
                "{ pattern = \"a:{y:int}\", script = \"user.lua\" } )\n",
                4, says);
    snprintf(says, sizeof says, "pattern \"k\" is that of the loader at %s:1 too",
             in_folder("rtcache.conf"));
    assert_says("loaders = ( { pattern = \"k\", script = \"user.lua\" },\n"
                "{ pattern = \"k\", script = \"user.lua\" } )\n",
                2, says);
}

static void scripts_need_their_folder_whatever_comes_after_them(void **state)
{
    (void)state;
    char says[PATH_MAX + 64];
    snprintf(says, sizeof says, "\"scripts\": there is no folder %s", in_folder("nowhere"));
    assert_says("scripts = \"nowhere\"\n" SQLITE_MAIN
                "loaders = ({ pattern = \"a\", script = \"user.lua\" },\n"
                "  { pattern = \"b\", sql = \"SELECT 1\", backend = \"main\" })\n",
                1, says);
}

static void an_option_in_the_wrong_place_is_told_where_it_belongs(void **state)
{
    (void)state;
    assert_says("script = \"x\"\n", 1,
                "unknown option \"script\"; did you mean \"scripts\"?; it belongs to a loader");
    assert_says("\nretries = 1\n", 2,
                "unknown option \"retries\"; it belongs to a loader or \"defaults\"");
    assert_says("ciphers = \"x\"\n", 1, "unknown option \"ciphers\"; it belongs to \"tls\"");
    assert_says("rights = [\"read\"]\n", 1, "unknown option \"rights\"; it belongs to a user");
    assert_says("pool = 1\n", 1, "unknown option \"pool\"; it belongs to a backend");
    assert_says(
        "busy_timeout = \"1s\"\n", 1,
        "unknown option \"busy_timeout\"; did you mean \"auth_timeout\"?; it belongs to a backend");
    assert_says("defaults = { shards = 1 }\n", 1,
                "unknown option \"shards\"; it belongs to the top of the file");
    assert_says("backends = { a = { driver = \"sqlite\", path = \"x\",\n url = \"x\" } }\n", 2,
                "\"url\" belongs to postgres; this backend's driver is sqlite");
    assert_says("backends = { a = { driver = \"postgres\", url = \"x\",\n init = \"x\" } }\n", 2,
                "\"init\" belongs to sqlite; this backend's driver is postgres");
    assert_says("backends = { abc = { path = \"x\" } }\n", 1, "backend \"abc\" needs \"driver\"");
    assert_says("backends = { abc = { driver = \"sqlite\" } }\n", 1,
                "backend \"abc\" needs \"path\"");
    assert_says("backends = { abc = 1 }\n", 1, "backend \"abc\" takes a group: { driver = ... }");
    assert_says("loaders = ( 1 )\n", 1, "a loader takes a group: { pattern = ..., script = ... }");
    assert_says("tls = { certificate = \"scripts/user.lua\" }\n", 1, "\"tls\" needs \"key\"");
}

/* A loader without a script is called by its place. */
static void a_loader_of_sql_is_named_by_its_line(void **state)
{
    (void)state;
    struct conf *c =
        load(SQLITE_MAIN "loaders = (\n"
                         "{ pattern = \"a\", sql = \"SELECT 1\", backend = \"main\" })\n");
    assert_string_equal(c->loaders[0].script, "rtcache.conf:3");
    assert_int_equal(c->loaders[0].line, 3);
    assert_string_equal(c->loaders[0].file, in_folder("rtcache.conf"));
    assert_int_equal(c->backends[0].line, 1);
    assert_string_equal(c->backends[0].name, "main");
    assert_string_equal(c->backends[0].file, in_folder("rtcache.conf"));
    assert_false(c->backends[0].full_errors);
    conf_unref(c);
    c = load("errors = \"full\"\n" SQLITE_MAIN);
    assert_true(c->backends[0].full_errors);
    conf_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_at_its_bound_is_taken),
        cmocka_unit_test(what_is_past_it_is_told_where_it_is_written),
        cmocka_unit_test(a_parameter_is_a_star_of_its_pattern),
        cmocka_unit_test(patterns_of_the_same_keys_are_told_at_the_later_one),
        cmocka_unit_test(scripts_need_their_folder_whatever_comes_after_them),
        cmocka_unit_test(an_option_in_the_wrong_place_is_told_where_it_belongs),
        cmocka_unit_test(a_loader_of_sql_is_named_by_its_line),
    };
    return cmocka_run_group_tests(tests, make, folder_remove);
}
