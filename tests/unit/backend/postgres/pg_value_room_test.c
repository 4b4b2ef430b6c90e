/* Values without a server: those that are none are refused by name, and each is packed whole or
 * leaves no trace, however little room there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_value.h"

#include <stdlib.h>
#include <string.h>

#define INT4_ARRAY  1007
#define BYTEA_ARRAY 1001
#define TEXT_ARRAY  1009
#define HEAD        5 /* the longest head of an array */

static const struct {
    Oid type;
    const char *text;
} values[] = {
    {PG_BOOL, "t"},
    {PG_INT4, "2147483647"},
    {PG_INT8, "-9223372036854775808"},
    {PG_FLOAT8, "1.25"},
    {PG_NUMERIC, "12345678901234567890.5"},
    {PG_TEXT, "some text that is longer than a short head takes"},
    {PG_BYTEA, "\\x000102feff"},
    {PG_BYTEA, "plain\\\\and\\001escaped"},
    {PG_JSONB, "{\"a\": [1, 2.5, null, \"x\"]}"},
    {INT4_ARRAY, "{1,NULL,{3}}"},
    {INT4_ARRAY, "{1,NULL,3}"},
    {BYTEA_ARRAY, "{\"\\\\x00ff\",\"\\\\x\"}"},
    {TEXT_ARRAY, "{plain,\"quo\\\"ted\",\"\",NULL}"},
};

static int pack(Oid type, const char *text, size_t room, struct buf *out, struct err *e)
{
    err_clear(e);
    buf_init(out, room);
    return pg_value_pack(type, slice_str(text), out, e);
}

static void a_value_is_whole_or_leaves_no_trace(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf out;
        struct err e;
        assert_int_equal(pack(values[i].type, values[i].text, 0, &out, &e), 0);
        size_t whole = out.size;
        buf_fini(&out);
        /* Arrays are packed with a longer head first. */
        for (size_t room = 1; room <= whole + 2 * HEAD; room++) {
            int rc = pack(values[i].type, values[i].text, room, &out, &e);
            bool fits = rc == 0 && out.size == whole,
                 refused = rc == ERR_TOO_LARGE && out.size == 0;
            if (!(fits || refused) || (fits && room < whole) ||
                (refused && room == whole + 2 * HEAD))
                fail_msg("%s in %zu of %zu bytes: %d", values[i].text, room, whole, rc);
            buf_fini(&out);
        }
    }
}

static void what_is_no_value_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        Oid type;
        const char *text, *says;
    } wrong[] = {
        {PG_INT4, "", "a number of 0 characters"},
        {PG_INT4, "seven", "'seven' is no number"},
        {PG_INT8, "7x", "'7x' is no number"},
        {PG_FLOAT8, "1.5x", "'1.5x' is no number"},
        {PG_FLOAT8, "1111111111222222222233333333334444444444555555555566666666667777",
         "a number of 64 characters"},
        {PG_BYTEA, "\\x0g", "a bytea with a digit that is none"},
        {PG_BYTEA, "\\xg0", "a bytea with a digit that is none"},
        {INT4_ARRAY, "", "an array that cannot be read"},
        {INT4_ARRAY, "1,2", "an array that cannot be read"},
        {INT4_ARRAY, "{1,2", "an array that cannot be read"},
        {INT4_ARRAY, "{1,2}}", "an array that cannot be read"},
        {INT4_ARRAY, "{1,2}x", "an array that cannot be read"},
        {INT4_ARRAY, "{1,x}", "'x' is no number"},
        {TEXT_ARRAY, "{\"open", "an array that cannot be read"},
        {TEXT_ARRAY, "{\"open\\", "an array that cannot be read"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buf out;
        struct err e;
        int rc = pack(wrong[i].type, wrong[i].text, 0, &out, &e);
        if (rc != ERR_BACKEND || !strstr(e.text, wrong[i].says))
            fail_msg("\"%s\": %d, \"%s\"", wrong[i].text, rc, e.text);
        assert_int_equal(out.size, 0);
        buf_fini(&out);
    }
}

static void hexadecimal_digits_are_of_either_case(void **state)
{
    (void)state;
    struct buf lower, upper;
    struct err e;
    assert_int_equal(pack(PG_BYTEA, "\\x09afAF", 0, &lower, &e), 0);
    assert_int_equal(lower.size, 5);
    assert_memory_equal(lower.data, "\xc4\x03\x09\xaf\xaf", 5);
    assert_int_equal(pack(PG_BYTEA, "\\x09AFaf", 0, &upper, &e), 0);
    assert_memory_equal(lower.data, upper.data, 5);
    buf_fini(&lower);
    buf_fini(&upper);
}

/* Capitals too, which PostgreSQL takes itself. */
static void every_digit_of_a_bytea_has_its_value(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef";
    for (int c = 1; c < 0x7f; c++) {
        struct buf out;
        struct err e;
        const char *at = strchr(digits, c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        for (int low = 0; low < 2; low++) {
            char text[8] = "\\x00", want[] = "\xc4\x01\0";
            text[2 + low] = (char)c;
            want[2] = (char)(at ? (at - digits) << (low ? 0 : 4) : 0);
            int rc = pack(PG_BYTEA, text, 0, &out, &e);
            if (rc != (at ? 0 : ERR_BACKEND) || (at && memcmp(out.data, want, 3) != 0))
                fail_msg("the digit %d: %d", c, rc);
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_whole_or_leaves_no_trace),
        cmocka_unit_test(every_digit_of_a_bytea_has_its_value),
        cmocka_unit_test(what_is_no_value_is_refused_by_name),
        cmocka_unit_test(hexadecimal_digits_are_of_either_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
