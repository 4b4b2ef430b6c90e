/* Lists of a configuration, and what has a length: as much as is allowed is taken, and one more is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/loaded.h"
#include "conf/refused.h"

#define ADD(b, ...) assert_int_equal(buf_printf(b, __VA_ARGS__), 0)

static int make(void **state)
{
    if (folder_make(state) != 0 || mkdir(in_folder("scripts"), 0700) != 0)
        return -1;
    write_file("scripts/one.lua", "return {}\n");
    return 0;
}

static void write_listen(struct buf *b, int n)
{
    ADD(b, "listen = (");
    for (int i = 0; i < n; i++)
        ADD(b, "%s\"127.0.0.1:%d\"", i ? ", " : "", 7000 + i);
    ADD(b, ")\n");
}

static size_t listen_of(const struct conf *c)
{
    return c->listen_count;
}

static void write_backends(struct buf *b, int n)
{
    ADD(b, "backends = {");
    for (int i = 0; i < n; i++)
        ADD(b, " b%d = { driver = \"sqlite\", path = \"x\" }", i);
    ADD(b, "}\n");
}

static size_t backends_of(const struct conf *c)
{
    return c->backend_count;
}

static void write_loaders(struct buf *b, int n)
{
    ADD(b, "loaders = (");
    for (int i = 0; i < n; i++)
        ADD(b, "%s{ pattern = \"p%d:*\", script = \"one.lua\" }", i ? ", " : "", i);
    ADD(b, ")\n");
}

static size_t loaders_of(const struct conf *c)
{
    return c->loader_count;
}

static void write_users(struct buf *b, int n)
{
    ADD(b, "users = (");
    for (int i = 0; i < n; i++)
        ADD(b, "%s{ name = \"u%d\", unix_user = \"%d\", rights = (\"read\") }", i ? ", " : "", i,
            i + 1);
    ADD(b, ")\n");
}

static size_t users_of(const struct conf *c)
{
    return c->user_count;
}

static void write_keys(struct buf *b, int n)
{
    ADD(b, "users = ({ name = \"u\", unix_user = \"1\", rights = (\"read\"), keys = (");
    for (int i = 0; i < n; i++)
        ADD(b, "%s\"k%d:*\"", i ? ", " : "", i);
    ADD(b, ") })\n");
}

static size_t keys_of(const struct conf *c)
{
    return c->users[0].keys.count;
}

static void write_name(struct buf *b, int n)
{
    ADD(b, "users = ({ name = \"");
    for (int i = 0; i < n; i++)
        ADD(b, "n");
    ADD(b, "\", unix_user = \"1\", rights = (\"read\") })\n");
}

static size_t name_of(const struct conf *c)
{
    return strlen(c->users[0].name);
}

static const struct bound {
    const char *what;
    int least, most;
    void (*write)(struct buf *b, int n);
    size_t (*of)(const struct conf *c);
    const char *says; /* %d: the number, and the most again where it is told */
} bounds[] = {
    {"listen", 1, CONF_LISTEN_MAX, write_listen, listen_of,
     "\"listen\" has %d addresses; it must have at least 1 and at most %d"},
    {"backends", 0, CONF_BACKENDS_MAX, write_backends, backends_of,
     "there are %d backends; at most %d are taken"},
    {"loaders", 0, CONF_LOADERS_MAX, write_loaders, loaders_of,
     "there are %d loaders; at most %d are taken"},
    {"users", 1, CONF_USERS_MAX, write_users, users_of,
     "there are %d users; at least 1 and at most %d are taken"},
    {"keys", 1, CONF_WORDS_MAX, write_keys, keys_of,
     "\"keys\" has %d strings; it must have at least 1 and at most %d"},
    {"name", 1, CONF_NAME_MAX, write_name, name_of, NULL},
};

static void assert_taken(const struct bound *o, int n)
{
    struct buf b;
    buf_init(&b, 0);
    o->write(&b, n);
    struct conf *c = load(b.data);
    if (o->of(c) != (size_t)n)
        fail_msg("%s: %zu of %d", o->what, o->of(c), n);
    conf_unref(c);
    buf_fini(&b);
}

static void assert_refused(const struct bound *o, int n)
{
    struct buf b, report;
    struct err e;
    char says[256];
    buf_init(&b, 0);
    o->write(&b, n);
    write_bytes("rtcache.conf", b.data, b.size);
    refused(&report, &e);
    snprintf(says, sizeof says, o->says ? o->says : "", n, o->most);
    if (o->says)
        assert_has(report.data, "rtcache.conf", 1, says);
    buf_fini(&report);
    buf_fini(&b);
}

static void as_much_as_allowed_is_taken_and_one_more_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const struct bound *o = &bounds[i];
        assert_taken(o, o->least);
        assert_taken(o, o->most);
        assert_refused(o, o->most + 1);
        if (o->least > 0)
            assert_refused(o, o->least - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_much_as_allowed_is_taken_and_one_more_is_refused),
    };
    return cmocka_run_group_tests(tests, make, folder_remove);
}
