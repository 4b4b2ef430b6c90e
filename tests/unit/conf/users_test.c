/* The users of a configuration: what is taken, and what is refused with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "conf/loaded.h"

#define HASH                                                                                       \
    "$argon2id$v=19$m=8,t=1,p=1$rc4Fpwx23OrRFDVAF35K0A$euExscv9avGQSFPF4Rse/"                      \
    "SqvydCMPVUDpsdSx32wCIM"
#define OTHER                                                                                      \
    "$argon2id$v=19$m=8,t=1,p=1$HoqkcZnD0HNQfVJnFLyHOg$Pu+oxE0gAX22NDFwUDMSKyep/"                  \
    "2R3XqHC79VZEISngzg"
#define APP       "name = \"app\", password_hash = \"" HASH "\", "
#define READ      "rights = [ \"read\" ]"
#define USERS(of) "users = (\n { " of " }\n)\n"

/* The one problem that the text has. No message has a part of a hash. */
static void refused(const char *text, int line, const char *says)
{
    struct conf *c;
    struct buf report;
    struct err e;
    char want[1024];
    buf_init(&report, 0);
    write_file("rtcache.conf", text);
    assert_int_equal(conf_load(in_folder("rtcache.conf"), backend_drivers, &c, &report, &e),
                     ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    snprintf(want, sizeof want, "%s:%d: %s\n", in_folder("rtcache.conf"), line, says);
    assert_string_equal(report.data, want);
    assert_null(strstr(report.data, "rc4Fpwx23"));
    buf_fini(&report);
}

static void a_user_is_read_with_all_that_it_has(void **state)
{
    (void)state;
    struct conf *c = load(USERS(APP "rights = [ \"read\", \"admin\" ], keys = (\"user:*\", \"a\"), "
                                    "unix_user = \"4242\""));
    const struct conf_user *u = conf_user_find(c, slice_str("app"));
    assert_non_null(u);
    assert_string_equal(u->password_hash, HASH);
    assert_int_equal(u->rights, RIGHT_READ | RIGHT_ADMIN);
    assert_int_equal(u->keys.count, 2);
    assert_true(glob_matches(&u->globs[0], slice_str("user:7"), NULL));
    assert_false(glob_matches(&u->globs[1], slice_str("user:7"), NULL));
    assert_ptr_equal(conf_user_of_uid(c, 4242), u);
    assert_null(conf_user_of_uid(c, 1));
    assert_null(conf_user_of_uid(c, -1));
    assert_null(conf_user_find(c, slice_str("ap")));
    conf_unref(c);
}

static void a_hash_comes_from_a_file_or_the_environment(void **state)
{
    (void)state;
    write_file("app.hash", HASH "\n# and a remark\n");
    struct conf *c = load(USERS("name = \"app\", password_file = \"app.hash\", " READ));
    assert_string_equal(c->users[0].password_hash, HASH);
    conf_unref(c);
    assert_int_equal(setenv("RTCACHE_TEST_HASH", HASH, 1), 0);
    c = load(USERS("name = \"app\", password_hash = \"${RTCACHE_TEST_HASH}\", " READ));
    assert_string_equal(c->users[0].password_hash, HASH);
    conf_unref(c);
}

static void a_file_of_a_hash_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *says;
    } files[] = {
        {NULL, "cannot read %s: No such file or directory"},
        {"\xEF\xBB\xBF" HASH "\n",
         "%s: the file begins with a byte order mark (BOM), the invisible "
         "bytes EF BB BF; save it as UTF-8 without BOM"},
        {"\xFF\xFE$", "%s: the file is UTF-16, it begins with the bytes FF FE; save it as UTF-8 "
                      "without BOM"},
        {"", "it is no argon2id hash; `rtcache passwd` prints one"},
        {"\n" HASH "\n", "it is no argon2id hash; `rtcache passwd` prints one"},
        {"$argon2id$v=19$m=8,t=1,p=1$rc4F\n", "its hash is damaged; `rtcache passwd` prints one"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char says[512], path[512];
        snprintf(path, sizeof path, "%s", in_folder("bad.hash"));
        (void)remove(path);
        if (files[i].bytes)
            write_file("bad.hash", files[i].bytes);
        int n = snprintf(says, sizeof says, "\"password_file\": ");
        snprintf(says + n, sizeof says - (size_t)n, files[i].says, path);
        refused(USERS("name = \"app\", password_file = \"bad.hash\", " READ), 2, says);
    }
}

