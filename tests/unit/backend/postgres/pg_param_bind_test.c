/* Parameters as they are handed to libpq, without a server: texts, binary forms, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_param.h"
#include "backend/postgres/pg_value.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ARRAY  1009
#define INT4_ARRAY  1007
#define INT8_ARRAY  1016
#define BYTEA_ARRAY 1001
#define BOX_ARRAY   1020
#define JSONB_ARRAY 3807
#define UUID        2950

static int setup(void **state)
{
    static struct pg_types types;
    static struct pg_params p;
    pg_types_init(&types);
    p.known = &types;
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pg_params *p = *state;
    pg_param_fini(p);
    assert_null(p->values);
    assert_int_equal(p->capacity, 0);
    assert_non_null(p->known);
    return 0;
}

#define N63 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define VALUE(bytes)                                                                               \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }

static const struct {
    Oid type;
    struct slice value;
    const char *text; /* NULL: it is NULL */
} texts[] = {
    {PG_INT4, VALUE("\xc0"), NULL},
    {PG_BOOL, VALUE("\xc3"), "true"},
    {PG_BOOL, VALUE("\xc2"), "false"},
    {PG_INT8, VALUE("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), "-9223372036854775808"},
    {PG_NUMERIC, VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615"},
    {PG_FLOAT8, VALUE("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), "NaN"},
    {PG_FLOAT8, VALUE("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), "Infinity"},
    {PG_FLOAT8, VALUE("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), "-Infinity"},
    {PG_FLOAT8, VALUE("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"), "0.5"},
    {PG_FLOAT8, VALUE("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"), "-0"},
    {PG_FLOAT8, VALUE("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), "0"},
    {PG_INT8, VALUE("\xcb\x43\xab\xc1\x6d\x67\x4e\xc7\xff"), "999999999999999872"},
    {PG_INT8, VALUE("\xcb\x43\xab\xc1\x6d\x67\x4e\xc8\x00"), "1e+18"},
    {PG_INT8, VALUE("\xcb\xc3\xab\xc1\x6d\x67\x4e\xc8\x00"), "-1e+18"},
    {PG_NAME, VALUE("\xd9\x3f" N63), N63},
    {PG_TEXT, VALUE("\xd9\x40" N63 "n"), N63 "n"},
    {PG_CHAR, VALUE("\xa1x"), "x"},
    {PG_CHAR, VALUE("\xa4\\101"), "\\101"},
    {PG_CHAR, VALUE("\xa0"), ""},
    {PG_TEXT, VALUE("\xc4\x02hi"), "hi"},
    {PG_OID, VALUE("\x00"), "0"},
    {PG_FLOAT4, VALUE("\xce\x01\x00\x00\x00"), "16777216"},
    {PG_FLOAT8, VALUE("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), "9223372036854775808"},
    {UUID,
     VALUE("\x82\xa1"
           "a\x01\xa1"
           "b\xc0"),
     "{\"a\":1,\"b\":null}"},
    {PG_JSONB, VALUE("\x92\x01\x91\x02"), "[1,[2]]"},
    {PG_JSON, VALUE("\x90"), "[]"},
    {PG_TEXT, VALUE("\x92\x01\x02"), "[1,2]"},
    {PG_VARCHAR, VALUE("\x91\x01"), "[1]"},
    {PG_BPCHAR, VALUE("\x91\x01"), "[1]"},
    {PG_NAME, VALUE("\x91\x01"), "[1]"},
    {PG_CHAR, VALUE("\x91\x01"), "[1]"},
    {UUID, VALUE("\x91\x01"), "{1}"},
    {TEXT_ARRAY, VALUE("\x90"), "{}"},
    {TEXT_ARRAY, VALUE("\x95\xa0\xa1,\xa3\"\\}\xc0\x07"), "{\"\",\",\",\"\\\"\\\\}\",NULL,7}"},
    {TEXT_ARRAY, VALUE("\x92\x91\xa1x\x91\xc3"), "{{\"x\"},{true}}"},
    {TEXT_ARRAY, VALUE("\x91\x81\xa1k\xa1\""), "{\"{\\\"k\\\":\\\"\\\\\\\"\\\"}\"}"},
    {TEXT_ARRAY, VALUE("\x91\x91\x91\x91\x91\x91\x01"), "{{{{{{1}}}}}}"},
    {JSONB_ARRAY, VALUE("\x93\x92\x01\x02\x80\xc0"), "{\"[1,2]\",\"{}\",NULL}"},
    {BOX_ARRAY, VALUE("\x92\xa1x\xa1y"), "{\"x\";\"y\"}"},
    {BYTEA_ARRAY, VALUE("\x92\xc4\x03\x00\x9a\xff\xa0"), "{\"\\\\x009aff\",\"\\\\x\"}"},
    {INT4_ARRAY, VALUE("\x92\x01\xc0"), "{1,NULL}"}, /* no binary form: a NULL */
    {INT4_ARRAY, VALUE("\x91\xce\x80\x00\x00\x00"), "{2147483648}"},
};

static void values_are_sent_as_texts(void **state)
{
    struct pg_params *p = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf packed;
        struct err e;
        buf_init(&packed, 0);
        assert_int_equal(mpw_array(&packed, 1) | mpw_raw(&packed, texts[i].value), 0);
        if (pg_param_bind(p, buf_slice(&packed), &texts[i].type, 1, &e) != 0)
            fail_msg("case %zu: %s", i, e.text);
        if (!texts[i].text)
            assert_null(p->values[0]);
        else if (strcmp(p->values[0], texts[i].text) != 0)
            fail_msg("case %zu: %s", i, p->values[0]);
        assert_int_equal(p->formats[0], 0);
        assert_int_equal(p->types[0], 0); /* the server finds it */
        buf_fini(&packed);
    }
}

static const struct {
    Oid type;
    struct slice value;
    const char *says;
} refused[] = {
    {PG_BYTEA, VALUE("\xc3"), "a boolean cannot be sent as bytes (bytea)"},
    {PG_BYTEA, VALUE("\x01"), "a number cannot be sent as bytes (bytea)"},
    {PG_BYTEA, VALUE("\x91\x01"), "a table cannot be sent as bytes (bytea)"},
    {PG_BYTEA, VALUE("\x80"), "a table cannot be sent as bytes (bytea)"},
    {BYTEA_ARRAY, VALUE("\x91\x01"), "a number cannot be sent as bytes (bytea)"},
    {PG_OID, VALUE("\xff"), "-1 has no exact form as oid"},
    {PG_FLOAT4, VALUE("\xce\x01\x00\x00\x01"), "16777217 has no exact form as float4"},
    {PG_FLOAT8, VALUE("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
     "9223372036854775807 has no exact form as float8"},
    {PG_FLOAT8, VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
     "18446744073709551615 has no exact form as float8"},
    {PG_NAME, VALUE("\xd9\x40" N63 "n"), "a name of 64 bytes: at most 63 are kept"},
    {PG_CHAR,
     VALUE("\xa2"
           "ab"),
     "a \"char\" of 2 bytes: one is kept"},
    {PG_TEXT,
     VALUE("\xa3"
           "ab\0"),
     "a text with a NUL byte (at 2) cannot be sent"},
    {PG_TEXT,
     VALUE("\xa3"
           "a\xff"
           "b"),
     "a text that is not UTF-8 (at byte 1) cannot be sent"},
    {TEXT_ARRAY, VALUE("\x91\xa1\0"), "a text with a NUL byte (at 0) cannot be sent"},
    {PG_TEXT, VALUE("\xd4\x01x"), "an ext value cannot be sent"},
    {TEXT_ARRAY, VALUE("\x91\xd4\x01x"), "an ext value cannot be sent"},
    {TEXT_ARRAY, VALUE("\x91\x91\x91\x91\x91\x91\x91\x01"), "an array of more than 6 dimensions"},
    {PG_JSONB, VALUE("\x91\xc4\x01x"), "binary data (bin) has no form in JSON"},
    {PG_JSONB, VALUE("\x92\x01"), "the packed parameters are cut off or malformed"},
    {TEXT_ARRAY, VALUE("\x92\x01"), "the packed parameters are cut off or malformed"},
    {INT4_ARRAY, VALUE("\x92\x01"), "the packed parameters are cut off or malformed"},
    {JSONB_ARRAY, VALUE("\x91\x92\x01"), "the packed parameters are cut off or malformed"},
    {PG_INT4, VALUE("\xcd\x01"), "the packed parameters are cut off or malformed"},
    {PG_INT4, VALUE(""), "the packed parameters are cut off or malformed"},
};

static void what_cannot_be_sent_is_named_with_its_place(void **state)
{
    struct pg_params *p = *state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const Oid types[] = {PG_TEXT, refused[i].type};
        struct buf packed;
        struct err e;
        char want[150];
        buf_init(&packed, 0);
        assert_int_equal(mpw_array(&packed, 2) | mpw_cstr(&packed, "before") |
                             mpw_raw(&packed, refused[i].value),
                         0);
        assert_int_equal(pg_param_bind(p, buf_slice(&packed), types, 2, &e), ERR_BAD_VALUE);
        snprintf(want, sizeof want, "parameter $2: %s", refused[i].says);
        assert_string_equal(e.text, want);
        buf_fini(&packed);
    }
}

static void there_are_as_many_as_the_query_has(void **state)
{
    static const struct {
        struct slice packed;
        int want, rc;
        const char *says;
    } cases[] = {
        {VALUE(""), 1, ERR_BAD_REQUEST, "the query has 1 parameter, 0 given"},
        {VALUE("\x91\x01"), 2, ERR_BAD_REQUEST, "the query has 2 parameters, 1 given"},
        {VALUE("\x91\x01"), 0, ERR_BAD_REQUEST, "the query has 0 parameters, 1 given"},
        {VALUE("\x01"), 1, ERR_BAD_VALUE, "the packed parameters are cut off or malformed"},
        {VALUE("\xc1"), 1, ERR_BAD_VALUE, "the packed parameters are cut off or malformed"},
        {VALUE("\x91\x01\x01"), 1, ERR_BAD_VALUE, "the packed parameters are cut off or malformed"},
        {VALUE(""), 0, 0, ""},
        {VALUE("\x90"), 0, 0, ""},
    };
    struct pg_params *p = *state;
    const Oid types[] = {PG_INT4, PG_INT4};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        err_clear(&e);
        assert_int_equal(pg_param_bind(p, cases[i].packed, types, cases[i].want, &e), cases[i].rc);
        assert_string_equal(e.text, cases[i].says);
    }
}

/* Bytes and arrays of integers go in binary form, which has a type. */
static void what_has_a_binary_form_goes_in_it(void **state)
{
    struct pg_params *p = *state;
    const Oid types[] = {PG_BYTEA, INT8_ARRAY, PG_TEXT, INT4_ARRAY, PG_BYTEA};
    struct slice packed = slice_of("\x95\xc4\x03\x00\x01\xff\x92\x01\xff\xa1x\x91\x05\xa0", 14);
    struct err e;
    assert_int_equal(pg_param_bind(p, packed, types, 5, &e), 0);
    static const int formats[] = {1, 1, 0, 1, 1}, lengths[] = {3, 20 + 2 * 12, 0, 20 + 8, 0};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(p->formats[i], formats[i]);
        assert_int_equal(p->types[i], formats[i] ? types[i] : 0);
        assert_int_equal(p->lengths[i], lengths[i]);
    }
    assert_memory_equal(p->values[0], "\x00\x01\xff", 3);
    assert_memory_equal(p->values[1],
                        "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\2\0\0\0\1"
                        "\0\0\0\x08\0\0\0\0\0\0\0\1\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff",
                        44);
    assert_string_equal(p->values[2], "x");
    assert_memory_equal(p->values[3], "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\5",
                        28);
    assert_non_null(p->values[4]);
}

/* A type that a user made over integers has a number of its own in binary form: it goes as text. */
static void an_array_of_a_users_type_is_a_text(void **state)
{
    struct pg_params *p = *state;
    struct pg_types *known = (struct pg_types *)p->known;
    const Oid type = 20000;
    struct err e;
    assert_int_equal(
        pg_types_take(known,
                      slice_of("\x91\x92\xcd\x4e\x20\xcf\x00\x00\x00\x01\x00\x00\x00\x14", 14)),
        0);
    assert_int_equal(pg_param_bind(p, slice_of("\x91\x92\x01\x02", 4), &type, 1, &e), 0);
    assert_string_equal(p->values[0], "{1,2}");
    assert_int_equal(p->formats[0], 0);
    pg_types_fini(known);
    pg_types_init(known);
}

/* Room of one large query is given back before the next. */
static void room_above_a_mebibyte_is_not_kept(void **state)
{
    struct pg_params *p = *state;
    const Oid type = PG_TEXT;
    static const size_t sizes[] = {(1 << 20) - 1, 1 << 20};
    for (int i = 0; i < 2; i++) {
        struct buf packed;
        struct err e;
        char *text = calloc(1, sizes[i]);
        memset(text, 'x', sizes[i]);
        buf_init(&packed, 0);
        assert_int_equal(mpw_array(&packed, 1) | mpw_str(&packed, slice_of(text, sizes[i])), 0);
        pg_param_fini(p);
        assert_int_equal(pg_param_bind(p, buf_slice(&packed), &type, 1, &e), 0);
        assert_int_equal(strlen(p->values[0]), sizes[i]);
        size_t capacity = p->text.capacity;
        assert_int_equal(pg_param_bind(p, slice_of("\x91\xa1x", 3), &type, 1, &e), 0);
        assert_string_equal(p->values[0], "x");
        if (capacity > 1 << 20)
            assert_true(p->text.capacity < 1 << 20);
        else
            assert_int_equal(p->text.capacity, capacity);
        buf_fini(&packed);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_sent_as_texts),
        cmocka_unit_test(what_cannot_be_sent_is_named_with_its_place),
        cmocka_unit_test(there_are_as_many_as_the_query_has),
        cmocka_unit_test(what_has_a_binary_form_goes_in_it),
        cmocka_unit_test(an_array_of_a_users_type_is_a_text),
        cmocka_unit_test(room_above_a_mebibyte_is_not_kept),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
