#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/reference.h"
#include "wire/rpc.h"

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

static const struct rpc_limits limits = {.max_frame = 65536};

/* What one input gives; on an error the code and the id that was read. */
struct outcome {
    int rc;
    struct rpc_msg msg;
    size_t used;
    struct err err;
};

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->rc, b->rc);
    if (a->rc != RPC_MORE)
        assert_int_equal(a->msg.msgid, b->msg.msgid);
    if (a->rc != RPC_MESSAGE)
        return;
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->msg.kind, b->msg.kind);
    assert_int_equal(a->msg.param_count, b->msg.param_count);
    assert_true(slice_eq(a->msg.method, b->msg.method));
    assert_ptr_equal(a->msg.params.data, b->msg.params.data);
    assert_int_equal(a->msg.params.size, b->msg.params.size);
}

/* The scan alone says nothing else of it. */
static struct outcome whole(struct slice in)
{
    struct outcome o = {0};
    struct rpc_scan scan = {0};
    o.rc = rpc_next(&scan, in, &limits, &o.msg, &o.used, &o.err);
    struct outcome scanned = {0};
    struct rpc_scan anew = {0};
    scanned.rc = rpc_next_scanned(&anew, in, &limits, &scanned.msg, &scanned.used, &scanned.err);
    assert_same(&o, &scanned);
    return o;
}

/* The same bytes, `step` more at a time; the last outcome. */
static struct outcome in_pieces(struct slice in, size_t step)
{
    struct outcome o = {0};
    struct rpc_scan scan = {0};
    for (size_t n = 0; n < in.size && o.rc == RPC_MORE;) {
        n = n + step < in.size ? n + step : in.size;
        o.rc = rpc_next(&scan, slice_of(in.data, n), &limits, &o.msg, &o.used, &o.err);
    }
    if (o.rc == RPC_MESSAGE) { /* ready for the next one */
        assert_int_equal(scan.mp.offset, 0);
        assert_int_equal(scan.mp.depth, 0);
    }
    return o;
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    struct slice in = BYTES("\x94\x00\x07\xa3get\x91\xa7user:42"
                            "next");
    struct outcome o = whole(in);
    assert_int_equal(o.rc, RPC_MESSAGE);
    assert_int_equal(o.msg.kind, RPC_REQUEST);
    assert_int_equal(o.msg.msgid, 7);
    assert_true(slice_eq_str(o.msg.method, "get"));
    assert_int_equal(o.msg.param_count, 1);
    assert_true(slice_eq_str(o.msg.params, "\xa7user:42"));
    assert_int_equal(o.used, in.size - 4);
}

static void a_notification_has_no_id(void **state)
{
    (void)state;
    struct outcome o = whole(BYTES("\x93\x02\xc4\x04ping\x90"));
    assert_int_equal(o.rc, RPC_MESSAGE);
    assert_int_equal(o.msg.kind, RPC_NOTIFICATION);
    assert_int_equal(o.msg.msgid, 0);
    assert_true(slice_eq_str(o.msg.method, "ping"));
    assert_int_equal(o.msg.param_count, 0);
    assert_int_equal(o.msg.params.size, 0);
}

