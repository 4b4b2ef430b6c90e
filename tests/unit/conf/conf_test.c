/* What conf_load takes, and what it makes of it. What it refuses: checks_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_options.h"
#include "backend/postgres/postgres.h"
#include "backend/sqlite/sqlite.h"
#include "backend/sqlite/sqlite_options.h"
#include "conf/loaded.h"

static void an_empty_file_is_all_defaults(void **state)
{
    (void)state;
    struct conf *c = load("");
    assert_int_equal(c->listen_count, 1);
    assert_string_equal(c->listen[0], "127.0.0.1:7411");
    assert_int_equal(c->memory_bytes, 256 << 20);
    assert_int_equal(c->shards, 16);
    assert_int_equal(c->io_threads, 1);
    assert_int_equal(c->loader_threads, 1);
    assert_string_equal(c->file, in_folder("rtcache.conf"));
    assert_string_equal(c->scripts_dir, in_folder("scripts"));
    assert_string_equal(c->lua_dir, in_folder("lua"));
    assert_null(c->user);
    assert_null(c->log_file);
    assert_string_equal(c->log_level, "info");
    assert_int_equal(c->max_key, 4096);
    assert_int_equal(c->max_value, 1 << 20);
    assert_int_equal(c->max_frame, 16 << 20);
    assert_int_equal(c->max_connections, 10000);
    assert_int_equal(c->max_parked, 20000);
    assert_int_equal(c->max_output, 64 << 20);
    assert_int_equal(c->max_batch, 10000);
    assert_int_equal(c->idle_timeout_ms, 0);
    assert_int_equal(c->drain_timeout_ms, 10000);
    assert_int_equal(c->failed_keys, 100000);
    assert_true(c->watch);
    assert_int_equal(c->script_memory, 256 << 20);
    assert_int_equal(c->script_cpu_ms, 100);
    assert_int_equal(c->backend_count, 0);
    assert_int_equal(c->loader_count, 0);
    conf_unref(c);
}

static void the_policy_has_its_defaults(void **state)
{
    (void)state;
    struct conf *c = load("");
    const struct policy *p = &c->defaults;
    assert_int_equal(p->ttl_ms, 60000);
    assert_int_equal(p->stale_ttl_ms, 0);
    assert_int_equal(p->negative_ttl_ms, 5000);
    assert_int_equal(p->stale_if_error_ms, 0);
    assert_true(p->jitter == 0.1);
    assert_int_equal(p->stale_wait_ms, 0);
    assert_int_equal(p->wait_timeout_ms, 5000);
    assert_int_equal(p->load_timeout_ms, 10000);
    assert_int_equal(p->retries, 1);
    assert_int_equal(p->retry_base_ms, 50);
    assert_int_equal(p->retry_cap_ms, 1000);
    assert_int_equal(p->backoff_base_ms, 200);
    assert_int_equal(p->backoff_cap_ms, 30000);
    assert_int_equal(p->max_loads, 1000);
    assert_int_equal(p->max_queue, 100000);
    assert_int_equal(p->max_waiters, 100000);
    assert_int_equal(p->breaker_failures, 50);
    assert_int_equal(p->breaker_open_ms, 5000);
    conf_unref(c);
}

static void every_type_of_value_is_read(void **state)
{
    (void)state;
    struct conf *c = load("listen = (\"unix:/tmp/x.sock\", \":0\", \"[::1]:7411\");\n"
                          "memory = 67108864; shards = 0x10\n"
                          "watch = FALSE, max_key = \"1kb\"\n"
                          "idle_timeout = \"1.5h\"\n"
                          "drain_timeout = 0\n"
                          "log_level = \"debug\"\n"
                          "log_file = \"log/rtcache.log\"\n"
                          "user = \"nobody\"\n"
                          "scripts = \"/srv/scripts\"\n"
                          "defaults = { jitter = 0.25 }\n");
    assert_int_equal(c->listen_count, 3);
    assert_string_equal(c->listen[2], "[::1]:7411");
    assert_int_equal(c->memory_bytes, 67108864);
    assert_int_equal(c->shards, 16);
    assert_false(c->watch);
    assert_int_equal(c->max_key, 1024);
    assert_int_equal(c->idle_timeout_ms, 5400000);
    assert_int_equal(c->drain_timeout_ms, 0);
    assert_string_equal(c->log_level, "debug");
    assert_string_equal(c->log_file, in_folder("log/rtcache.log"));
    assert_string_equal(c->user, "nobody");
    assert_string_equal(c->scripts_dir, "/srv/scripts");
    assert_true(c->defaults.jitter == 0.25);
    conf_unref(c);
}

static void integers_above_32_bits_are_not_cut(void **state)
{
    (void)state;
    struct conf *c = load("memory = 8589934592");
    assert_int_equal(c->memory_bytes, 8589934592);
    conf_unref(c);
    c = load("memory = 0x200000000");
    assert_int_equal(c->memory_bytes, 8589934592);
    conf_unref(c);
}

static void backends_have_the_defaults_of_their_driver(void **state)
{
    (void)state;
    write_file("make.sql", "-- nothing\n");
    struct conf *c =
        load("backends = {\n"
             "  lite = { path = \"data/x.db\", init = \"make.sql\", driver = \"sqlite\" }\n"
             "  shop = { driver = \"postgres\", url = \"postgresql:///shop\", pool = 8 }\n"
             "}\n");
    assert_int_equal(c->backend_count, 2);
    const struct conf_backend *lite = &c->backends[0], *shop = &c->backends[1];
    assert_string_equal(lite->name, "lite");
    const struct sqlite_conf *lite_own = lite->own;
    const struct pg_conf *shop_own = shop->own;
    assert_ptr_equal(lite->driver, &sqlite_driver.conf);
    assert_string_equal(lite_own->path, in_folder("data/x.db"));
    assert_string_equal(lite_own->init, in_folder("make.sql"));
    assert_int_equal(lite->pool, 2);
    assert_int_equal(lite_own->busy_timeout_ms, 2000);
    assert_int_equal(lite->line, 2);
    assert_string_equal(lite->file, c->file);
    assert_ptr_equal(shop->driver, &postgres_driver.conf);
    assert_string_equal(shop_own->url, "postgresql:///shop");
    assert_int_equal(shop->pool, 8);
    assert_int_equal(shop_own->pipeline, 64);
    assert_int_equal(shop->max_queue, 100000);
    assert_int_equal(shop_own->statements, 256);
    assert_int_equal(shop->max_result, 8 << 20);
    assert_int_equal(shop_own->connect_timeout_ms, 5000);
    assert_int_equal(shop_own->reconnect_base_ms, 100);
    assert_int_equal(shop_own->reconnect_cap_ms, 5000);
    assert_int_equal(conf_backend_index(c, "shop"), 1);
    assert_int_equal(conf_backend_index(c, "sho"), -1);
    conf_unref(c);
}

static void loaders_inherit_the_defaults_wherever_these_stand(void **state)
{
    (void)state;
    mkdir(in_folder("scripts"), 0700);
    write_file("scripts/user.lua", "return {}\n");
    struct conf *c = load("loaders = (\n"
                          "  { pattern = \"user:*\", script = \"user.lua\", ttl = \"9s\" },\n"
                          "\n"
                          "  { pattern = \"a\\\\*b\", script = \"user.lua\", backend = \"db\" }\n"
                          ")\n"
                          "backends = { db = { driver = \"sqlite\", path = \"x.db\" } }\n"
                          "defaults = { ttl = \"7s\", retries = 3 }\n");
    assert_int_equal(c->loader_count, 2);
    const struct conf_loader *l = c->loaders;
    assert_string_equal(l[0].pattern, "user:*");
    assert_string_equal(l[0].script, "user.lua");
    assert_null(l[0].backend);
    assert_int_equal(l[0].policy.ttl_ms, 9000);
    assert_int_equal(l[0].policy.retries, 3);
    assert_int_equal(l[0].line, 2);
    assert_string_equal(l[1].pattern, "a\\*b");
    assert_string_equal(l[1].backend, "db");
    assert_int_equal(l[1].policy.ttl_ms, 7000);
    assert_int_equal(l[1].line, 4);
    assert_int_equal(c->defaults.ttl_ms, 7000);
    conf_unref(c);
}

static void the_environment_fills_strings(void **state)
{
    (void)state;
    setenv("RTCACHE_TEST_SECRET", "s3cr=t$", 1);
    struct conf *c = load("user = \"a${RTCACHE_TEST_SECRET}b$c$\"\n"
                          "scripts = \"/$${HOME}\"\n");
    assert_string_equal(c->user, "as3cr=t$b$c$");
    assert_string_equal(c->scripts_dir, "/${HOME}");
    conf_unref(c);
}

static void included_files_count_as_if_they_stood_there(void **state)
{
    (void)state;
    mkdir(in_folder("scripts"), 0700);
    mkdir(in_folder("more"), 0700);
    write_file("scripts/user.lua", "return {}\n");
    write_file("more/loaders.conf", "\n{ pattern = \"a\", script = \"user.lua\"\n"
                                    "  @include \"policy.conf\"\n}");
    write_file("more/policy.conf", "ttl = \"3s\"");
    write_file("more/empty.conf", "");
    struct conf *c = load("/* two\nlines */ loaders = (\n"
                          "  @include \"more/loaders.conf\" # a comment\n"
                          "  , { pattern = \"b\", script = \"user.lua\" })\n"
                          "@include \"more/empty.conf\"\n");
    assert_int_equal(c->loader_count, 2);
    assert_int_equal(c->loaders[0].policy.ttl_ms, 3000);
    assert_string_equal(c->loaders[0].file, in_folder("more/loaders.conf"));
    assert_int_equal(c->loaders[0].line, 2);
    assert_string_equal(c->loaders[1].file, c->file);
    assert_int_equal(c->loaders[1].line, 4);
    assert_int_equal(c->file_count, 4);
    assert_string_equal(c->files[0], c->file);
    assert_string_equal(c->files[2], in_folder("more/policy.conf"));
    conf_unref(c);
}

