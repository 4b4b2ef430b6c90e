#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/params.h"
#include "wire/mpw.h"

#include <stdio.h>

static const struct conf conf = {.max_key = 8, .max_batch = 3, .max_value = 16};

static struct params params_of(const char *method, const char *bytes, size_t size, uint32_t count)
{
    static struct rpc_msg m; /* outlives the params, which borrow it */
    m = (struct rpc_msg){.params = slice_of(bytes, size), .param_count = count};
    struct params p;
    params_init(&p, method, &m, &conf);
    return p;
}

/* The call of a method with so many arguments, packed in a literal. */
#define CALL(method, count, bytes) params_of(method, bytes, sizeof(bytes) - 1, count)

static void is_error(int rc, const struct err *e, int code, const char *text)
{
    assert_string_equal(err_name(rc), err_name(code));
    assert_int_equal(e->code, code);
    assert_string_equal(e->text, text);
}

static void key_is(struct params p, const char *want, size_t size)
{
    struct slice key;
    struct err e;
    assert_int_equal(params_key(&p, &key, &e), 0);
    assert_int_equal(key.size, size);
    assert_memory_equal(key.data, want, size);
    assert_int_equal(p.left, 0);
}

static void no_key(struct params p, int code, const char *text)
{
    struct slice key;
    struct err e;
    int rc = params_key(&p, &key, &e);
    is_error(rc, &e, code, text);
}

static void a_key_is_a_str_or_bin_of_any_bytes(void **state)
{
    (void)state;
    key_is(CALL("get", 1, "\xa1k"), "k", 1);
    key_is(CALL("get", 1,
                "\xa8"
                "12345678"),
           "12345678", 8);
    key_is(CALL("get", 1,
                "\xc4\x03"
                "a\0\xff"),
           "a\0\xff", 3);
    key_is(CALL("get", 1, "\xda\x00\x01k"), "k", 1);
}

static void a_key_that_is_none_is_named_with_what_it_is(void **state)
{
    (void)state;
    no_key(CALL("get", 0, ""), ERR_BAD_REQUEST, "get: argument 1 is missing");
    no_key(CALL("get", 1, "\xa0"), ERR_BAD_KEY, "get: the key is empty");
    no_key(CALL("get", 1, "\xc4\x00"), ERR_BAD_KEY, "get: the key is empty");
    no_key(CALL("peek", 1,
                "\xa9"
                "user\n6789"),
           ERR_BAD_KEY, "peek: the key user\\x0a6789 has 9 bytes; max_key is 8");
    static const struct {
        char bytes[9];
        const char *what;
    } others[] = {
        {"\xc0", "nil"},
        {"\xc2", "a bool"},
        {"\x05", "an integer"},
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "an integer"},
        {"\xcb\x3f\xf0\0\0\0\0\0\0", "a float"},
        {"\x90", "an array"},
        {"\x80", "a map"},
        {"\xd4\x01\x01", "an ext"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[96];
        snprintf(text, sizeof text, "get: a key is a str or bin, and this is %s", others[i].what);
        no_key(params_of("get", others[i].bytes, sizeof others[i].bytes, 1), ERR_BAD_REQUEST, text);
    }
}

static void arguments_are_taken_in_order_and_counted(void **state)
{
    (void)state;
    struct params p = CALL("set", 2, "\xa1k\x93\x01\x02\x03");
    struct slice key, value;
    struct err e;
    assert_int_equal(params_key(&p, &key, &e), 0);
    assert_int_equal(params_value(&p, &value, &e), 0);
    assert_int_equal(value.size, 4);
    assert_memory_equal(value.data, "\x93\x01\x02\x03", 4);
    assert_int_equal(params_options(&p, NULL, 0, &e), 0);
    is_error(params_value(&p, &value, &e), &e, ERR_BAD_REQUEST,
             "set: argument 3, the value, is missing or malformed");
    is_error(params_key(&p, &key, &e), &e, ERR_BAD_REQUEST, "set: argument 3 is missing");
}

static void no_value(struct params p, int code, const char *text)
{
    struct slice value;
    struct err e;
    int rc = params_value(&p, &value, &e);
    is_error(rc, &e, code, text);
}