static void every_integer_width_is_an_id(void **state)
{
    (void)state;
    const struct {
        struct slice in;
        uint32_t id;
    } cases[] = {
        {BYTES("\x94\x00\x00\xa1m\x90"), 0},
        {BYTES("\x94\x00\xcc\x05\xa1m\x90"), 5},
        {BYTES("\x94\x00\xcd\x00\x05\xa1m\x90"), 5},
        {BYTES("\x94\x00\xce\xff\xff\xff\xff\xa1m\x90"), UINT32_MAX},
        {BYTES("\x94\x00\xcf\x00\x00\x00\x00\xff\xff\xff\xff\xa1m\x90"), UINT32_MAX},
        {BYTES("\x94\x00\xd0\x05\xa1m\x90"), 5},
        {BYTES("\x94\x00\xd3\x00\x00\x00\x00\x00\x00\x00\x05\xa1m\x90"), 5},
        /* the type and the array's header too */
        {BYTES("\xdc\x00\x04\xcc\x00\x05\xc4\x01m\xdd\x00\x00\x00\x00"), 5},
        {BYTES("\xdd\x00\x00\x00\x04\xd1\x00\x00\x05\xd9\x01m\xdc\x00\x00"), 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = whole(cases[i].in);
        assert_int_equal(o.rc, RPC_MESSAGE);
        assert_int_equal(o.msg.msgid, cases[i].id);
        assert_true(slice_eq_str(o.msg.method, "m"));
        assert_int_equal(o.used, cases[i].in.size);
    }
}

static void what_is_no_message_is_said_plainly(void **state)
{
    (void)state;
    const struct {
        struct slice in;
        uint32_t id;
        const char *words;
    } cases[] = {
        {BYTES("GET / HTTP/1.1\r\n"), 0, "a message is an array, and this is an integer"},
        {BYTES("\x80"), 0, "this is a map"},
        {BYTES("\xa1x"), 0, "this is a string"},
        {BYTES("\x90"), 0, "3 or 4, and this is one of 0"},
        {BYTES("\x95\x00"), 0, "3 or 4, and this is one of 5"},
        {BYTES("\x94\x01\x05\xc0\xc0"), 0, "an answer (type 1) came from a client"},
        {BYTES("\x94\x03"), 0, "another integer, not 0 (request) or 2 (notification)"},
        {BYTES("\x94\xa1x"), 0, "type is a string"},
        {BYTES("\x93\x00"), 0, "a request of 3 elements"},
        {BYTES("\x94\x02"), 0, "a notification of 4 elements"},
        {BYTES("\x94\x00\xff"), 0, "the msgid -1 is not in"},
        {BYTES("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), 0, "the msgid 4294967296 is not"},
        {BYTES("\x94\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), 0, "the msgid is an integer"},
        {BYTES("\x94\x00\xc0"), 0, "the msgid is nil"},
        {BYTES("\x94\x00\x09\x05"), 9, "the method is an integer, not a string"},
        {BYTES("\x94\x00\x09\xa3get\xa1x"), 9, "the params are a string, not an array"},
        {BYTES("\x94\x00\x09\xa3get\x81"), 9, "the params are a map, not an array"},
        {BYTES("\x94\x00\x09\xa3get\x91\xc1"), 9, "0xc1 at 8"},
        {BYTES("\xc1"), 0, "0xc1 at 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = whole(cases[i].in);
        assert_int_equal(o.rc, ERR_PROTOCOL);
        assert_int_equal(o.err.code, ERR_PROTOCOL);
        if (!strstr(o.err.text, cases[i].words))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].words, o.err.text);
        assert_int_equal(o.msg.msgid, cases[i].id);
        struct outcome cut = in_pieces(cases[i].in, 1);
        assert_same(&o, &cut);
    }
}

static void depth_counts_from_the_value(void **state)
{
    (void)state;
    char in[64] = "\x94\x00\x05\xa1m\x91";
    size_t head = 6;
    memset(in + head, 0x91, MP_DEPTH_MAX + 1);
    in[head + MP_DEPTH_MAX] = 0x01; /* params and 16 more */
    assert_int_equal(whole(slice_of(in, head + MP_DEPTH_MAX + 1)).rc, RPC_MESSAGE);
    in[head + MP_DEPTH_MAX] = (char)0x90;
    struct outcome o = whole(slice_of(in, head + MP_DEPTH_MAX + 1));
    assert_int_equal(o.rc, ERR_PROTOCOL);
    assert_int_equal(o.msg.msgid, 5);
    assert_non_null(strstr(o.err.text, "deeper than 16"));
}

static void what_declares_too_much_is_too_large_at_once(void **state)
{
    (void)state;
    const struct slice cases[] = {
        BYTES("\x94\x00\x05\xa1m\xdd\x00\xff\xff\xff"),
        BYTES("\x94\x00\x05\xa1m\x91\xdb\x00\x01\x00\x00"),
        BYTES("\x94\x00\x05\xa1m\x91\xc6\xff\xff\xff\xff"),
        BYTES("\x94\x00\x05\xdb\xff\xff\xff\xff"),
        BYTES("\x94\x00\x05\xa1m\x92\xdc\x80\x00\xdc\x80\x00"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = whole(cases[i]);
        assert_int_equal(o.rc, ERR_TOO_LARGE);
        assert_int_equal(o.msg.msgid, 5);
        assert_non_null(strstr(o.err.text, "max_frame is 65536"));
        struct outcome cut = in_pieces(cases[i], 1);
        assert_same(&o, &cut);
    }
}

/* A whole frame that lies there complete is still measured. */
static void a_frame_of_exactly_max_frame_passes_and_one_more_does_not(void **state)
{
    (void)state;
    static char in[65537 + 8];
    for (size_t size = limits.max_frame; size <= limits.max_frame + 1; size++) {
        memcpy(in, "\x94\x00\x05\xa1m\x91\xdb", 7);
        uint32_t big = __builtin_bswap32((uint32_t)(size - 11));
        memcpy(in + 7, &big, 4);
        struct outcome o = whole(slice_of(in, size));
        assert_int_equal(o.rc, size == limits.max_frame ? RPC_MESSAGE : ERR_TOO_LARGE);
        if (o.rc == ERR_TOO_LARGE) {
            assert_non_null(strstr(o.err.text, "at least 65537 bytes; max_frame is 65536"));
            assert_int_equal(o.msg.msgid, 5);
        }
    }
}

/* Messages in one buffer, taken one after the other, however the buffer grew. */
static void a_stream_reads_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct rng rng = {.state = 5};
    struct buf b;
    buf_init(&b, 0);
    for (uint32_t id = 0; id < 60; id++) {
        assert_int_equal(rpc_request_head(&b, id * 70000000, id % 2 ? "get" : "set"), 0);
        uint32_t count = (uint32_t)rng_below(&rng, 12);
        assert_int_equal(mpw_array(&b, count), 0);
        for (uint32_t i = 0; i < count; i++)
            random_value(&rng, &b, 2);
    }
    for (size_t at = 0; at < b.size;) {
        struct slice rest = slice_of(b.data + at, b.size - at);
        struct outcome o = whole(rest);
        assert_int_equal(o.rc, RPC_MESSAGE);
        for (size_t n = 0; n < o.used; n++)
            assert_int_equal(whole(slice_of(rest.data, n)).rc, RPC_MORE);
        for (size_t step = 1; step < 40; step = 2 * step + 1) {
            struct outcome cut = in_pieces(rest, step);
            assert_same(&o, &cut);
        }
        at += o.used;
    }
    buf_fini(&b);
}

static void garbage_reads_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct rng rng = {.state = 6};
    for (int round = 0; round < 40000; round++) {
        char in[48] = "\x94\x00\x05\xa1m\x92\xa1k\x81";
        size_t n = 9 + rng_below(&rng, sizeof in - 9);
        for (size_t i = 9; i < n; i++)
            in[i] = (char)(rng_below(&rng, 2) ? rng_next(&rng) : 0x80 + rng_below(&rng, 0x24));
        in[rng_below(&rng, n)] = (char)rng_next(&rng);
        struct outcome o = whole(slice_of(in, n));
        struct outcome cut = in_pieces(slice_of(in, n), 1);
        assert_same(&o, &cut);
    }
}

/* Of what is scanned it is known where the params end, however the message comes. */
static void the_ends_of_the_first_params_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint32_t count;
    } cases[] = {
#define CASE(text, count) {text, sizeof(text) - 1, count}
        CASE("\x94\x00\x01\xa3get\x90", 0),
        CASE("\x94\x00\x01\xa3get\x91\x91\x91\x01", 1),
        CASE("\x94\x00\x01\xa3get\x92\xa1k\x92\x91\x01\x02", 2),
        CASE("\x94\x00\x01\xa3get\x93\x90\x81\x01\x91\x91\xc0\x80", 3),
        CASE("\x93\x02\xa3get\x95\x01\x91\x90\xa2xy\x91\x91\x01\x05", 5),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice in = slice_of(cases[i].bytes, cases[i].size);
        for (size_t step = 1; step <= in.size; step++) {
            struct outcome o = in_pieces(in, step);
            assert_int_equal(o.rc, RPC_MESSAGE);
            struct mp_reader r = mp_reader_of(o.msg.params);
            uint32_t most = cases[i].count < MP_MARKS ? cases[i].count : MP_MARKS;
            assert_int_equal(o.msg.param_count, cases[i].count);
            assert_true(o.msg.end_count == most || o.msg.end_count == 0);
            assert_true(cases[i].count == 0 || step == in.size || o.msg.end_count == most);
            for (uint32_t k = 0; k < o.msg.end_count; k++) {
                assert_int_equal(mp_skip(&r), MP_OK);
                assert_ptr_equal(o.msg.ends[k], r.at);
            }
        }
    }
}

static void a_success_starts_with_its_id(void **state)
{
    (void)state;
    const uint32_t ids[] = {0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct buf b, want;
        buf_init(&b, 0);
        buf_init(&want, 0);
        assert_int_equal(rpc_reply_head(&b, ids[i]), 0);
        assert_int_equal(mpw_array(&want, 4), 0);
        assert_int_equal(mpw_int(&want, 1), 0);
        assert_int_equal(mpw_uint(&want, ids[i]), 0);
        assert_int_equal(mpw_nil(&want), 0);
        assert_true(slice_eq(buf_slice(&b), buf_slice(&want)));
        buf_fini(&b);
        buf_fini(&want);
    }
}

/* The error of an answer, as text. */
static struct slice error_text(struct buf *b, uint32_t id)
{
    struct mp_reader r = mp_reader_of(buf_slice(b));
    struct mp_token t;
    assert_int_equal(mp_check(buf_slice(b), NULL), 0);
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.count, 4);
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.i, 1);
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.i, id);
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.type, MP_STR);
    struct slice text = t.bytes;
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.type, MP_NIL);
    return text;
}