static void a_relative_path_becomes_absolute(void **state)
{
    (void)state;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    write_file("rtcache.conf", "watch = false\n");
    assert_int_equal(chdir(folder), 0);
    char here[PATH_MAX], want[PATH_MAX + 16];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(want, sizeof want, "%s/rtcache.conf", here);
    const char *paths[] = {"rtcache.conf", "./rtcache.conf", "././rtcache.conf"};
    for (size_t i = 0; i < 3; i++) {
        struct conf *c = load_at(paths[i]);
        assert_string_equal(c->file, want);
        conf_unref(c);
    }
    assert_int_equal(chdir(before), 0);
}

static void a_snapshot_lives_as_long_as_its_references(void **state)
{
    (void)state;
    struct conf *c = load("user = \"someone\"\n");
    assert_ptr_equal(conf_ref(c), c);
    conf_unref(c);
    assert_string_equal(c->user, "someone");
    conf_unref(c);
    conf_unref(NULL);
}

static void the_file_that_ships_is_right(void **state)
{
    (void)state;
    struct conf *c = load_at("rtcache.conf");
    assert_int_equal(c->backend_count, 1);
    assert_string_equal(c->backends[0].name, "main");
    assert_int_equal(c->loader_count, 2);
    assert_int_equal(c->loaders[0].policy.stale_ttl_ms, 300000);
    assert_int_equal(c->loaders[1].policy.ttl_ms, 600000);
    conf_unref(c);
}