static void a_value_is_whole_and_within_its_bound(void **state)
{
    (void)state;
    struct slice value;
    struct err e;
    struct params p = CALL("set", 1, "\xafxxxxxxxxxxxxxxx");
    assert_int_equal(params_value(&p, &value, &e), 0);
    assert_int_equal(value.size, 16);
    no_value(CALL("set", 1, "\xb0xxxxxxxxxxxxxxxx"), ERR_TOO_LARGE,
             "set: a value of 17 bytes; max_value is 16");
    no_value(CALL("set", 1, "\x92\x01"), ERR_BAD_REQUEST,
             "set: argument 1, the value, is missing or malformed");
    no_value(CALL("set", 1, "\xc1"), ERR_BAD_REQUEST,
             "set: argument 1, the value, is missing or malformed");
}

static void no_array(struct params p, const char *text)
{
    uint32_t count;
    struct err e;
    int rc = params_array(&p, &count, &e);
    is_error(rc, &e, ERR_BAD_REQUEST, text);
}

static void an_argument_whose_end_is_known_is_not_looked_through(void **state)
{
    (void)state;
    static const char packed[] = "\xa1k\x92\x01"; /* the second value of the array is missing */
    struct rpc_msg m = {.params = slice_of(packed, sizeof packed - 1),
                        .param_count = 2,
                        .end_count = 2,
                        .ends = {packed + 2, packed + 4}};
    struct params p;
    struct slice key, value;
    struct err e;
    params_init(&p, "set", &m, &conf);
    assert_int_equal(params_key(&p, &key, &e), 0);
    assert_int_equal(params_value(&p, &value, &e), 0);
    assert_int_equal(value.size, 2);
    assert_int_equal(params_options(&p, NULL, 0, &e), 0);
}

static void options_that_would_take_long_are_refused(void **state)
{
    (void)state;
    static char many[8192] = "\x81\xa3raw\xdd\x00\x00\x1f\x00";
    struct slice raw = {0};
    int64_t n = 0;
    struct err e;
    const struct option_spec specs[] = {{"raw", OPTION_RAW, &raw, NULL},
                                        {"n", OPTION_INT, &n, NULL}};
    struct params p = params_of("get", many, 10 + 0x1f00, 1);
    is_error(params_options(&p, specs, 2, &e), &e, ERR_BAD_REQUEST,
             "get: option raw holds too many values");
    p = CALL("get", 1, "\x83\xa1n\x01\xa1n\x02\xa1n\x03");
    is_error(params_options(&p, specs, 2, &e), &e, ERR_BAD_REQUEST,
             "get: an option is given twice");
    p = CALL("get", 1, "\x81\xa3raw\x92\x91\x01\x02");
    assert_int_equal(params_options(&p, specs, 2, &e), 0);
    assert_int_equal(raw.size, 4);
}

static void an_array_of_keys_is_bounded(void **state)
{
    (void)state;
    uint32_t count;
    struct err e;
    struct params p = CALL("get_many", 1, "\x93\xa1k\xa1l\xa1m");
    assert_int_equal(params_array(&p, &count, &e), 0);
    assert_int_equal(count, 3);
    p = CALL("get_many", 1, "\x90");
    assert_int_equal(params_array(&p, &count, &e), 0);
    assert_int_equal(count, 0);
    no_array(CALL("get_many", 1, "\x94\xa1k\xa1l\xa1m\xa1n"), "get_many: 4 keys; max_batch is 3");
    no_array(CALL("get_many", 1, "\xdd\xff\xff\xff\xff"),
             "get_many: 4294967295 keys; max_batch is 3");
    no_array(CALL("get_many", 1, "\xa1k"),
             "get_many: argument 1 is an array of keys, and this is a str");
    no_array(CALL("get_many", 0, ""), "get_many: argument 1 is missing");
}

/* What a method with an option of every type reads. */
struct given {
    int64_t ttl_ms, version;
    bool background, has_version;
    struct slice client;
};

static int read_options(struct params p, struct given *g, struct err *e)
{
    *g = (struct given){.ttl_ms = 7, .version = 8, .background = true, .client = slice_str("me")};
    const struct option_spec specs[] = {
        {"ttl_ms", OPTION_TTL, &g->ttl_ms, NULL},
        {"version", OPTION_INT, &g->version, &g->has_version},
        {"background", OPTION_BOOL, &g->background, NULL},
        {"client", OPTION_TEXT, &g->client, NULL},
    };
    return params_options(&p, specs, sizeof specs / sizeof *specs, e);
}

