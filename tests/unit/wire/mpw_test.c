#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/reference.h"

#include <math.h>
#include <msgpack.h>

static void assert_bytes(struct buf *b, const char *want, size_t size)
{
    assert_int_equal(b->size, size);
    assert_memory_equal(b->data, want, size);
    buf_clear(b);
}
#define ASSERT_BYTES(b, literal) assert_bytes(b, literal, sizeof(literal) - 1)

static void scalars_take_their_shortest_form(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_nil(&b), 0);
    assert_int_equal(mpw_bool(&b, false), 0);
    assert_int_equal(mpw_bool(&b, true), 0);
    ASSERT_BYTES(&b, "\xc0\xc2\xc3");
    assert_int_equal(mpw_int(&b, 127), 0);
    assert_int_equal(mpw_int(&b, -32), 0);
    assert_int_equal(mpw_int(&b, 255), 0);
    assert_int_equal(mpw_int(&b, -128), 0);
    assert_int_equal(mpw_int(&b, 65535), 0);
    assert_int_equal(mpw_int(&b, INT64_MIN), 0);
    ASSERT_BYTES(&b, "\x7f\xe0\xcc\xff\xd0\x80\xcd\xff\xff\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(mpw_uint(&b, 1), 0);
    assert_int_equal(mpw_uint(&b, UINT64_MAX), 0);
    ASSERT_BYTES(&b, "\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_int_equal(mpw_float(&b, 1.0), 0);
    ASSERT_BYTES(&b, "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00");
    buf_fini(&b);
}

/* Each integer in the form that msgpack-c chooses. */
static void integers_are_as_the_library_packs_them(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int64_t near = -2; near <= 2; near++) {
            uint64_t power = (uint64_t)1 << bit;
            const int64_t values[2] = {(int64_t)(power + (uint64_t)near),
                                       (int64_t)((uint64_t)near - power)};
            for (int i = 0; i < 2; i++) {
                msgpack_sbuffer want;
                msgpack_sbuffer_init(&want);
                msgpack_packer pk;
                msgpack_packer_init(&pk, &want, msgpack_sbuffer_write);
                msgpack_pack_int64(&pk, values[i]);
                buf_clear(&b);
                assert_int_equal(mpw_int(&b, values[i]), 0);
                assert_int_equal(b.size, want.size);
                assert_memory_equal(b.data, want.data, b.size);
                msgpack_sbuffer_destroy(&want);
            }
        }
    }
    buf_fini(&b);
}

static void text_is_str_only_where_it_is_utf8(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_text(&b, slice_str("\xc3\xa9")), 0);
    ASSERT_BYTES(&b, "\xa2\xc3\xa9");
    assert_int_equal(mpw_text(&b, slice_str("\xc3")), 0);
    ASSERT_BYTES(&b, "\xc4\x01\xc3");
    assert_int_equal(mpw_cstr(&b, "key"), 0);
    ASSERT_BYTES(&b, "\xa3key");
    buf_fini(&b);
}

static void an_ext_takes_its_fixed_form_where_there_is_one(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_ext(&b, -1, slice_str("abcd")), 0);
    ASSERT_BYTES(&b, "\xd6\xff"
                     "abcd");
    assert_int_equal(mpw_ext(&b, 5, slice_str("abc")), 0);
    ASSERT_BYTES(&b, "\xc7\x03\x05"
                     "abc");
    b.max = 4;
    assert_int_equal(mpw_ext(&b, 5, slice_str("abc")), ERR_TOO_LARGE);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
}

/* The count is learnt last. */
static void an_opened_container_is_closed_with_its_count(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    size_t outer, inner;
    assert_int_equal(mpw_nil(&b), 0);
    assert_int_equal(mpw_array_open(&b, &outer), 0);
    assert_int_equal(mpw_map_open(&b, &inner), 0);
    assert_int_equal(mpw_cstr(&b, "a"), 0);
    assert_int_equal(mpw_int(&b, 1), 0);
    mpw_close(&b, inner, 1);
    mpw_close(&b, outer, 1);
    ASSERT_BYTES(&b, "\xc0\xdd\x00\x00\x00\x01\xdf\x00\x00\x00\x01\xa1"
                     "a\x01");
    buf_fini(&b);
}

