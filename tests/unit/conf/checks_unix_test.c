/* Who may connect to Unix sockets: what is taken, and what is refused with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "conf/loaded.h"
#include "conf/refused.h"

#include <unistd.h>

#define LISTEN  "listen = \"unix:/run/rtcache.sock\"\n"
#define NO_MODE "it takes three octal digits and a 0 before them, such as \"0660\""

static void nothing_is_said_where_nothing_is_written(void **state)
{
    (void)state;
    struct conf *c = load(LISTEN);
    assert_int_equal(c->unix_bits, -1);
    assert_int_equal(c->unix_gid, -1);
    conf_unref(c);
}

static void a_mode_is_octal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bits;
    } modes[] = {{"0660", 0660}, {"660", 0660}, {"0200", 0200}, {"0770", 0770}, {"0600", 0600}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char text[128];
        snprintf(text, sizeof text, LISTEN "unix_mode = \"%s\"\n", modes[i].text);
        struct conf *c = load(text);
        assert_int_equal(c->unix_bits, modes[i].bits);
        assert_int_equal(c->unix_gid, -1);
        conf_unref(c);
    }
    static const char *const wrong[] = {"",    "66",    "0668", "1660",  "4660",  "06600",
                                        "rw-", "0x1ff", "-660", " 0660", "0660 ", "u=rw"};
    for (size_t i = 1; i < sizeof wrong / sizeof *wrong; i++) {
        char text[128], says[200];
        snprintf(text, sizeof text, LISTEN "unix_mode = \"%s\"\n", wrong[i]);
        snprintf(says, sizeof says, "\"unix_mode\" is \"%s\"; " NO_MODE, wrong[i]);
        assert_says(text, 2, says);
    }
    assert_says(LISTEN "unix_mode = \"\"\n", 2, "\"unix_mode\" is empty");
    /* It would be read as a decimal number. */
    assert_says(LISTEN "unix_mode = 660\n", 2,
                "\"unix_mode\" takes a string, found the integer 660");
}

static void nobody_is_let_in_who_was_not_meant(void **state)
{
    (void)state;
    assert_says(LISTEN "\nunix_mode = \"0666\"\n", 3,
                "\"unix_mode\" (0666) lets everybody on this machine in; name \"users\", or set "
                "open_to_all = true");
    assert_says(LISTEN "unix_mode = \"0602\"\n", 2,
                "\"unix_mode\" (0602) lets everybody on this machine in; name \"users\", or set "
                "open_to_all = true");
    assert_says(LISTEN "unix_mode = \"0460\"\n", 2,
                "\"unix_mode\" (0460) keeps the server's own user out: to connect is to write");
    struct conf *c = load(LISTEN "open_to_all = true\nunix_mode = \"0666\"\n");
    assert_int_equal(c->unix_bits, 0666);
    conf_unref(c);
    c = load(LISTEN "unix_mode = \"0666\"\nusers = (\n"
                    "{ name = \"ops\", unix_user = \"root\", rights = [ \"read\" ] }\n)\n");
    assert_int_equal(c->unix_bits, 0666);
    conf_unref(c);
    c = load(LISTEN "unix_mode = \"0664\"\n"); /* to read is not to connect */
    conf_unref(c);
}

static void a_group_is_one_of_the_system(void **state)
{
    (void)state;
    struct conf *c = load(LISTEN "unix_mode = \"0660\"\n\nunix_group = \"root\"\n");
    assert_int_equal(c->unix_gid, 0);
    assert_string_equal(c->unix_file, in_folder("rtcache.conf"));
    assert_int_equal(c->unix_line, 4);
    conf_unref(c);
    c = load(LISTEN "unix_mode = \"0660\"\nunix_group = \"4242\"\n");
    assert_int_equal(c->unix_gid, 4242);
    conf_unref(c);
    assert_says(LISTEN "unix_mode = \"0660\"\nunix_group = \"no-such-group\"\n", 3,
                "\"unix_group\": the system has no group \"no-such-group\"");
    assert_says(LISTEN "unix_mode = \"0660\"\nunix_group = \"4242x\"\n", 3,
                "\"unix_group\": the system has no group \"4242x\"");
}

static void a_group_that_gets_nothing_is_a_mistake(void **state)
{
    (void)state;
    assert_says(LISTEN "unix_group = \"root\"\n", 2,
                "\"unix_group\" goes with a \"unix_mode\" that lets a group in, such as \"0660\"");
    assert_says(LISTEN "unix_mode = \"0640\"\nunix_group = \"root\"\n", 3,
                "\"unix_group\": \"unix_mode\" (0640) lets no group in: to connect is to write");
}

static void without_a_unix_socket_they_are_mistakes(void **state)
{
    (void)state;
    assert_says("unix_mode = \"0660\"\n", 1,
                "\"unix_mode\" is for Unix sockets; \"listen\" names none");
    struct conf *c = load("listen = (\"127.0.0.1:0\", \"unix:/run/x\")\nunix_mode = \"0660\"\n");
    conf_unref(c);
}

static void neither_can_change_without_a_restart(void **state)
{
    (void)state;
    struct conf *a = load(LISTEN "unix_mode = \"0660\"\nunix_group = \"1\"\n");
    struct conf *b = load(LISTEN "unix_mode = \"0600\"\n");
    struct conf *c = load(LISTEN "unix_mode = \"0660\"\nunix_group = \"2\"\n");
    assert_string_equal(conf_needs_restart(a, b), "unix_mode");
    assert_string_equal(conf_needs_restart(a, c), "unix_group");
    assert_null(conf_needs_restart(a, a));
    conf_unref(a);
    conf_unref(b);
    conf_unref(c);
}

static void a_group_may_be_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t gid; /* -1: there is none */
    } cases[] = {
        {"0", 0},           {"9", 9},           {"4294967294", 4294967294},
        {"4294967295", -1}, {"4294967296", -1}, {"18446744073709551617", -1},
        {"/9", -1},         {":9", -1},         {"-1", -1},
        {"+9", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256], says[128];
        snprintf(text, sizeof text, LISTEN "unix_mode = \"0660\"\nunix_group = \"%s\"\n",
                 cases[i].text);
        snprintf(says, sizeof says, "\"unix_group\": the system has no group \"%s\"",
                 cases[i].text);
        if (cases[i].gid < 0) {
            assert_says(text, 3, says);
            continue;
        }
        struct conf *c = load(text);
        assert_true(c->unix_gid == cases[i].gid);
        conf_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_where_nothing_is_written),
        cmocka_unit_test(a_mode_is_octal),
        cmocka_unit_test(nobody_is_let_in_who_was_not_meant),
        cmocka_unit_test(a_group_is_one_of_the_system),
        cmocka_unit_test(a_group_may_be_its_number),
        cmocka_unit_test(a_group_that_gets_nothing_is_a_mistake),
        cmocka_unit_test(without_a_unix_socket_they_are_mistakes),
        cmocka_unit_test(neither_can_change_without_a_restart),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
