#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "state/block.h"

#include <stdio.h>
#include <stdlib.h>

static void append(struct buf *out, unsigned type, uint64_t seq, uint32_t count, struct slice body)
{
    struct block b = {.type = type, .seq = seq, .count = count, .body = body};
    assert_int_equal(block_append(out, &b), 0);
}

/* size bytes by a seed; owned by the caller. */
static char *bytes_of(size_t size, uint64_t seed)
{
    struct rng rng = {.state = seed};
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)rng_next(&rng);
    return bytes;
}

static void says_what_it_was_told(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 239, 240, 241, 4096, 262144};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *body = bytes_of(sizes[i], i);
        struct buf out;
        struct block b;
        struct err e;
        size_t used;
        buf_init(&out, 0);
        assert_int_equal(buf_append(&out, "abc", 3), 0); /* blocks begin where they begin */
        append(&out, 0xfffe, UINT64_MAX - i, UINT32_MAX, slice_of(body, sizes[i]));
        assert_int_equal(out.size, 3 + BLOCK_HEADER + sizes[i]);
        append(&out, BLOCK_END, 7, 0, slice_str("behind it"));
        struct slice in = slice_of(out.data + 3, out.size - 3);
        assert_int_equal(block_read(in, &b, &used, &e), BLOCK_READ);
        assert_int_equal(used, BLOCK_HEADER + sizes[i]);
        assert_int_equal(b.type, 0xfffe);
        assert_true(b.seq == UINT64_MAX - i);
        assert_int_equal(b.count, UINT32_MAX);
        assert_true(slice_eq(b.body, slice_of(body, sizes[i])));
        in = slice_of(in.data + used, in.size - used);
        assert_int_equal(block_read(in, &b, &used, &e), BLOCK_READ);
        assert_true(slice_eq_str(b.body, "behind it"));
        assert_int_equal(used, in.size);
        buf_fini(&out);
        free(body);
    }
}

static void is_closed_in_its_place(void **state)
{
    (void)state;
    struct buf in_place, copied;
    buf_init(&in_place, 0);
    buf_init(&copied, 0);
    assert_int_equal(buf_append(&in_place, "..", 2), 0);
    memset(buf_room(&in_place, BLOCK_HEADER), 0xee, BLOCK_HEADER);
    in_place.size += BLOCK_HEADER;
    assert_int_equal(buf_append(&in_place, "a body", 6), 0);
    assert_int_equal(block_close(&in_place, 2, BLOCK_BATCH, 99, 4), 0);
    append(&copied, BLOCK_BATCH, 99, 4, slice_str("a body"));
    assert_true(slice_eq(slice_of(in_place.data + 2, in_place.size - 2), buf_slice(&copied)));
    buf_fini(&in_place);
    buf_fini(&copied);
}

/* A file that was written on any machine, at any time of format 1. */
static void has_these_bytes(void **state)
{
    (void)state;
    static const char expected[] = "72746362 0100 0600 0807060504030201 05000000 09000000";
    struct buf out;
    char text[100];
    int at = 0;
    buf_init(&out, 0);
    append(&out, BLOCK_BATCH, 0x0102030405060708, 9, slice_str("hello"));
    static const int widths[] = {4, 2, 2, 8, 4, 4};
    for (int i = 0, n = 0; i < 6; i++) {
        at += snprintf(text + at, sizeof text - (size_t)at, i ? " " : "");
        for (int end = n + widths[i]; n < end; n++)
            at += snprintf(text + at, sizeof text - (size_t)at, "%02x", (uint8_t)out.data[n]);
    }
    assert_string_equal(text, expected);
    uint64_t head, body;
    memcpy(&head, out.data + 24, 8);
    memcpy(&body, out.data + 32, 8);
    assert_true(head == XXH3_64bits(out.data, 24));
    assert_true(body == XXH3_64bits_withSeed("hello", 5, head));
    buf_fini(&out);
}

static void each_flipped_bit_is_found(void **state)
{
    (void)state;
    char *body = bytes_of(1000, 1);
    struct buf out;
    struct block b;
    struct err e;
    size_t used;
    buf_init(&out, 0);
    append(&out, BLOCK_ENTRIES, 3, 17, slice_of(body, 1000));
    append(&out, BLOCK_ENTRIES, 4, 17, slice_of(body, 1000)); /* a length may point into it */
    for (size_t bit = 0; bit < (BLOCK_HEADER + 1000) * 8; bit++) {
        size_t byte = bit / 8;
        out.data[byte] ^= (char)(1 << bit % 8);
        err_clear(&e);
        assert_int_equal(block_read(buf_slice(&out), &b, &used, &e), BLOCK_BAD);
        assert_int_equal(e.code, ERR_BAD_VALUE);
        char where[20];
        snprintf(where, sizeof where, "byte %zu ", byte);
        const char *says = byte < 4    ? where
                           : byte < 6  ? "byte 4: format "
                           : byte < 32 ? "bytes 0 to 31, of the header,"
                                       : "bytes 32 to 1039, of the body,";
        assert_ptr_equal(strstr(e.text, says), e.text);
        out.data[byte] ^= (char)(1 << bit % 8);
    }
    assert_int_equal(block_read(buf_slice(&out), &b, &used, &e), BLOCK_READ);
    buf_fini(&out);
    free(body);
}