static void nothing_partial_stays_of_a_write_that_failed(void **state)
{
    (void)state;
    struct slice text = slice_str("a text of some forty bytes, more or less");
    for (size_t max = 1; max <= text.size + 1; max++) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(mpw_nil(&b), 0);
        assert_int_equal(mpw_str(&b, text), ERR_TOO_LARGE);
        assert_int_equal(b.size, 1);
        assert_int_equal(mpw_bin(&b, text), ERR_TOO_LARGE);
        assert_int_equal(b.size, 1);
        buf_fini(&b);
    }
    struct buf b;
    buf_init(&b, 1);
    assert_int_equal(mpw_str(&b, slice_of(NULL, 0)), 0);
    ASSERT_BYTES(&b, "\xa0");
    buf_fini(&b);
    size_t at = 77;
    buf_init(&b, 4);
    assert_int_equal(mpw_array_open(&b, &at), ERR_TOO_LARGE);
    assert_int_equal(mpw_float(&b, 1), ERR_TOO_LARGE);
    assert_int_equal(mpw_uint(&b, UINT32_MAX), ERR_TOO_LARGE);
    assert_int_equal(b.size, 0);
    assert_int_equal(at, 77);
    buf_fini(&b);
}

/* The tokens of one value against the object msgpack-c makes of the same bytes. */
static void assert_same_as_object(struct mp_reader *r, const msgpack_object *o)
{
    struct mp_token t;
    assert_int_equal(mp_next(r, &t), MP_OK);
    switch (o->type) {
    case MSGPACK_OBJECT_NIL: assert_int_equal(t.type, MP_NIL); break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_int_equal(t.type, MP_BOOL);
        assert_int_equal(t.b, o->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        assert_int_equal(t.type, o->via.u64 > INT64_MAX ? MP_UINT : MP_INT);
        assert_true(t.u == o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_int_equal(t.type, MP_INT);
        assert_true(t.i == o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(t.type, MP_FLOAT);
        assert_true(t.d == o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        assert_int_equal(t.type, MP_STR);
        assert_true(slice_eq(t.bytes, slice_of(o->via.str.ptr, o->via.str.size)));
        break;
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(t.type, MP_BIN);
        assert_true(slice_eq(t.bytes, slice_of(o->via.bin.ptr, o->via.bin.size)));
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_int_equal(t.type, MP_ARRAY);
        assert_int_equal(t.count, o->via.array.size);
        for (uint32_t i = 0; i < o->via.array.size; i++)
            assert_same_as_object(r, &o->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        assert_int_equal(t.type, MP_MAP);
        assert_int_equal(t.count, o->via.map.size);
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            assert_same_as_object(r, &o->via.map.ptr[i].key);
            assert_same_as_object(r, &o->via.map.ptr[i].val);
        }
        break;
    default: fail_msg("an object of type %d", (int)o->type);
    }
}

static void msgpack_c_reads_and_writes_the_same(void **state)
{
    (void)state;
    struct rng rng = {.state = 4};
    for (int round = 0; round < 500; round++) {
        struct buf b;
        buf_init(&b, 0);
        random_value(&rng, &b, 4);
        assert_true(b.size > 0);

        msgpack_unpacked unpacked;
        msgpack_unpacked_init(&unpacked);
        size_t at = 0;
        assert_int_equal(msgpack_unpack_next(&unpacked, b.data, b.size, &at),
                         MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(at, b.size);
        struct mp_reader r = mp_reader_of(buf_slice(&b));
        assert_same_as_object(&r, &unpacked.data);
        assert_ptr_equal(r.at, r.end);

        msgpack_sbuffer again;
        msgpack_sbuffer_init(&again);
        msgpack_packer pk;
        msgpack_packer_init(&pk, &again, msgpack_sbuffer_write);
        assert_int_equal(msgpack_pack_object(&pk, unpacked.data), 0);
        assert_true(slice_eq(buf_slice(&b), slice_of(again.data, again.size)));
        msgpack_sbuffer_destroy(&again);
        msgpack_unpacked_destroy(&unpacked);
        buf_fini(&b);
    }
}

static void a_number_has_one_form(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_number(&b, 3.0), 0);
    assert_int_equal(mpw_number(&b, -9007199254740992.0), 0);
    ASSERT_BYTES(&b, "\x03\xd3\xff\xe0\x00\x00\x00\x00\x00\x00");
    assert_int_equal(mpw_number(&b, 9007199254740992.0), 0);
    ASSERT_BYTES(&b, "\xcf\x00\x20\x00\x00\x00\x00\x00\x00");
    assert_int_equal(mpw_number(&b, -9007199254740994.0), 0);
    ASSERT_BYTES(&b, "\xcb\xc3\x40\x00\x00\x00\x00\x00\x01");
    assert_int_equal(mpw_number(&b, 0.0), 0);
    assert_int_equal(mpw_number(&b, 0.5), 0);
    ASSERT_BYTES(&b, "\x00\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00");
    assert_int_equal(mpw_number(&b, 9007199254740994.0), 0);
    ASSERT_BYTES(&b, "\xcb\x43\x40\x00\x00\x00\x00\x00\x01");
    assert_int_equal(mpw_number(&b, -0.0), 0);
    ASSERT_BYTES(&b, "\xcb\x80\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(mpw_number(&b, (double)NAN), 0);
    assert_int_equal(mpw_number(&b, -(double)NAN), 0);
    ASSERT_BYTES(&b, "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"
                     "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00");
    buf_fini(&b);
}

/* Each header beside what msgpack-c writes, where one form ends and the next one begins. */
static void headers_are_as_the_library_packs_them(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 15, 16, 31, 32, 33, 255, 256, 65535, 65536};
    static char bytes[65536];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct slice s = slice_of(bytes, sizes[i]);
        struct buf b;
        msgpack_sbuffer want;
        msgpack_packer pk;
        buf_init(&b, 0);
        msgpack_sbuffer_init(&want);
        msgpack_packer_init(&pk, &want, msgpack_sbuffer_write);
        msgpack_pack_str(&pk, s.size);
        msgpack_pack_str_body(&pk, s.data, s.size);
        msgpack_pack_bin(&pk, s.size);
        msgpack_pack_bin_body(&pk, s.data, s.size);
        msgpack_pack_ext(&pk, s.size, 7);
        msgpack_pack_ext_body(&pk, s.data, s.size);
        msgpack_pack_array(&pk, sizes[i]);
        msgpack_pack_map(&pk, sizes[i]);
        assert_int_equal(mpw_str(&b, s), 0);
        assert_int_equal(mpw_bin(&b, s), 0);
        assert_int_equal(mpw_ext(&b, 7, s), 0);
        assert_int_equal(mpw_array(&b, sizes[i]), 0);
        assert_int_equal(mpw_map(&b, sizes[i]), 0);
        assert_true(slice_eq(buf_slice(&b), slice_of(want.data, want.size)));
        msgpack_sbuffer_destroy(&want);
        buf_fini(&b);
    }
}

/* Of each kind the shortest form that takes so many bytes. */
static int write_kind(struct buf *b, int kind)
{
    switch (kind) {
    case 0: return mpw_nil(b);
    case 1: return mpw_bool(b, true);
    case 2: return mpw_int(b, 5);
    case 3: return mpw_array(b, 15);
    case 4: return mpw_map(b, 15);
    case 5: return mpw_str(b, slice_of(NULL, 0));
    case 6: return mpw_int(b, 200);
    case 7: return mpw_int(b, -200);
    case 8: return mpw_array(b, 16);
    case 9: return mpw_map(b, 16);
    case 10: return mpw_int(b, INT64_MIN);
    case 11: return mpw_float(b, 0.5);
    default: return mpw_raw(b, slice_of("\x92\x01\x02", 3));
    }
}

static void a_buffer_is_filled_to_its_last_byte_and_not_past_it(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 9, 9, 3};
    for (int kind = 0; kind < (int)(sizeof sizes / sizeof *sizes); kind++) {
        struct buf b;
        buf_init(&b, sizes[kind] + 1);
        assert_int_equal(mpw_nil(&b), 0);
        assert_int_equal(write_kind(&b, kind), 0);
        assert_int_equal(b.size, sizes[kind] + 1);
        assert_int_equal(write_kind(&b, kind), ERR_TOO_LARGE);
        assert_int_equal(b.size, sizes[kind] + 1);
        buf_fini(&b);
    }
}

/* As mpw_array writes it, whose count is known from the start. */
static void an_array_is_closed_in_its_shortest_form(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 15, 16, 300, 65535, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct buf open, known;
        size_t at;
        buf_init(&open, 0);
        buf_init(&known, 0);
        assert_int_equal(mpw_array_open(&open, &at), 0);
        assert_int_equal(mpw_array(&known, counts[i]), 0);
        for (uint32_t n = 0; n < counts[i]; n++) {
            assert_int_equal(mpw_int(&open, n), 0);
            assert_int_equal(mpw_int(&known, n), 0);
        }
        mpw_array_close(&open, at, counts[i]);
        assert_true(slice_eq(buf_slice(&open), buf_slice(&known)));
        buf_fini(&open);
        buf_fini(&known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_take_their_shortest_form),
        cmocka_unit_test(integers_are_as_the_library_packs_them),
        cmocka_unit_test(text_is_str_only_where_it_is_utf8),
        cmocka_unit_test(an_ext_takes_its_fixed_form_where_there_is_one),
        cmocka_unit_test(an_opened_container_is_closed_with_its_count),
        cmocka_unit_test(a_number_has_one_form),
        cmocka_unit_test(headers_are_as_the_library_packs_them),
        cmocka_unit_test(a_buffer_is_filled_to_its_last_byte_and_not_past_it),
        cmocka_unit_test(an_array_is_closed_in_its_shortest_form),
        cmocka_unit_test(nothing_partial_stays_of_a_write_that_failed),
        cmocka_unit_test(msgpack_c_reads_and_writes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