static void a_user_of_the_system_is_found_by_its_name(void **state)
{
    (void)state;
    struct conf *c = load(USERS("name = \"ops\", unix_user = \"root\", " READ));
    assert_int_equal(c->users[0].uid, 0);
    assert_null(c->users[0].password_hash);
    conf_unref(c);
    refused(USERS("name = \"ops\", unix_user = \"nobody-at-all\", " READ), 2,
            "\"unix_user\": the system has no user \"nobody-at-all\"");
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    refused(USERS("name = \"app\", " READ), 2,
            "a user needs \"password_hash\", \"password_file\" or \"unix_user\"");
    refused(USERS("password_hash = \"" HASH "\", " READ), 2, "a user needs \"name\"");
    refused(USERS("name = \"app\", password_hash = \"" HASH "\""), 2, "a user needs \"rights\"");
    refused("users = ()\n", 1, "there are 0 users; at least 1 and at most 1024 are taken");
    refused("users = { }\n", 1,
            "\"users\" takes a list of groups: ( { name = ..., password_hash = ..., rights = ... "
            "}, ... )");
    refused("users = ( 5 )\n", 1, "a user takes a group: { name = ..., rights = ... }");
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    refused(USERS(APP "rights = [ \"raed\" ]"), 2,
            "\"rights\" is \"raed\"; it must be one of \"read\", \"write\", \"invalidate\", "
            "\"admin\"; did you mean \"read\"?");
    refused(USERS(APP "rights = \"read\""), 2,
            "\"rights\" takes a list of strings, found a string");
    refused(USERS(APP "rights = ( \"read\", 7 )"), 2,
            "\"rights\" takes a list of strings, found the integer 7");
    refused(USERS(APP READ ", keys = [ \"a\\\\b\" ]"), 2,
            "\"keys\": pattern \"a\\b\" has a lone backslash at byte 2; write \\* for a star, "
            "\\{ for a { and \\\\ for a backslash");
    refused(USERS("name = \"a b\", password_hash = \"" HASH "\", " READ), 2,
            "\"name\" takes 1 to 64 bytes without blanks and control characters");
    refused(USERS(APP READ ", pasword_hash = \"x\""), 2,
            "unknown option \"pasword_hash\"; did you mean \"password_hash\"?");
    refused(USERS(APP READ ", password_file = \"x\""), 2,
            "a user has \"password_hash\" or \"password_file\", not both");
    char says[1024];
    snprintf(says, sizeof says, "user \"app\" is there already, at %s:2",
             in_folder("rtcache.conf"));
    refused("users = (\n { " APP READ " },\n { " APP READ " }\n)\n", 3, says);
    snprintf(says, sizeof says, "\"unix_user\" is that of the user at %s:2 too",
             in_folder("rtcache.conf"));
    refused("users = (\n { name = \"a\", unix_user = \"7\", " READ
            " },\n { name = \"b\", unix_user = \"7\", " READ " }\n)\n",
            3, says);
}

static void a_hash_that_is_none_is_refused_and_not_shown(void **state)
{
    (void)state;
    static const char none[] = "it is no argon2id hash; `rtcache passwd` prints one";
    char says[256];
    snprintf(says, sizeof says, "\"password_hash\": %s", none);
    refused(USERS("name = \"app\", password_hash = \"hunter2\", " READ), 2, says);
    refused(USERS("name = \"app\", password_hash = \"$2b$12$abc\", " READ), 2, says);
    refused(
        USERS("name = \"app\", password_hash = \"$argon2id$v=19$m=8,t=1,p=1$rc4Fpwx23\", " READ), 2,
        "\"password_hash\": its hash is damaged; `rtcache passwd` prints one");
    /* The first two are as much as may be asked for: what is wrong with them is something else. */
    static const struct {
        const char *cost, *says;
    } costs[] = {{"m=1048576,t=1", "is damaged; `rtcache passwd` prints one"},
                 {"m=8,t=64", "is damaged; `rtcache passwd` prints one"},
                 {"m=1048577,t=1", "asks for more than 1 GiB of memory or 64 passes"},
                 {"m=8,t=65", "asks for more than 1 GiB of memory or 64 passes"}};
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        char text[200], because[128];
        snprintf(text, sizeof text,
                 USERS("name = \"app\", password_hash = \"$argon2id$v=19$%s,p=1$a$b\", " READ),
                 costs[i].cost);
        snprintf(because, sizeof because, "\"password_hash\": its hash %s", costs[i].says);
        refused(text, 2, because);
    }
    write_file("empty.hash", "");
    snprintf(says, sizeof says, "\"password_file\": %s", none);
    refused(USERS("name = \"app\", password_file = \"empty.hash\", " READ), 2, says);
    snprintf(says, sizeof says, "\"password_file\": cannot read %s: No such file or directory",
             in_folder("absent.hash"));
    refused(USERS("name = \"app\", password_file = \"absent.hash\", " READ), 2, says);
    refused("users = (\n { name = \"app\", password_hash = \"" HASH "\" x }\n)\n", 2,
            "syntax error, at or before: { name = \"...\"");
}