static void as_many_loaders_as_allowed_are_read(void **state)
{
    (void)state;
    mkdir(in_folder("scripts"), 0700);
    write_file("scripts/user.lua", "return {}\n");
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(buf_printf(&b, "loaders = (\n"), 0);
    for (int i = 0; i < CONF_LOADERS_MAX; i++)
        assert_int_equal(
            buf_printf(&b, "%s{ pattern = \"p%d:*\", script = \"user.lua\" }\n", i ? "," : "", i),
            0);
    assert_int_equal(buf_printf(&b, ")\n"), 0);
    write_bytes("rtcache.conf", b.data, b.size);
    buf_fini(&b);
    struct conf *c = load_at(in_folder("rtcache.conf"));
    assert_int_equal(c->loader_count, CONF_LOADERS_MAX);
    assert_string_equal(c->loaders[CONF_LOADERS_MAX - 1].pattern, "p4095:*");
    assert_int_equal(c->loaders[CONF_LOADERS_MAX - 1].line, CONF_LOADERS_MAX + 1);
    conf_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_all_defaults),
        cmocka_unit_test(the_policy_has_its_defaults),
        cmocka_unit_test(every_type_of_value_is_read),
        cmocka_unit_test(integers_above_32_bits_are_not_cut),
        cmocka_unit_test(backends_have_the_defaults_of_their_driver),
        cmocka_unit_test(loaders_inherit_the_defaults_wherever_these_stand),
        cmocka_unit_test(the_environment_fills_strings),
        cmocka_unit_test(included_files_count_as_if_they_stood_there),
        cmocka_unit_test(a_relative_path_becomes_absolute),
        cmocka_unit_test(a_snapshot_lives_as_long_as_its_references),
        cmocka_unit_test(the_file_that_ships_is_right),
        cmocka_unit_test(as_many_loaders_as_allowed_are_read),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
