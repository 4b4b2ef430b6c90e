/* The bounds of what is read at once, of a frame, and of an error's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/mpw.h"
#include "wire/rpc.h"

#include <stdio.h>
#include <string.h>

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

static int next(struct slice in, size_t max_frame, struct rpc_msg *msg, struct err *e)
{
    struct rpc_scan scan = {0};
    const struct rpc_limits limits = {.max_frame = max_frame};
    size_t used = 0;
    memset(msg, 0x55, sizeof *msg); /* every member is filled in */
    int rc = rpc_next(&scan, in, &limits, msg, &used, e);
    if (rc == RPC_MESSAGE)
        assert_int_equal(used, in.size);
    return rc;
}

/* [0, 5, "m", params]: so many strings, and one container of so many values, before or behind. */
static struct slice request(struct buf *b, uint32_t strings, bool map, uint32_t inner)
{
    uint32_t params = strings + (inner != UINT32_MAX);
    int rc = rpc_request_head(b, 5, "m") | mpw_array(b, params);
    for (uint32_t i = 0; i < strings; i++)
        rc |= mpw_cstr(b, "k");
    if (inner != UINT32_MAX) {
        rc |= map ? mpw_map(b, inner / 2) : mpw_array(b, inner);
        for (uint32_t i = 0; i < inner; i++)
            rc |= mpw_cstr(b, "v");
    }
    assert_int_equal(rc, 0);
    return buf_slice(b);
}

/* The first param of a small flat request is read with it, and is in no need of a scan. */
static void a_small_flat_request_comes_with_its_first_param(void **state)
{
    (void)state;
    static const struct {
        uint32_t strings;
        bool map;
        uint32_t inner;
        bool small;
    } cases[] = {
        {1, false, UINT32_MAX, true}, {8, false, UINT32_MAX, true}, {9, false, UINT32_MAX, false},
        {1, false, 16, true},         {1, false, 17, false},        {1, true, 16, true},
        {1, true, 18, false},         {1, false, 0, true},          {7, false, 16, true},
        {8, false, 16, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        struct rpc_msg msg;
        struct err e;
        buf_init(&b, 0);
        struct slice in = request(&b, cases[i].strings, cases[i].map, cases[i].inner);
        assert_int_equal(next(in, 65536, &msg, &e), RPC_MESSAGE);
        assert_int_equal(msg.kind, RPC_REQUEST);
        assert_int_equal(msg.msgid, 5);
        assert_true(slice_eq_str(msg.method, "m"));
        assert_int_equal(msg.param_count, cases[i].strings + (cases[i].inner != UINT32_MAX));
        assert_ptr_equal(msg.params.data + msg.params.size, in.data + in.size);
        assert_int_equal(msg.first_hash, 0);
        if (cases[i].small) {
            assert_int_equal(msg.end_count, 0);
            assert_ptr_equal(msg.behind_first, msg.params.data + 2);
            assert_int_equal(msg.first.type, MP_STR);
            assert_true(slice_eq_str(msg.first.bytes, "k"));
        } else {
            assert_null(msg.behind_first);
            assert_int_equal(msg.end_count, msg.param_count < 3 ? msg.param_count : 3);
        }
        buf_fini(&b);
    }
}

/* One that begins with a container, or has none, brings no first param. */
static void a_first_param_that_is_a_container_is_left_to_the_caller(void **state)
{
    (void)state;
    const struct slice cases[] = {
        BYTES("\x94\x00\x05\xa1m\x90"),
        BYTES("\x94\x00\x05\xa1m\x92\x91\x01\xa1k"),
        BYTES("\x94\x00\x05\xa1m\x92\x81\xa1k\x01\xa1k"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpc_msg msg;
        struct err e;
        assert_int_equal(next(cases[i], 65536, &msg, &e), RPC_MESSAGE);
        assert_null(msg.behind_first);
        assert_int_equal(msg.end_count, 0);
        assert_int_equal(msg.first_hash, 0);
    }
}

/* Small frames, whether they are read at once or scanned, in one piece or not all there. */
static void a_frame_may_have_max_frame_bytes_and_no_more(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\x94\x00\x05\xa1m\x91\xa1k", 8},
        {"\x94\x00\x05\xa1m\x91\x91\x91\x01", 9},
        {"\x93\x02\xa1m\x91\xa1k", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice in = slice_of(cases[i].bytes, cases[i].size);
        struct rpc_msg msg;
        struct err e;
        assert_int_equal(next(in, in.size, &msg, &e), RPC_MESSAGE);
        assert_int_equal(next(in, in.size - 1, &msg, &e), ERR_TOO_LARGE);
        assert_int_equal(e.code, ERR_TOO_LARGE);
        char want[100];
        snprintf(want, sizeof want, "a message of at least %zu bytes; max_frame is %zu", in.size,
                 in.size - 1);
        assert_string_equal(e.text, want);
    }
}

/* Its header and what it owes are known to fit; what has come is as much as there may be. */
static void what_is_not_all_there_waits_below_max_frame(void **state)
{
    (void)state;
    struct slice in = BYTES("\x94\x00\x05\xa1m\x91\xd9");
    struct rpc_scan scan = {0};
    struct err e;
    assert_int_equal(rpc_scan_step(&scan, in, 8, &e), RPC_MORE);
    scan = (struct rpc_scan){0};
    assert_int_equal(rpc_scan_step(&scan, in, 7, &e), ERR_TOO_LARGE);
    assert_string_equal(e.text, "a message of more than 7 bytes; max_frame is 7");
}

static void a_type_is_named_for_what_it_is(void **state)
{
    (void)state;
    const struct {
        struct slice in;
        const char *says;
    } cases[] = {
        {BYTES("\xc0"), "a message is an array, and this is nil"},
        {BYTES("\xc3"), "a message is an array, and this is a boolean"},
        {BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
         "a message is an array, and this is an integer"},
        {BYTES("\xca\x3f\xc0\x00\x00"), "a message is an array, and this is a float"},
        {BYTES("\xc4\x01x"), "a message is an array, and this is a binary"},
        {BYTES("\xd4\x01x"), "a message is an array, and this is an ext"},
        {BYTES("\x94\x00\x09\x91\x01\xc0"), "the method is an array, not a string"},
        {BYTES("\x94\x00\xff\xc0\xc0"), "the msgid -1 is not in 0 .. 2^32-1"},
        {BYTES("\x94\x00\xa1x\xc0\xc0"), "the msgid is a string, not an integer in 0 .. 2^32-1"},
        {BYTES("\x94\x00\x05\xa1m\x91\xc1"), "byte 0xc1 at 6 of the message is no MessagePack"},
        {BYTES("\x94\xff"), "the message's type is another integer, not 0 (request) or 2 "
                            "(notification)"},
        {BYTES("\x94\x00\x05\xa1m\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
               "\x91\x91\x91"),
         "a value nested deeper than 16 at byte 22 of the message"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpc_msg msg;
        struct err e;
        assert_int_equal(next(cases[i].in, 65536, &msg, &e), ERR_PROTOCOL);
        assert_string_equal(e.text, cases[i].says);
    }
}

static void error_is(const struct err *e, bool as_map, struct slice want)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_nil(&b), 0);
    assert_int_equal(rpc_pack_error(&b, e, as_map), 0);
    assert_true(slice_eq(slice_of(b.data + 1, b.size - 1), want));
    buf_fini(&b);
}

static void an_error_of_no_known_code_is_a_fault_of_the_server(void **state)
{
    (void)state;
    struct err e;
    static const int codes[] = {ERR_INTERNAL, -ERR_COUNT, 1};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        err_clear(&e);
        e.code = codes[i];
        error_is(&e, false, BYTES("\xd9\x25INTERNAL a fault of the server itself"));
    }
    err_clear(&e);
    e.code = -(ERR_COUNT - 1);
    error_is(&e, false,
             BYTES("\xd9\x42"
                   "SCRIPT in counters alone: all codes that scripts gave of their own"));
}