static void an_error_is_one_string(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct err e;
    err_set(&e, ERR_TIMEOUT, "user:42: no answer within 200 ms");
    assert_int_equal(rpc_reply_error(&b, 300, &e, false), 0);
    assert_true(slice_eq_str(error_text(&b, 300), "TIMEOUT user:42: no answer within 200 ms"));

    buf_clear(&b);
    e.retry_after_ms = 150;
    assert_int_equal(rpc_reply_error(&b, 1, &e, false), 0);
    assert_true(slice_eq_str(error_text(&b, 1),
                             "TIMEOUT user:42: no answer within 200 ms (retry after 150 ms)"));

    buf_clear(&b); /* an error without words says what its code means */
    err_clear(&e);
    e.code = ERR_NO_LOADER;
    assert_int_equal(rpc_reply_error(&b, 1, &e, false), 0);
    assert_true(slice_eq_str(error_text(&b, 1), "NO_LOADER no loader's pattern matches the key"));
    buf_fini(&b);
}

static void an_error_can_be_a_map(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct err e;
    err_set(&e, ERR_OVERLOADED, "no");
    assert_int_equal(rpc_reply_error(&b, 1, &e, true), 0);
    assert_true(slice_eq_str(buf_slice(&b), "\x94\x01\x01\x82\xa4"
                                            "code\xaaOVERLOADED\xa7"
                                            "message\xa2no\xc0"));
    buf_clear(&b);
    e.retry_after_ms = 100;
    assert_int_equal(rpc_reply_error(&b, 1, &e, true), 0);
    assert_true(slice_eq_str(buf_slice(&b), "\x94\x01\x01\x83\xa4"
                                            "code\xaaOVERLOADED\xa7"
                                            "message\xa2no\xaeretry_after_ms"
                                            "d\xc0"));
    buf_fini(&b);
}