static void options_that_are_not_given_are_left_alone(void **state)
{
    (void)state;
    struct given g;
    struct err e;
    static const char *const calls[] = {"", "\x80"};
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(read_options(params_of("set", calls[i], i, i), &g, &e), 0);
        assert_int_equal(g.ttl_ms, 7);
        assert_int_equal(g.version, 8);
        assert_false(g.has_version);
        assert_true(g.background);
        assert_true(slice_eq_str(g.client, "me"));
    }
}

#define TTL_MAX_MS INT64_C(315360000000) /* 3650 days */

static void options_come_in_any_order_as_str_or_bin(void **state)
{
    (void)state;
    struct given g;
    struct err e;
    assert_int_equal(read_options(CALL("set", 1,
                                       "\x84\xa6"
                                       "client\xa2hi"
                                       "\xaa"
                                       "background\xc2"
                                       "\xc4\x07version\xd3\x80\0\0\0\0\0\0\0"
                                       "\xa6ttl_ms\x00"),
                                  &g, &e),
                     0);
    assert_int_equal(g.ttl_ms, 0);
    assert_int_equal(g.version, INT64_MIN);
    assert_true(g.has_version);
    assert_false(g.background);
    assert_true(slice_eq_str(g.client, "hi"));
    assert_int_equal(read_options(CALL("set", 1,
                                       "\x81\xa6"
                                       "client\xc4\x02\0\1"),
                                  &g, &e),
                     0);
    assert_true(slice_eq(g.client, slice_of("\0\1", 2)));
    /* The longest time that rtcache.conf takes as `ttl`. */
    struct buf b;
    buf_init(&b, 0);
    for (int64_t over = 0; over < 2; over++) {
        buf_clear(&b);
        assert_int_equal(mpw_map(&b, 1), 0);
        assert_int_equal(mpw_cstr(&b, "ttl_ms"), 0);
        assert_int_equal(mpw_int(&b, TTL_MAX_MS + over), 0);
        int rc = read_options(params_of("set", b.data, b.size, 1), &g, &e);
        assert_int_equal(rc, over ? ERR_BAD_REQUEST : 0);
        assert_int_equal(g.ttl_ms, over ? 7 : TTL_MAX_MS);
    }
    buf_fini(&b);
}

static void bad_options(struct params p, const char *text)
{
    struct given g;
    struct err e;
    int rc = read_options(p, &g, &e);
    is_error(rc, &e, ERR_BAD_REQUEST, text);
    assert_false(g.has_version);
}

#define MS                                                                                         \
    "set: option ttl_ms is a whole number of milliseconds, 0 to "                                  \
    "315360000000 (3650d), and this is "
#define VERSION "set: option version is an integer of 64 bits, and this is "
#define FLAG    "set: option background is true or false, and this is "
#define TEXT    "set: option client is a str, and this is "
#define UINT    "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"

static void a_wrong_option_is_named_with_what_it_is(void **state)
{
    (void)state;
    bad_options(CALL("set", 1, "\x81\xa6ttl_ms\xff"), MS "out of bounds");
    bad_options(CALL("set", 1, "\x81\xa6ttl_ms" UINT), MS "out of bounds");
    bad_options(CALL("set", 1, "\x81\xa6ttl_ms\xcb\x3f\xf8\0\0\0\0\0\0"), MS "a float");
    bad_options(CALL("set", 1,
                     "\x81\xa6ttl_ms\xa1"
                     "5"),
                MS "a str");
    bad_options(CALL("set", 1, "\x81\xa6ttl_ms\xc0"), MS "nil");
    bad_options(CALL("set", 1, "\x81\xa7version" UINT), VERSION "out of bounds");
    bad_options(CALL("set", 1, "\x81\xa7version\xc3"), VERSION "a bool");
    bad_options(CALL("set", 1,
                     "\x81\xaa"
                     "background\x01"),
                FLAG "an integer");
    bad_options(CALL("set", 1,
                     "\x81\xaa"
                     "background" UINT),
                FLAG "an integer");
    bad_options(CALL("set", 1,
                     "\x81\xaa"
                     "background\xc0"),
                FLAG "nil");
    bad_options(CALL("set", 1,
                     "\x81\xa6"
                     "client\x01"),
                TEXT "an integer");
    bad_options(CALL("set", 1,
                     "\x81\xa6"
                     "client\x90"),
                TEXT "an array");
}

