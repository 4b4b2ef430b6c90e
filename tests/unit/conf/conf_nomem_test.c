/* A configuration is read without one of the allocations that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "conf/folder.h"

#include "faulty.h"

#define BACKENDS CONF_BACKENDS_MAX
#define LOADERS  60
#define USERS    100

#define HASH                                                                                       \
    "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/"              \
    "i1l1inqZQiq6N7UOM"

#define ADD(b, ...) assert_int_equal(buf_printf(b, __VA_ARGS__), 0)

/* Something of each kind, and so much of it that every list needs memory of its own. */
static void write_conf(void)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mkdir(in_folder("scripts"), 0700), 0);
    write_file("scripts/one.lua", "return {}\n");
    write_file("more.conf", "defaults = { ttl = \"5s\" }\n");
    ADD(&b,
        "listen = (\"127.0.0.1:7411\", \"[::1]:7411\")\n@include \"more.conf\"\nbackends = {\n");
    for (int i = 0; i < BACKENDS; i++)
        ADD(&b, "  b%d = { driver = \"sqlite\", path = \"%d.db\" }\n", i, i);
    ADD(&b, "}\nloaders = (\n");
    for (int i = 0; i < LOADERS; i++)
        ADD(&b, "  { pattern = \"p%d:*\", %s, backend = \"b%d\" },\n", i,
            i % 2 ? "script = \"one.lua\"" : "sql = \"SELECT $1 AS one\"", i % BACKENDS);
    ADD(&b, "  { pattern = \"last:*\", script = \"one.lua\" } )\nusers = (\n");
    for (int i = 0; i < USERS; i++)
        ADD(&b,
            "  { name = \"u%d\", unix_user = \"%d\", rights = (\"read\", \"write\"), "
            "keys = (\"a%d:*\", \"b:*\") },\n",
            i, 1000 + i, i);
    ADD(&b, "  { name = \"app\", password_hash = \"" HASH "\", rights = (\"admin\") } )\n");
    write_bytes("rtcache.conf", b.data, b.size);
    buf_fini(&b);
}

static struct conf *conf;
static struct err err;

static int load(const char *path)
{
    struct buf report;
    buf_init(&report, 0);
    err_clear(&err);
    int rc = conf_load(path, backend_drivers, &conf, &report, &err);
    buf_fini(&report);
    return rc;
}

static void assert_whole(void)
{
    assert_non_null(conf);
    assert_int_equal(conf->backend_count, BACKENDS);
    assert_int_equal(conf->loader_count, LOADERS + 1);
    assert_int_equal(conf->user_count, USERS + 1);
    conf_unref(conf);
    conf = NULL;
}

/* Where there is another way (to sort in place) the configuration is whole. */
static void check(int64_t more)
{
    const char *path = in_folder("rtcache.conf");
    int rc = 0, refusals = 0;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, more, rc = load(path)); nth++) {
        bool refused = rc == ERR_NOMEM && err.code == ERR_NOMEM && !conf;
        if (!refused && rc != 0)
            fail_msg("allocation %lld: %d, error %d \"%s\"", (long long)nth, rc, err.code,
                     err.text);
        if (rc == 0)
            assert_whole();
        refusals += refused;
    }
    assert_int_equal(rc, 0);
    assert_whole();
    assert_true(refusals > 10);
}

static void without_memory_it_is_refused_for_that(void **state)
{
    (void)state;
    write_conf();
    check(0);
    check(FAULTY_ALL);
}

/* Each of its problems, or that there is no memory to find them; never a part of them as the first.
 */
static void without_memory_a_wrong_one_is_refused_all_the_same(void **state)
{
    (void)state;
    struct buf b;
    char first[sizeof err.text];
    buf_init(&b, 0);
    for (int i = 0; i < 40; i++)
        ADD(&b, "wrong_%d = %d\n", i, i);
    ADD(&b, "users = ( { name = \"%0600d\", rights = \"none\" } )\n", 5);
    write_bytes("wrong.conf", b.data, b.size);
    buf_fini(&b);
    const char *path = in_folder("wrong.conf");
    assert_int_equal(load(path), ERR_CONFIG);
    strcpy(first, err.text);
    for (int all = 0; all < 2; all++) {
        int rc = 0, refusals = 0;
        for (int64_t nth = 1; FAULTY_WITHOUT(nth, all ? FAULTY_ALL : 0, rc = load(path)); nth++) {
            bool wrong = rc == ERR_CONFIG && strcmp(err.text, first) == 0;
            bool refused = rc == ERR_NOMEM && err.code == ERR_NOMEM;
            if (!wrong && !refused)
                fail_msg("allocation %lld: %d, error %d \"%s\"", (long long)nth, rc, err.code,
                         err.text);
            assert_null(conf);
            refusals += refused;
        }
        assert_int_equal(rc, ERR_CONFIG);
        assert_true(refusals > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_is_refused_for_that),
        cmocka_unit_test(without_memory_a_wrong_one_is_refused_all_the_same),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