static void a_time_to_retry_after_is_told_where_a_retry_may_help(void **state)
{
    (void)state;
    static const struct {
        int code;
        signed char retry;
        bool told;
    } cases[] = {
        {ERR_SCRIPT, 0, false},     {ERR_BAD_VALUE, 0, false},    {ERR_NO_LOADER, 0, false},
        {ERR_OWN, 0, false},        {ERR_OWN, 1, true},           {ERR_BACKEND, 1, true},
        {ERR_LOAD_FAILED, 0, true}, {ERR_LOAD_FAILED, -1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf text, map;
        struct err e;
        buf_init(&text, 0);
        buf_init(&map, 0);
        err_set(&e, cases[i].code, "no");
        e.retry = cases[i].retry;
        e.retry_after_ms = 100;
        assert_int_equal(rpc_pack_error(&text, &e, false), 0);
        assert_int_equal(buf_append(&text, "", 1), 0);
        assert_int_equal(strstr(text.data, "(retry after 100 ms)") != NULL, cases[i].told);
        assert_int_equal(rpc_pack_error(&map, &e, true), 0);
        assert_int_equal(map.data[0], cases[i].told ? '\x83' : '\x82');
        buf_fini(&text);
        buf_fini(&map);
    }
}

static void a_script_s_own_word_is_the_code(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 0);
    err_set(&e, ERR_OWN, "5 are left");
    strcpy(e.word, "NO_CREDIT");
    err_prefix(&e, "user:1");
    assert_int_equal(rpc_reply_error(&b, 1, &e, false), 0);
    assert_true(slice_eq_str(error_text(&b, 1), "NO_CREDIT user:1: 5 are left"));
    err_set(&e, ERR_OWN, "a new one"); /* has no word of the one before */
    assert_string_equal(err_word(&e), "SCRIPT");
    buf_fini(&b);
}