static void what_is_no_map_of_options_is_named(void **state)
{
    (void)state;
    bad_options(CALL("set", 1,
                     "\xa4"
                     "fast"),
                "set: argument 1 is a map of options, and this is a str");
    bad_options(CALL("set", 2, "\x05\x05"),
                "set: argument 1 is a map of options, and this is an integer");
    bad_options(CALL("set", 1, "\x81\x05\x01"), "set: the name of an option is no str");
    bad_options(CALL("set", 1, "\x81"), "set: the name of an option is no str");
    bad_options(CALL("set", 1, "\x81\xa6ttl_ms"), "set: option ttl_ms is cut off");
    bad_options(CALL("set", 1, ""), "set: argument 1 is missing");
    /* The map is the last argument. */
    bad_options(CALL("set", 2, "\x80\x05"), "set: 2 arguments are given, and it takes 1");
    struct params p = CALL("set", 4, "\xa1k\x80\x80\x80");
    struct slice key;
    struct err e;
    assert_int_equal(params_key(&p, &key, &e), 0);
    is_error(params_options(&p, NULL, 0, &e), &e, ERR_BAD_REQUEST,
             "set: 4 arguments are given, and it takes 2");
}

static void an_unknown_option_is_answered_with_those_there_are(void **state)
{
    (void)state;
    bad_options(CALL("set", 1, "\x81\xa3ttl\x05"),
                "set: unknown option \"ttl\"; it knows ttl_ms, version, background, client");
    bad_options(CALL("set", 1, "\x82\xa6ttl_ms\x05\xc4\x02\xff\n\x01"),
                "set: unknown option \"\\xff\\x0a\"; it knows ttl_ms, version, background, client");
    struct params p = CALL("ping", 1, "\x81\xa0\x05");
    struct err e;
    is_error(params_options(&p, NULL, 0, &e), &e, ERR_BAD_REQUEST,
             "ping: unknown option \"\"; it knows none");
}

static void a_long_list_of_options_is_cut_behind_a_name(void **state)
{
    (void)state;
    enum { NAMES = 200 }; /* more than fit; those of one byte fill the text to its last one */
    struct option_spec specs[NAMES];
    struct err e;
    int64_t n = 0;
    for (size_t size = 1; size < 20; size++) {
        char name[20] = "nnnnnnnnnnnnnnnnnnn";
        name[size] = '\0';
        for (size_t i = 0; i < NAMES; i++)
            specs[i] = (struct option_spec){name, OPTION_INT, &n, NULL};
        struct params p = CALL("set", 1, "\x81\xa1x\x01");
        assert_int_equal(params_options(&p, specs, NAMES, &e), ERR_BAD_REQUEST);
        const char *list = strstr(e.text, "knows") + strlen("knows");
        assert_true(strlen(e.text) < sizeof e.text);
        assert_true(strlen(e.text) + size + 2 >= sizeof e.text); /* as many as fit */
        assert_int_equal((strlen(list) + 1) % (size + 2), 0);
        assert_memory_equal(list + strlen(list) - size, name, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_a_str_or_bin_of_any_bytes),
        cmocka_unit_test(a_key_that_is_none_is_named_with_what_it_is),
        cmocka_unit_test(arguments_are_taken_in_order_and_counted),
        cmocka_unit_test(a_value_is_whole_and_within_its_bound),
        cmocka_unit_test(an_argument_whose_end_is_known_is_not_looked_through),
        cmocka_unit_test(options_that_would_take_long_are_refused),
        cmocka_unit_test(an_array_of_keys_is_bounded),
        cmocka_unit_test(options_that_are_not_given_are_left_alone),
        cmocka_unit_test(options_come_in_any_order_as_str_or_bin),
        cmocka_unit_test(a_wrong_option_is_named_with_what_it_is),
        cmocka_unit_test(what_is_no_map_of_options_is_named),
        cmocka_unit_test(an_unknown_option_is_answered_with_those_there_are),
        cmocka_unit_test(a_long_list_of_options_is_cut_behind_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
