#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/reference.h"

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

static struct mp_token token_of(struct slice s)
{
    struct mp_reader r = mp_reader_of(s);
    struct mp_token t;
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_ptr_equal(r.at, r.end);
    return t;
}

static void assert_int_token(struct slice s, int64_t want)
{
    struct mp_token t = token_of(s);
    assert_int_equal(t.type, MP_INT);
    assert_true(t.i == want);
}

static void integers_of_every_width_are_one_type(void **state)
{
    (void)state;
    assert_int_token(BYTES("\x00"), 0);
    assert_int_token(BYTES("\x7f"), 127);
    assert_int_token(BYTES("\xff"), -1);
    assert_int_token(BYTES("\xe0"), -32);
    assert_int_token(BYTES("\xcc\xff"), 255);
    assert_int_token(BYTES("\xcd\xff\xfe"), 65534);
    assert_int_token(BYTES("\xce\xff\xff\xff\xff"), 4294967295);
    assert_int_token(BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX);
    assert_int_token(BYTES("\xd0\x80"), -128);
    assert_int_token(BYTES("\xd1\x80\x00"), -32768);
    assert_int_token(BYTES("\xd2\x80\x00\x00\x00"), INT32_MIN);
    assert_int_token(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN);
    struct mp_token t = token_of(BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
    assert_int_equal(t.type, MP_UINT);
    assert_true(t.u == (uint64_t)INT64_MAX + 1);
}

/* A msgid: what is read by it alone, and what is left to mp_next. */
static void a_msgid_is_read_in_the_forms_without_a_sign(void **state)
{
    (void)state;
    const struct {
        struct slice bytes;
        uint32_t id;
    } good[] = {{BYTES("\x00"), 0},
                {BYTES("\x7f"), 127},
                {BYTES("\xcc\xff"), 255},
                {BYTES("\xcd\xff\xfe"), 65534},
                {BYTES("\xce\xff\x00\x01\x80"), 0xff000180}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t id = 1;
        struct mp_reader r = mp_reader_of(good[i].bytes);
        assert_true(mp_next_uint32(&r, &id));
        assert_int_equal(id, good[i].id);
        assert_ptr_equal(r.at, r.end);
        struct mp_reader cut = mp_reader_of(slice_of(good[i].bytes.data, good[i].bytes.size - 1));
        assert_false(mp_next_uint32(&cut, &id));
        assert_ptr_equal(cut.at, good[i].bytes.data);
    }
    const struct slice bad[] = {BYTES("\xff"),   BYTES("\xcf\0\0\0\0\0\0\0\1"),
                                BYTES("\xd0\1"), BYTES("\xa1x"),
                                BYTES("\xc0"),   BYTES("\xcb\0\0\0\0\0\0\0\0")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t id;
        struct mp_reader r = mp_reader_of(bad[i]);
        assert_false(mp_next_uint32(&r, &id));
        assert_ptr_equal(r.at, bad[i].data);
    }
}

static void floats_booleans_and_nil(void **state)
{
    (void)state;
    assert_int_equal(token_of(BYTES("\xc0")).type, MP_NIL);
    assert_false(token_of(BYTES("\xc2")).b);
    assert_true(token_of(BYTES("\xc3")).b);
    assert_true(token_of(BYTES("\xca\x3f\xc0\x00\x00")).d == 1.5);
    assert_true(token_of(BYTES("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00")).d == -1.5);
}

static void strings_are_borrowed_from_the_input(void **state)
{
    (void)state;
    const struct {
        struct slice input;
        enum mp_type type;
        const char *want;
        int ext_type;
    } cases[] = {
        {BYTES("\xa3"
               "abc"),
         MP_STR, "abc", 0},
        {BYTES("\xa0"), MP_STR, "", 0},
        {BYTES("\xd9\x03"
               "abc"),
         MP_STR, "abc", 0},
        {BYTES("\xda\x00\x03"
               "abc"),
         MP_STR, "abc", 0},
        {BYTES("\xdb\x00\x00\x00\x03"
               "abc"),
         MP_STR, "abc", 0},
        {BYTES("\xc4\x03"
               "abc"),
         MP_BIN, "abc", 0},
        {BYTES("\xc5\x00\x03"
               "abc"),
         MP_BIN, "abc", 0},
        {BYTES("\xc6\x00\x00\x00\x03"
               "abc"),
         MP_BIN, "abc", 0},
        {BYTES("\xc7\x03\xff"
               "abc"),
         MP_EXT, "abc", -1},
        {BYTES("\xc8\x00\x03\x07"
               "abc"),
         MP_EXT, "abc", 7},
        {BYTES("\xc9\x00\x00\x00\x03\x80"
               "abc"),
         MP_EXT, "abc", -128},
        {BYTES("\xd4\x01"
               "a"),
         MP_EXT, "a", 1},
        {BYTES("\xd5\x02"
               "ab"),
         MP_EXT, "ab", 2},
        {BYTES("\xd6\x03"
               "abcd"),
         MP_EXT, "abcd", 3},
        {BYTES("\xd7\x04"
               "abcdefgh"),
         MP_EXT, "abcdefgh", 4},
        {BYTES("\xd8\x05"
               "abcdefghabcdefgh"),
         MP_EXT, "abcdefghabcdefgh", 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mp_token t = token_of(cases[i].input);
        assert_int_equal(t.type, cases[i].type);
        assert_true(slice_eq_str(t.bytes, cases[i].want));
        assert_ptr_equal(t.bytes.data + t.bytes.size, cases[i].input.data + cases[i].input.size);
        if (t.type == MP_EXT)
            assert_int_equal(t.ext_type, cases[i].ext_type);
    }
}

static enum mp_type type_of_kind(char kind, const struct mp_token *t)
{
    switch (kind) {
    case 'n': return MP_NIL;
    case 'b': return MP_BOOL;
    case 'u': return t->u > INT64_MAX ? MP_UINT : MP_INT;
    case 'i': return MP_INT;
    case 'f': return MP_FLOAT;
    case 's': return MP_STR;
    case 'B': return MP_BIN;
    case 'x': return MP_EXT;
    case 'a': return MP_ARRAY;
    default: return MP_MAP;
    }
}

/* Each format byte with numbers of zeros, ones and a mix behind it, cut at every byte. */
static void every_format_byte_agrees_with_the_reference(void **state)
{
    (void)state;
    static const unsigned char fills[] = {0x00, 0x01, 0x80, 0xff};
    for (int c = 0; c < 256; c++) {
        for (size_t f = 0; f < sizeof fills; f++) {
            unsigned char input[600];
            memset(input, fills[f], sizeof input);
            input[0] = (unsigned char)c;
            struct reference_head h = reference_head_of((unsigned char)c);
            uint64_t number = h.fixed;
            if (h.header > 1 && h.width > 0)
                number = reference_number(input + 1, h.width);
            bool string = h.kind == 's' || h.kind == 'B' || h.kind == 'x';
            uint64_t need = h.header + (string ? number : 0);
            for (size_t n = 0; n <= sizeof input; n++) {
                struct mp_reader r = mp_reader_of(slice_of(input, n));
                const char *start = r.at;
                struct mp_token t = {0};
                int rc = mp_next(&r, &t);
                int want = n == 0 ? MP_MORE : h.kind == '!' ? MP_BAD : n < need ? MP_MORE : MP_OK;
                assert_int_equal(rc, want);
                if (rc != MP_OK) {
                    assert_ptr_equal(r.at, start);
                    continue;
                }
                assert_true((uint64_t)(r.at - start) == need);
                assert_int_equal(t.type, type_of_kind(h.kind, &t));
                if (string)
                    assert_true(t.bytes.size == number);
                if (h.kind == 'u')
                    assert_true(t.u == number);
                if (h.kind == 'a' || h.kind == 'm')
                    assert_true(t.count == number);
            }
        }
    }
}

static void assert_reads_like_reference(struct slice s)
{
    size_t size = 0;
    int want = reference_size((const unsigned char *)s.data, s.size, 0, &size);
    struct mp_reader r = mp_reader_of(s);
    assert_int_equal(mp_skip(&r), want);
    assert_true((size_t)(r.at - s.data) == (want == MP_OK ? size : 0));
    struct mp_token first;
    struct mp_reader whole_value = mp_reader_of(s);
    assert_int_equal(mp_next_whole(&whole_value, &first), want);
    assert_ptr_equal(whole_value.at, r.at);

    struct mp_scan scan = {0};
    assert_int_equal(mp_scan_step(&scan, s, SIZE_MAX), want);
    if (want == MP_OK)
        assert_true(scan.offset == size);

    struct err e;
    bool whole = want == MP_OK && size == s.size;
    assert_int_equal(mp_check(s, &e), whole ? 0 : ERR_PROTOCOL);
    if (!whole)
        assert_true(strlen(e.text) > 0);
}

static void random_garbage_reads_like_the_reference(void **state)
{
    (void)state;
    struct rng rng = {.state = 1};
    for (int round = 0; round < 60000; round++) {
        unsigned char input[64];
        size_t n = rng_below(&rng, sizeof input + 1);
        for (size_t i = 0; i < n; i++) {
            input[i] = (unsigned char)rng_next(&rng);
            if (rng_below(&rng, 3)) /* more of what nests, and small counts */
                input[i] = (unsigned char)(0x80 + rng_below(&rng, 0x24));
        }
        assert_reads_like_reference(slice_of(input, n));
    }
}

static void random_values_read_like_the_reference_wherever_they_are_cut(void **state)
{
    (void)state;
    struct rng rng = {.state = 2};
    for (int round = 0; round < 300; round++) {
        struct buf b;
        buf_init(&b, 0);
        random_value(&rng, &b, 4);
        assert_true(b.size > 0);
        assert_reads_like_reference(buf_slice(&b));
        size_t step = b.size > 300 ? b.size / 100 : 1;
        for (size_t n = 0; n < b.size; n += step)
            assert_reads_like_reference(slice_of(b.data, n));
        b.data[rng_below(&rng, b.size)] = (char)rng_next(&rng);
        assert_reads_like_reference(buf_slice(&b));
        buf_fini(&b);
    }
}

static void a_scan_fed_byte_by_byte_ends_where_the_whole_one_does(void **state)
{
    (void)state;
    struct rng rng = {.state = 3};
    for (int round = 0; round < 200; round++) {
        struct buf b;
        buf_init(&b, 0);
        random_value(&rng, &b, 4);
        struct mp_scan scan = {0};
        for (size_t n = 0; n < b.size; n++) {
            assert_int_equal(mp_scan_step(&scan, slice_of(b.data, n), b.size), MP_MORE);
            assert_true(scan.offset <= n);
        }
        assert_int_equal(mp_scan_step(&scan, buf_slice(&b), b.size), MP_OK);
        assert_true(scan.offset == b.size);
        if (b.size > 1) {
            struct mp_scan tight = {0};
            assert_int_equal(mp_scan_step(&tight, buf_slice(&b), b.size - 1), MP_BAD);
            assert_int_equal(tight.fault, MP_FAULT_SIZE);
            assert_true(tight.needed == b.size);
        }
        buf_fini(&b);
    }
}

static void take_hands_over_the_bytes_of_one_value(void **state)
{
    (void)state;
    struct slice s = BYTES("\x92\x01\xa1x\x05");
    struct mp_reader r = mp_reader_of(s);
    struct slice value;
    assert_int_equal(mp_take(&r, &value), MP_OK);
    assert_true(slice_eq(value, slice_of(s.data, 4)));
    assert_int_equal(mp_take(&r, &value), MP_OK);
    assert_true(slice_eq_str(value, "\x05"));
    assert_int_equal(mp_take(&r, &value), MP_MORE);
}

static void nesting_is_taken_to_its_limit_and_no_further(void **state)
{
    (void)state;
    char deep[MP_DEPTH_MAX + 2];
    memset(deep, 0x91, sizeof deep);
    deep[MP_DEPTH_MAX] = 0x01;
    assert_int_equal(mp_check(slice_of(deep, MP_DEPTH_MAX + 1), NULL), 0);
    deep[MP_DEPTH_MAX] = (char)0x90; /* even an empty one */
    struct err e;
    assert_int_equal(mp_check(slice_of(deep, MP_DEPTH_MAX + 1), &e), ERR_PROTOCOL);
    assert_non_null(strstr(e.text, "deeper than 16"));

    struct mp_scan scan = {.extra_depth = 1};
    assert_int_equal(mp_scan_step(&scan, slice_of(deep, MP_DEPTH_MAX + 1), SIZE_MAX), MP_OK);
}

static void a_skip_of_some_tokens_stops_behind_them(void **state)
{
    (void)state;
    static const char value[] = "\x93\x01\x92\xa1x\xc0\x80";
    for (size_t most = 0; most <= 8; most++) {
        struct mp_reader r = mp_reader_of(slice_of(value, sizeof value - 1));
        size_t left = most;
        assert_int_equal(mp_skip_some(&r, &left), most < 6 ? MP_BAD : MP_OK);
        assert_int_equal(left, most < 6 ? 0 : most - 6);
    }
}

static void a_million_levels_cost_no_stack(void **state)
{
    (void)state;
    size_t n = 1000000;
    char *deep = malloc(n);
    assert_non_null(deep);
    memset(deep, 0x91, n);
    struct mp_reader r = mp_reader_of(slice_of(deep, n));
    assert_int_equal(mp_skip(&r), MP_BAD);
    struct mp_scan scan = {0};
    assert_int_equal(mp_scan_step(&scan, slice_of(deep, n), n), MP_BAD);
    assert_int_equal(scan.fault, MP_FAULT_DEPTH);
    assert_int_equal(scan.offset, MP_DEPTH_MAX);
    free(deep);
}

static void bombs_are_refused_at_their_header(void **state)
{
    (void)state;
    const struct slice bombs[] = {
        BYTES("\xdd\x00\xff\xff\xff"),
        BYTES("\xdd\xff\xff\xff\xff"),
        BYTES("\xdf\xff\xff\xff\xff"),
        BYTES("\xdc\xff\xff"),
        BYTES("\xdb\xff\xff\xff\xff"),
        BYTES("\xc6\x7f\xff\xff\xff"),
        BYTES("\xc9\xff\xff\xff\xff\x01"),
        BYTES("\xda\xff\xff"),
        BYTES("\x92\x01\xdd\x00\xff\xff\xff"),
        /* each of these would fit alone; together they do not */
        BYTES("\x94\xdc\x40\x00"),
        BYTES("\xdc\x20\x00\xdc\x20\x01"),
        BYTES("\xdc\x20\x00\xda\x20\x00"),
    };
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct mp_scan scan = {0};
        assert_int_equal(mp_scan_step(&scan, bombs[i], 16384), MP_BAD);
        assert_int_equal(scan.fault, MP_FAULT_SIZE);
        assert_true(scan.needed > 16384);
        assert_int_equal(mp_check(bombs[i], NULL), ERR_PROTOCOL);
    }
    struct mp_scan scan = {0}; /* and what just fits is waited for */
    assert_int_equal(mp_scan_step(&scan, BYTES("\xdc\x3f\xfd"), 16384), MP_MORE);
}

static void check_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    const struct {
        struct slice input;
        const char *words;
    } cases[] = {
        {BYTES(""), "cut off at byte 0"},
        {BYTES("\x92\x01"), "byte 0 declares more than there is: at least 3 bytes, of 2"},
        {BYTES("\x91\xd9"), "cut off at byte 2"},
        {BYTES("\x91\xc1"), "0xc1 at 1"},
        {BYTES("\x01\x02\x03"), "2 bytes after the MessagePack value that ends at byte 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        assert_int_equal(mp_check(cases[i].input, &e), ERR_PROTOCOL);
        if (!strstr(e.text, cases[i].words))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].words, e.text);
    }
}

