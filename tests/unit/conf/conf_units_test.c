#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "conf/conf_units.h"

#include <stdio.h>

static void assert_duration(const char *text, int64_t want)
{
    int64_t ms = -1;
    struct err e;
    if (conf_parse_duration(text, &ms, &e) != 0)
        fail_msg("\"%s\": %s", text, e.text);
    assert_int_equal(ms, want);
}

static void assert_size(const char *text, int64_t want)
{
    int64_t bytes = -1;
    struct err e;
    if (conf_parse_size(text, &bytes, &e) != 0)
        fail_msg("\"%s\": %s", text, e.text);
    assert_int_equal(bytes, want);
}

static void durations_have_a_unit(void **state)
{
    (void)state;
    assert_duration("60s", 60000);
    assert_duration("250ms", 250);
    assert_duration("5min", 300000);
    assert_duration("1.5h", 5400000);
    assert_duration("2d", 172800000);
    assert_duration("0.25s", 250);
    assert_duration("10 s", 10000);
    assert_duration("1H", 3600000);
    for (int digit = 0; digit < 10; digit++) {
        char text[16];
        snprintf(text, sizeof text, "1.%ds", digit);
        assert_duration(text, 1000 + 100 * digit);
        snprintf(text, sizeof text, "%ds", digit);
        assert_duration(text, 1000 * digit);
    }
}

static void nothing_needs_no_unit(void **state)
{
    (void)state;
    assert_duration("0", 0);
    assert_duration("0s", 0);
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    assert_size("4096", 4096);
    assert_size("64kb", 65536);
    assert_size("256mb", 268435456);
    assert_size("1gb", 1073741824);
    assert_size("1.5KB", 1536);
    assert_size("12b", 12);
}

static void wrong_durations_say_what_is_expected(void **state)
{
    (void)state;
    const char *wrong[] = {"",           "s",        "60",
                           "-1s",        "1.s",      "60parsecs",
                           "1m",         ".5s",      "1.5",
                           "1s1s",       "1.0001ms", "9223372036854775807s",
                           "0x1",        " 1s",      "99999999999999999999s",
                           "0.00000001d"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms = 42;
        struct err e;
        err_clear(&e);
        if (conf_parse_duration(wrong[i], &ms, &e) != ERR_CONFIG)
            fail_msg("\"%s\" is taken as %lld", wrong[i], (long long)ms);
        assert_int_equal(ms, 42);
        assert_true(strstr(e.text, "duration such as") || strstr(e.text, "milliseconds in range"));
    }
    struct err e;
    int64_t ms;
    assert_int_equal(conf_parse_duration("60", &ms, &e), ERR_CONFIG);
    assert_non_null(strstr(e.text, "write \"60s\""));
    assert_int_equal(conf_parse_duration("60", &ms, NULL), ERR_CONFIG);
}

static void wrong_sizes_say_what_is_expected(void **state)
{
    (void)state;
    const char *wrong[] = {"", "mb", "12tb", "-5", "0.1b", "8589934592gb", "1kbb", "12 mbs"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t bytes = 42;
        struct err e;
        err_clear(&e);
        if (conf_parse_size(wrong[i], &bytes, &e) != ERR_CONFIG)
            fail_msg("\"%s\" is taken as %lld", wrong[i], (long long)bytes);
        assert_int_equal(bytes, 42);
        assert_true(strstr(e.text, "size such as") || strstr(e.text, "bytes in range"));
    }
}

static void short_durations_are_of_microseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us; /* -1: refused as no short duration; -2: as out of range */
    } cases[] = {
        {"0", 0},
        {"0.0", 0},
        {"0us", 0},
        {"500us", 500},
        {"2ms", 2000},
        {"1.5ms", 1500},
        {"0.000001s", 1},
        {"3 s", 3000000},
        {"1MS", 1000},
        {"9223372036854775807us", INT64_MAX},
        {"9223372036854775808us", -1},
        {"9223372036854776ms", -2},
        {"0.0001ms", -2},
        {"0.1us", -2},
        {"1.0000000s", -1},
        {"5", -1},
        {"0.5", -1},
        {"1min", -1},
        {"", -1},
        {"us", -1},
        {"-1us", -1},
        {"1.us", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = -42;
        struct err e;
        int rc = conf_parse_micros(cases[i].text, &us, &e);
        const char *says =
            cases[i].us == -1 ? "expected a short duration" : "microseconds in range";
        if (rc != (cases[i].us < 0 ? ERR_CONFIG : 0) || (rc != 0 && !strstr(e.text, says)))
            fail_msg("\"%s\": %d %s", cases[i].text, rc, rc ? e.text : "");
        assert_int_equal(us, cases[i].us < 0 ? -42 : cases[i].us);
    }
}

static void what_is_shown_can_be_read_back(void **state)
{
    (void)state;
    const int64_t values[] = {0,     1,     999,     1000,    1024,     1536,
                              60000, 90000, 3600000, 1 << 20, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char shown[CONF_SHOWN_MAX];
        assert_duration(conf_units_show_duration(values[i], shown), values[i]);
        assert_size(conf_units_show_size(values[i], shown), values[i]);
    }
    char shown[CONF_SHOWN_MAX];
    assert_string_equal(conf_units_show_duration(90000, shown), "90s");
    assert_string_equal(conf_units_show_duration(300000, shown), "5min");
    assert_string_equal(conf_units_show_size(1 << 20, shown), "1mb");
    assert_string_equal(conf_units_show_size(4097, shown), "4097");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_a_unit),
        cmocka_unit_test(nothing_needs_no_unit),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(wrong_durations_say_what_is_expected),
        cmocka_unit_test(wrong_sizes_say_what_is_expected),
        cmocka_unit_test(short_durations_are_of_microseconds),
        cmocka_unit_test(what_is_shown_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