static void each_truncation_is_found(void **state)
{
    (void)state;
    struct buf out;
    struct block b;
    struct err e;
    size_t used;
    buf_init(&out, 0);
    append(&out, BLOCK_ENTRIES, 3, 17, slice_str("0123456789"));
    for (size_t size = 0; size < out.size; size++) {
        /* In room of exactly that size, so that a look behind it is seen. */
        char *cut = malloc(size + (size == 0));
        memcpy(cut, out.data, size);
        assert_int_equal(block_read(slice_of(cut, size), &b, &used, &e), BLOCK_SHORT);
        assert_int_equal(used, size < BLOCK_HEADER ? BLOCK_HEADER : out.size);
        free(cut);
    }
    buf_fini(&out);
}

static void part_of_a_header_is_judged_as_far_as_it_goes(void **state)
{
    (void)state;
    struct buf out;
    struct block b;
    struct err e;
    size_t used;
    buf_init(&out, 0);
    append(&out, BLOCK_ENTRIES, 3, 17, slice_str("0123456789"));
    out.data[2] ^= 1;
    assert_int_equal(block_read(slice_of(out.data, 2), &b, &used, &e), BLOCK_SHORT);
    assert_int_equal(block_read(slice_of(out.data, 3), &b, &used, &e), BLOCK_BAD);
    assert_string_equal(e.text, "byte 2 is none of a block's mark");
    out.data[2] ^= 1;
    out.data[4] = 2;
    assert_int_equal(block_read(slice_of(out.data, 5), &b, &used, &e), BLOCK_SHORT);
    assert_int_equal(block_read(slice_of(out.data, 6), &b, &used, &e), BLOCK_BAD);
    assert_string_equal(e.text, "byte 4: format 2, where 1 is known");
    assert_int_equal(block_read(slice_of(out.data, 6), &b, &used, NULL), BLOCK_BAD);
    buf_fini(&out);
}

/* A header as somebody would make one who knows the checksum. */
static void a_length_past_the_limit_is_not_waited_for(void **state)
{
    (void)state;
    struct buf out;
    struct block b;
    struct err e;
    size_t used;
    buf_init(&out, 0);
    append(&out, BLOCK_ENTRIES, 3, 17, slice_str(""));
    for (uint32_t over = 0; over < 2; over++) {
        uint32_t length = (uint32_t)BLOCK_BODY_MOST + over;
        memcpy(out.data + 16, &length, 4);
        uint64_t head = XXH3_64bits(out.data, 24);
        memcpy(out.data + 24, &head, 8);
        assert_int_equal(block_read(buf_slice(&out), &b, &used, &e),
                         over ? BLOCK_BAD : BLOCK_SHORT);
    }
    assert_string_equal(e.text, "byte 16: longer than a block may be");
    struct block large = {.type = BLOCK_ENTRIES, .body = slice_of("", BLOCK_BODY_MOST + 1)};
    assert_int_equal(block_append(&out, &large), ERR_TOO_LARGE);
    buf_fini(&out);
}

static void bodies_do_not_change_places(void **state)
{
    (void)state;
    struct buf out;
    struct block b;
    struct err e;
    size_t used;
    buf_init(&out, 0);
    append(&out, BLOCK_ENTRIES, 1, 1, slice_str("one"));
    size_t second = out.size;
    append(&out, BLOCK_ENTRIES, 2, 1, slice_str("two"));
    memcpy(out.data + 32, out.data + second + 32, 8 + 3); /* body and its checksum */
    assert_int_equal(block_read(buf_slice(&out), &b, &used, &e), BLOCK_BAD);
    buf_fini(&out);
}

static void what_does_not_fit_is_not_begun(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 60);
    append(&out, BLOCK_ENTRIES, 1, 1, slice_str(""));
    struct block b = {.type = BLOCK_ENTRIES};
    assert_int_equal(block_append(&out, &b), ERR_TOO_LARGE);
    assert_int_equal(out.size, BLOCK_HEADER);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_was_told),
        cmocka_unit_test(is_closed_in_its_place),
        cmocka_unit_test(has_these_bytes),
        cmocka_unit_test(each_flipped_bit_is_found),
        cmocka_unit_test(each_truncation_is_found),
        cmocka_unit_test(part_of_a_header_is_judged_as_far_as_it_goes),
        cmocka_unit_test(a_length_past_the_limit_is_not_waited_for),
        cmocka_unit_test(bodies_do_not_change_places),
        cmocka_unit_test(what_does_not_fit_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