static void utf8_is_checked_in_every_place_of_a_short_text(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 20; size++)
        for (size_t at = 0; at < size; at++) {
            char text[20];
            memset(text, 'a', sizeof text);
            assert_int_equal(mp_utf8_prefix(slice_of(text, size)), size);
            text[at] = '\xff';
            assert_int_equal(mp_utf8_prefix(slice_of(text, size)), at);
        }
}

static void utf8_is_checked_to_the_letter(void **state)
{
    (void)state;
    const struct slice good[] = {
        BYTES(""),
        BYTES("plain ascii, longer than a word of eight"),
        BYTES("\x00\x7f"),
        BYTES("\xc2\x80"),
        BYTES("\xdf\xbf"),
        BYTES("\xe0\xa0\x80"),
        BYTES("\xed\x9f\xbf"),
        BYTES("\xee\x80\x80"),
        BYTES("\xef\xbf\xbf"),
        BYTES("\xf0\x90\x80\x80"),
        BYTES("\xf4\x8f\xbf\xbf"),
        BYTES("seven..\xc3\xa9 and on"),
    };
    const struct slice bad[] = {
        BYTES("\x80"),
        BYTES("\xc0\x80"),
        BYTES("\xc1\xbf"),
        BYTES("\xc2"),
        BYTES("\xc2\x41"),
        BYTES("\xe0\x9f\xbf"),
        BYTES("\xed\xa0\x80"),
        BYTES("\xe2\x82"),
        BYTES("\xe2\x82\x41"),
        BYTES("\xf0\x8f\xbf\xbf"),
        BYTES("\xf4\x90\x80\x80"),
        BYTES("\xf5\x80\x80\x80"),
        BYTES("\xf0\x9f\x98"),
        BYTES("\xff"),
        BYTES("eight...\xff"),
        BYTES("seven..\xc3"),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(mp_utf8_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(mp_utf8_valid(bad[i]));
    assert_int_equal(mp_utf8_prefix(BYTES("eight...\xc3\xa9\xff.")), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width_are_one_type),
        cmocka_unit_test(a_msgid_is_read_in_the_forms_without_a_sign),
        cmocka_unit_test(floats_booleans_and_nil),
        cmocka_unit_test(strings_are_borrowed_from_the_input),
        cmocka_unit_test(every_format_byte_agrees_with_the_reference),
        cmocka_unit_test(random_garbage_reads_like_the_reference),
        cmocka_unit_test(random_values_read_like_the_reference_wherever_they_are_cut),
        cmocka_unit_test(a_scan_fed_byte_by_byte_ends_where_the_whole_one_does),
        cmocka_unit_test(take_hands_over_the_bytes_of_one_value),
        cmocka_unit_test(nesting_is_taken_to_its_limit_and_no_further),
        cmocka_unit_test(a_skip_of_some_tokens_stops_behind_them),
        cmocka_unit_test(a_million_levels_cost_no_stack),
        cmocka_unit_test(bombs_are_refused_at_their_header),
        cmocka_unit_test(check_says_what_is_wrong_and_where),
        cmocka_unit_test(utf8_is_checked_in_every_place_of_a_short_text),
        cmocka_unit_test(utf8_is_checked_to_the_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