static void an_open_address_wants_users(void **state)
{
    (void)state;
    static const char *const open[] = {"0.0.0.0:7411", "[::]:7411", "cache.example:7411",
                                       "10.0.0.1:1", "[::ffff:10.0.0.1]:1"};
    static const char *const ours[] = {"127.0.0.1:1",         "127.9.9.9:1", ":1",
                                       "localhost:1",         "[::1]:1",     "unix:/x",
                                       "[::ffff:127.0.0.1]:1"};
    char text[512], says[256];
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        snprintf(text, sizeof text, "\nlisten = \"%s\"\n", open[i]);
        snprintf(says, sizeof says,
                 "\"listen\": \"%s\" serves everybody who can reach it; name \"users\", or "
                 "tls.client_ca for a tls: address, or set open_to_all = true",
                 open[i]);
        refused(text, 2, says);
        snprintf(text, sizeof text, "listen = \"%s\"\nopen_to_all = true\n", open[i]);
        conf_unref(load(text));
        snprintf(text, sizeof text, "listen = \"%s\"\n%s", open[i], USERS(APP READ));
        conf_unref(load(text));
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        snprintf(text, sizeof text, "listen = \"%s\"\n", ours[i]);
        conf_unref(load(text));
    }
}

static void what_makes_a_user_and_what_it_may_do_are_compared(void **state)
{
    (void)state;
    struct conf *one = load(USERS(APP READ ", keys = [ \"a*\" ]"));
    struct conf *two = load(USERS(APP READ ", keys = [ \"b*\" ]"));
    struct conf *three =
        load(USERS("name = \"app\", password_hash = \"" OTHER "\", " READ ", keys = [ \"a*\" ]"));
    assert_true(conf_user_same_proof(one->users, two->users));
    assert_false(conf_user_same_proof(one->users, three->users));
    assert_false(conf_user_same_rights(one->users, two->users));
    assert_true(conf_user_same_rights(one->users, three->users));
    conf_unref(one);
    conf_unref(two);
    conf_unref(three);
}

/* Each of them differs from each other one. */
static void rights_are_the_same_where_all_of_them_are(void **state)
{
    (void)state;
    static const char *const may[] = {
        "rights = [ \"read\" ]",
        "rights = [ \"write\" ]",
        "rights = [ \"read\", \"write\" ]",
        "rights = [ \"read\" ], keys = [ \"a*\" ]",
        "rights = [ \"read\" ], keys = [ \"a*\", \"b*\" ]",
        "rights = [ \"read\" ], keys = [ \"a*\", \"c*\" ]",
        "rights = [ \"read\" ], keys = [ \"b*\", \"c*\" ]",
        "rights = [ \"read\" ], keys = [ \"a*\", \"b*\", \"c*\" ]",
    };
    enum { COUNT = sizeof may / sizeof *may };
    struct conf *all[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        char text[512];
        snprintf(text, sizeof text, USERS(APP "%s"), may[i]);
        all[i] = load(text);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < COUNT; k++)
            if (conf_user_same_rights(all[i]->users, all[k]->users) != (i == k))
                fail_msg("%s and %s", may[i], may[k]);
    for (size_t i = 0; i < COUNT; i++)
        conf_unref(all[i]);
}

static void a_user_of_the_system_is_found_by_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t uid; /* -1: there is none */
    } cases[] = {
        {"0", 0},
        {"9", 9},
        {"10", 10},
        {"99", 99},
        {"4294967294", 4294967294},
        {"4294967295", -1}, /* which calls of the system take for none */
        {"4294967296", -1},
        {"18446744073709551617", -1},
        {"9x", -1},
        {"/9", -1},
        {":9", -1},
        {"-1", -1},
        {"+9", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256], says[128];
        snprintf(text, sizeof text, USERS("name = \"ops\", unix_user = \"%s\", " READ),
                 cases[i].text);
        snprintf(says, sizeof says, "\"unix_user\": the system has no user \"%s\"", cases[i].text);
        if (cases[i].uid < 0) {
            refused(text, 2, says);
            continue;
        }
        struct conf *c = load(text);
        assert_true(c->users[0].uid == cases[i].uid);
        conf_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_read_with_all_that_it_has),
        cmocka_unit_test(a_hash_comes_from_a_file_or_the_environment),
        cmocka_unit_test(a_file_of_a_hash_that_cannot_be_read_is_named),
        cmocka_unit_test(a_user_of_the_system_is_found_by_its_name),
        cmocka_unit_test(a_user_of_the_system_is_found_by_its_number),
        cmocka_unit_test(rights_are_the_same_where_all_of_them_are),
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(a_hash_that_is_none_is_refused_and_not_shown),
        cmocka_unit_test(an_open_address_wants_users),
        cmocka_unit_test(what_makes_a_user_and_what_it_may_do_are_compared),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
