#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/mpw.h"
#include "wire/rpc_answer.h"

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

static const struct rpc_limits limits = {.max_frame = 65536};

static int next(struct slice in, struct rpc_answer *answer, size_t *used, struct err *e)
{
    struct rpc_scan scan = {0};
    return rpc_answer_next(&scan, in, &limits, answer, used, e);
}

static void what_the_server_writes_the_client_reads(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    struct rpc_answer answer;
    size_t used;
    buf_init(&b, 0);
    assert_int_equal(rpc_reply_head(&b, 70000), 0);
    assert_int_equal(mpw_cstr(&b, "pong"), 0);
    size_t first = b.size;
    err_set(&e, ERR_TIMEOUT, "late");
    assert_int_equal(rpc_reply_error(&b, 3, &e, false), 0);

    assert_int_equal(next(buf_slice(&b), &answer, &used, &e), RPC_MESSAGE);
    assert_int_equal(used, first);
    assert_int_equal(answer.msgid, 70000);
    assert_false(answer.failed);
    assert_true(slice_eq_str(answer.result, "\xa4pong"));

    struct slice rest = slice_of(b.data + first, b.size - first);
    assert_int_equal(next(rest, &answer, &used, &e), RPC_MESSAGE);
    assert_int_equal(answer.msgid, 3);
    assert_true(answer.failed);
    assert_true(slice_eq_str(answer.error, "\xacTIMEOUT late"));
    assert_true(slice_eq_str(answer.result, "\xc0"));
    buf_fini(&b);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct slice in = BYTES("\x94\x01\x05\xc0\x82\xa1"
                            "a\x92\x01\x02\xa1"
                            "b\xda\x00\x03xyz");
    struct rpc_scan scan = {0};
    struct rpc_answer answer;
    struct err e;
    size_t used = 0;
    for (size_t n = 0; n < in.size; n++)
        assert_int_equal(rpc_answer_next(&scan, slice_of(in.data, n), &limits, &answer, &used, &e),
                         RPC_MORE);
    assert_int_equal(rpc_answer_next(&scan, in, &limits, &answer, &used, &e), RPC_MESSAGE);
    assert_int_equal(used, in.size);
    assert_int_equal(answer.result.size, in.size - 4);
}

static void a_value_of_full_depth_arrives_inside_its_envelope(void **state)
{
    (void)state;
    char in[64] = "\x94\x01\x05\xc0\x91\x81\xa5value";
    size_t head = 12;
    memset(in + head, 0x91, MP_DEPTH_MAX - 1);
    in[head + MP_DEPTH_MAX - 1] = (char)0x90;
    struct rpc_answer answer;
    struct err e;
    size_t used;
    assert_int_equal(next(slice_of(in, head + MP_DEPTH_MAX), &answer, &used, &e), RPC_MESSAGE);
    memset(in + head, 0x91, MP_DEPTH_MAX + 2);
    assert_int_equal(next(slice_of(in, head + MP_DEPTH_MAX + 2), &answer, &used, &e), ERR_PROTOCOL);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    const struct {
        struct slice in;
        int rc;
        const char *words;
    } cases[] = {
        {BYTES("\x05"), ERR_PROTOCOL, "not an array of 4"},
        {BYTES("\x93\x01\x05\xc0"), ERR_PROTOCOL, "not an array of 4"},
        {BYTES("\x94\x00\x05\xa3get\x90"), ERR_PROTOCOL, "type is not 1"},
        {BYTES("\x94\x01\xff\xc0\xc0"), ERR_PROTOCOL, "msgid"},
        {BYTES("\x94\x01\xcf\0\0\0\1\0\0\0\0\xc0\xc0"), ERR_PROTOCOL, "msgid"},
        {BYTES("\x94\x01\x05\xc1"), ERR_PROTOCOL, "0xc1"},
        {BYTES("\x94\x01\x05\xc0\xdb\x00\xff\xff\xff"), ERR_TOO_LARGE, "max_frame is 65536"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpc_answer answer;
        struct err e;
        size_t used;
        assert_int_equal(next(cases[i].in, &answer, &used, &e), cases[i].rc);
        assert_non_null(strstr(e.text, cases[i].words));
    }
}

/* One scan goes over all that a connection brings, wherever it is cut. */
static void answers_that_follow_each_other_are_read_one_by_one(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    static const uint32_t ids[] = {0, 1, 127, 128, 65536, UINT32_MAX};
    enum { COUNT = sizeof ids / sizeof *ids };
    buf_init(&b, 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rpc_reply_head(&b, ids[i]), 0);
        assert_int_equal(mpw_array(&b, 1) | mpw_uint(&b, ids[i]), 0);
    }
    for (size_t step = 1; step <= b.size; step++) {
        struct rpc_scan scan = {0};
        size_t at = 0, count = 0;
        for (size_t size = step; at < b.size; size = size + step < b.size ? size + step : b.size) {
            struct rpc_answer answer;
            size_t used;
            int rc;
            while ((rc = rpc_answer_next(&scan, slice_of(b.data + at, size - at), &limits, &answer,
                                         &used, &e)) == RPC_MESSAGE) {
                assert_true(answer.msgid == ids[count++]);
                assert_false(answer.failed);
                at += used;
            }
            assert_int_equal(rc, RPC_MORE);
        }
        assert_int_equal(count, COUNT);
    }
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_writes_the_client_reads),
        cmocka_unit_test(an_answer_may_come_byte_by_byte),
        cmocka_unit_test(answers_that_follow_each_other_are_read_one_by_one),
        cmocka_unit_test(a_value_of_full_depth_arrives_inside_its_envelope),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