static void an_error_that_is_no_utf8_is_made_so(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct err e;
    err_set(&e, ERR_BACKEND, "caf\xe9 \xc3\xa9 \xf0\x9f\x98");
    assert_int_equal(rpc_reply_error(&b, 1, &e, false), 0);
    assert_true(slice_eq_str(error_text(&b, 1), "BACKEND_ERROR caf\xef\xbf\xbd \xc3\xa9 "
                                                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
    /* the longest text that there can be, every byte of it wrong */
    memset(e.text, 0xff, sizeof e.text - 1);
    e.text[sizeof e.text - 1] = '\0';
    e.code = ERR_OWN;
    e.retry = 1;
    memset(e.word, 'W', ERR_WORD_MAX);
    e.word[ERR_WORD_MAX] = '\0';
    e.retry_after_ms = INT32_MAX;
    for (int as_map = 0; as_map < 2; as_map++) {
        buf_clear(&b);
        assert_int_equal(rpc_reply_error(&b, 1, &e, as_map), 0);
        assert_int_equal(mp_check(buf_slice(&b), NULL), 0);
        assert_true(b.size > 3 * (ERR_TEXT_MAX - 1));
    }
    buf_fini(&b);
}

static void an_answer_that_does_not_fit_leaves_nothing(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_TIMEOUT, "some words");
    e.retry_after_ms = 5;
    for (size_t max = 1; max < 40; max++) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(rpc_reply_error(&b, 1, &e, false), ERR_TOO_LARGE);
        assert_int_equal(b.size, 0);
        assert_int_equal(rpc_reply_error(&b, 1, &e, true), ERR_TOO_LARGE);
        assert_int_equal(b.size, 0);
        assert_int_equal(rpc_pack_error(&b, &e, true), ERR_TOO_LARGE);
        assert_int_equal(b.size, 0);
        assert_int_equal(rpc_request_head(&b, UINT32_MAX, "a method of this many bytes in all"),
                         ERR_TOO_LARGE);
        assert_int_equal(b.size, 0);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(a_notification_has_no_id),
        cmocka_unit_test(every_integer_width_is_an_id),
        cmocka_unit_test(what_is_no_message_is_said_plainly),
        cmocka_unit_test(depth_counts_from_the_value),
        cmocka_unit_test(what_declares_too_much_is_too_large_at_once),
        cmocka_unit_test(a_frame_of_exactly_max_frame_passes_and_one_more_does_not),
        cmocka_unit_test(a_stream_reads_the_same_however_it_is_cut),
        cmocka_unit_test(garbage_reads_the_same_however_it_is_cut),
        cmocka_unit_test(the_ends_of_the_first_params_are_known),
        cmocka_unit_test(a_success_starts_with_its_id),
        cmocka_unit_test(an_error_is_one_string),
        cmocka_unit_test(an_error_can_be_a_map),
        cmocka_unit_test(a_time_to_retry_after_is_told_where_a_retry_may_help),
        cmocka_unit_test(a_script_s_own_word_is_the_code),
        cmocka_unit_test(an_error_that_is_no_utf8_is_made_so),
        cmocka_unit_test(an_answer_that_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
