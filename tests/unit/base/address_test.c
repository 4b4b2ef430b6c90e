#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/address.h"

#include <string.h>

static struct address read_right(const char *text)
{
    struct address a;
    struct err e;
    if (address_read(&a, text, &e) != 0)
        fail_msg("%s", e.text);
    return a;
}

static void assert_tcp(const char *text, const char *host, const char *port, bool tls)
{
    struct address a = read_right(text);
    assert_false(a.is_unix);
    assert_string_equal(a.host, host);
    assert_string_equal(a.port, port);
    assert_int_equal(a.tls, tls);
}

static void reads_the_forms_that_users_write(void **state)
{
    (void)state;
    assert_tcp("127.0.0.1:7411", "127.0.0.1", "7411", false);
    assert_tcp(":80", "127.0.0.1", "80", false);
    assert_tcp("[::1]:65535", "::1", "65535", false);
    assert_tcp("[fe80::1%eth0]:1", "fe80::1%eth0", "1", false);
    assert_tcp("localhost:0", "localhost", "0", false);
    assert_tcp("tls:localhost:7412", "localhost", "7412", true);
    assert_tcp("tls::7412", "127.0.0.1", "7412", true);
    assert_tcp("tls:[::1]:7412", "::1", "7412", true);
    struct address a = read_right("unix:/run/rtcache.sock");
    assert_true(a.is_unix);
    assert_string_equal(a.path, "/run/rtcache.sock");
    assert_false(a.tls);
}

static void says_what_is_wrong_with_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"", "\"host:port\""},
        {"localhost", "\"host:port\""},
        {"127.0.0.1:", "the port is a number"},
        {"127.0.0.1:http", "the port is a number"},
        {"127.0.0.1:65536", "the port is a number"},
        {"127.0.0.1:-1", "the port is a number"},
        {"127.0.0.1:4294967376", "the port is a number"},
        {"::1:7411", "in brackets"},
        {"[::1]", "\"[IPv6 address]:port\""},
        {"[::1]7411", "\"[IPv6 address]:port\""},
        {"[", "\"host:port\""},
        {"[:1", "\"[IPv6 address]:port\""},
        {"unix:", "absolute path"},
        {"unix:run/x.sock", "absolute path"},
        {"[]:80", "the brackets are empty"},
        {"a b:80", "a blank in the host"},
        {"tls:7411", "\"host:port\""},
        {"tls:unix:/x", "the port is a number"},
        {"unix:@name", "absolute path"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct address a;
        struct err e;
        err_clear(&e);
        assert_int_equal(address_read(&a, wrong[i].text, &e), ERR_CONFIG);
        if (!strstr(e.text, wrong[i].says))
            fail_msg("\"%s\" gave \"%s\"", wrong[i].text, e.text);
    }
    char text[200];
    struct address a;
    struct err e;
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:/", 6);
    text[5 + 107] = '\0';
    assert_int_equal(address_read(&a, text, &e), 0);
    text[5 + 107] = 'x';
    text[5 + 108] = '\0';
    assert_int_equal(address_read(&a, text, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "107 bytes"));
    text[5 + 108] = 'x';
    text[199] = '\0';
    assert_int_equal(address_read(&a, text, &e), ERR_CONFIG);
}

static void a_host_has_no_blanks_and_no_controls(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[] = "a?b:80", says[] = "a blank in the host";
        struct address a;
        struct err e;
        text[1] = (char)c;
        bool blank = c <= ' ' || c == 0x7f;
        int rc = address_read(&a, text, &e);
        if (c != ':' && (rc != (blank ? ERR_CONFIG : 0) || (blank && !strstr(e.text, says))))
            fail_msg("byte %d: %d", c, rc);
    }
}

static void a_text_has_as_many_bytes_as_there_is_room_for(void **state)
{
    (void)state;
    for (size_t size = ADDRESS_TEXT_MAX - 2; size <= ADDRESS_TEXT_MAX; size++) {
        char text[ADDRESS_TEXT_MAX + 1] = {0};
        struct address a;
        struct err e;
        memset(text, 'h', size);
        memcpy(text + size - 3, ":80", 3);
        bool fits = size < ADDRESS_TEXT_MAX;
        assert_int_equal(address_read(&a, text, &e), fits ? 0 : ERR_CONFIG);
        if (fits)
            assert_int_equal(strlen(a.host), size - 3);
        else
            assert_non_null(strstr(e.text, "hhh...\": longer than 127 bytes"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_forms_that_users_write),
        cmocka_unit_test(says_what_is_wrong_with_an_address),
        cmocka_unit_test(a_host_has_no_blanks_and_no_controls),
        cmocka_unit_test(a_text_has_as_many_bytes_as_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