static void a_retry_may_be_at_once(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_TIMEOUT, "late");
    e.retry_after_ms = 0;
    error_is(&e, false, BYTES("\xbfTIMEOUT late (retry after 0 ms)"));
    error_is(&e, true,
             BYTES("\x83\xa4"
                   "code\xa7TIMEOUT\xa7message\xa4late\xaeretry_after_ms\x00"));
    e.retry_after_ms = -1;
    error_is(&e, false, BYTES("\xacTIMEOUT late"));
    error_is(&e, true,
             BYTES("\x82\xa4"
                   "code\xa7TIMEOUT\xa7message\xa4late"));
}

/* Whatever the room, the whole answer or nothing. */
static void a_reply_is_whole_or_not_there(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_TIMEOUT, "late");
    e.retry_after_ms = 70000;
    for (int as_map = 0; as_map < 2; as_map++) {
        struct buf whole;
        buf_init(&whole, 0);
        assert_int_equal(rpc_reply_error(&whole, 1, &e, as_map), 0);
        for (size_t max = 1; max <= whole.size; max++) {
            struct buf b;
            buf_init(&b, max + 1);
            assert_int_equal(mpw_nil(&b), 0);
            int rc = rpc_reply_error(&b, 1, &e, as_map);
            /* Room for the longest head is asked for. */
            assert_int_equal(rc, max < whole.size || max < RPC_REPLY_HEAD ? ERR_TOO_LARGE : 0);
            assert_int_equal(b.size, rc == 0 ? max + 1 : 1);
            buf_fini(&b);
        }
        buf_fini(&whole);
    }
}

static void a_head_is_whole_or_not_there(void **state)
{
    (void)state;
    for (size_t max = 1; max <= 16; max++) {
        struct buf b;
        buf_init(&b, max);
        int rc = rpc_request_head(&b, 70000, "method");
        assert_int_equal(rc, max < 14 ? ERR_TOO_LARGE : 0);
        assert_true(slice_eq(buf_slice(&b),
                             slice_of("\x94\x00\xce\x00\x01\x11\x70\xa6method", rc == 0 ? 14 : 0)));
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_flat_request_comes_with_its_first_param),
        cmocka_unit_test(a_first_param_that_is_a_container_is_left_to_the_caller),
        cmocka_unit_test(a_frame_may_have_max_frame_bytes_and_no_more),
        cmocka_unit_test(what_is_not_all_there_waits_below_max_frame),
        cmocka_unit_test(a_type_is_named_for_what_it_is),
        cmocka_unit_test(an_error_of_no_known_code_is_a_fault_of_the_server),
        cmocka_unit_test(a_retry_may_be_at_once),
        cmocka_unit_test(a_reply_is_whole_or_not_there),
        cmocka_unit_test(a_head_is_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
