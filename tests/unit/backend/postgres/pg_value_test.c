#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pg_fixture.h"

#include "backend/postgres/pg_value.h"

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    fixture_open(f, 1);
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return fixture_teardown(state);
}

static void value(struct fixture *f, const char *expression, const char *want)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT %s", expression);
    gives(f, CALL_VALUE, sql, NULL, want);
}

static void numbers_are_exact(void **state)
{
    struct fixture *f = *state;
    value(f, "9223372036854775807", "9223372036854775807");
    value(f, "(-9223372036854775808)::int8", "-9223372036854775808");
    value(f, "9007199254740993::int8", "9007199254740993");
    value(f, "(-32768)::int2", "-32768");
    value(f, "4294967295::oid", "4294967295");
    value(f, "0.1::float8", "0.1");
    value(f, "1.5::float4", "1.5");
    value(f, "12345678901234567890.123456789::numeric", "\"12345678901234567890.123456789\"");
    value(f, "true", "true");
    value(f, "false", "false");
    value(f, "NULL::int", "null");
}

static void texts_dates_and_the_rest_are_text(void **state)
{
    struct fixture *f = *state;
    value(f, "'h\xc3\xa9'::text", "\"h\xc3\xa9\"");
    value(f, "'ab'::char(4)", "\"ab  \"");
    value(f, "'v'::varchar", "\"v\"");
    value(f, "'n'::name", "\"n\"");
    value(f, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
          "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
    value(f, "'2024-02-29 12:34:56.789'::timestamp", "\"2024-02-29 12:34:56.789\"");
    value(f, "'2024-02-29'::date", "\"2024-02-29\"");
    value(f, "'12:00'::time", "\"12:00:00\"");
    value(f, "'1 day 2 hours'::interval", "\"1 day 02:00:00\"");
    value(f, "'10.0.0.0/8'::inet", "\"10.0.0.0/8\"");
    value(f, "int4range(1, 5)", "\"[1,5)\"");
}

static void dates_are_iso_whatever_the_database_says(void **state)
{
    struct fixture *f = *state;
    gives(f, CALL_COUNT, "ALTER DATABASE postgres SET datestyle = 'SQL, DMY'", NULL, "0");
    fixture_close(f);
    fixture_open(f, 1);
    value(f, "'2024-02-29'::date", "\"2024-02-29\"");
    gives(f, CALL_COUNT, "ALTER DATABASE postgres RESET datestyle", NULL, "0");
}

static void json_is_decoded(void **state)
{
    struct fixture *f = *state;
    value(f, "'{\"a\": [1, 9007199254740993, null, \"x\"]}'::jsonb",
          "{\"a\":[1,9007199254740993,null,\"x\"]}");
    value(f, "'[]'::json", "[]");
    value(f, "ARRAY['{\"a\": 1}', 'null']::jsonb[]", "[{\"a\":1},null]");
    gives(f, CALL_ROW, "SELECT '{\"k\": true}'::jsonb AS j, 1 AS n", NULL,
          "{\"j\":{\"k\":true},\"n\":1}");
    fails(f, CALL_ROWS,
          "SELECT repeat('[', 16)||repeat(']', 16) AS t, "
          "(repeat('[', 16)||repeat(']', 16))::jsonb AS deep",
          NULL, ERR_BACKEND, "nested deeper");
    fails(f, CALL_ROW, "SELECT '1e999'::json AS huge", NULL, ERR_BACKEND, "column \"huge\"");
}

static void arrays_are_arrays(void **state)
{
    struct fixture *f = *state;
    value(f, "ARRAY[1, NULL, 9223372036854775807]::int8[]", "[1,null,9223372036854775807]");
    value(f, "ARRAY['a', 'b \"c\" \\\\ {,}', '', NULL, 'NULL']::text[]",
          "[\"a\",\"b \\\"c\\\" \\\\\\\\ {,}\",\"\",null,\"NULL\"]");
    value(f, "ARRAY[[1,2],[3,4]]::int[]", "[[1,2],[3,4]]");
    value(f, "'{}'::int[]", "[]");
    value(f, "'[2:3]={7,8}'::int[]", "[7,8]");
    value(f, "ARRAY[true,false]", "[true,false]");
    value(f, "ARRAY[1.5,2]::float8[]", "[1.5,2]");
    value(f, "ARRAY['2024-01-02']::date[]", "[\"2024-01-02\"]");
    value(f, "ARRAY[1.50]::numeric[]", "[\"1.50\"]");
}

/* Every array that the server itself has, but for those of rows: what it says of
 * their elements. All other numbers are no arrays. */
static void arrays_of_the_servers_own_types_are_known(void **state)
{
    struct fixture *f = *state;
    Oid element[16384] = {0};
    struct ask a;
    int count = 0;
    ask_init(&a, CALL_ROWS,
             "SELECT typarray::int8 AS a, oid::int8 AS e FROM pg_type "
             "WHERE typarray <> 0 AND oid < 16384 AND typtype <> 'c' AND oid <> 2249",
             NULL);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, 0);
    struct mp_reader r = mp_reader_of(buf_slice(&a.q.result));
    struct mp_token t, key, array;
    assert_int_equal(mp_next(&r, &t), MP_OK);
    for (uint32_t i = 0; i < t.count; i++) {
        struct mp_token row, of;
        assert_int_equal(mp_next(&r, &row) | mp_next(&r, &key) | mp_next(&r, &array), MP_OK);
        assert_int_equal(mp_next(&r, &key) | mp_next(&r, &of), MP_OK);
        element[array.i] = (Oid)of.i;
    }
    ask_fini(&a);
    for (Oid type = 0; type < 16384; type++) {
        Oid known = pg_value_element(type);
        if (known != element[type] && (known != 0 || element[type] < 12000)) /* its domains */
            fail_msg("%u: %u, and it is %u", type, known, element[type]);
        assert_int_equal(pg_value_nests(type), type == PG_JSON || type == PG_JSONB || known != 0);
        count += known != 0;
    }
    assert_true(count > 70);
    assert_int_equal(pg_value_element(PG_ARRAY_OF | 77), 77);
    assert_true(pg_value_nests(PG_ARRAY_OF | 77));
    assert_int_equal(pg_value_element(16384), 0);
}

static void bytea_is_bin(void **state)
{
    struct fixture *f = *state;
    static const char *const forms[] = {
        "SELECT '\\x0061ff'::bytea",
        "SELECT (set_config('bytea_output', 'escape', false) <> '')::text::bytea",
        "SELECT '\\x0061ff'::bytea /* escape */",
    };
    struct ask a;
    ask_init(&a, CALL_VALUE, forms[0], NULL);
    ask_wait(f, &a);
    assert_true(slice_eq(buf_slice(&a.q.result), slice_of("\xc4\x03\x00\x61\xff", 5)));
    ask_fini(&a);
    ask_init(&a, CALL_VALUE, forms[1], NULL);
    ask_wait(f, &a);
    ask_fini(&a);
    ask_init(&a, CALL_VALUE, forms[2], NULL);
    ask_wait(f, &a);
    assert_true(slice_eq(buf_slice(&a.q.result), slice_of("\xc4\x03\x00\x61\xff", 5)));
    ask_fini(&a);
    fixture_close(f);
    fixture_open(f, 1);
}

/* As a server sends it with bytea_output = escape; found by fuzzing. */
static void an_empty_bytea_in_an_array_is_bin(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(pg_value_pack(1001, slice_str("{\"\"}"), &out, &e), 0);
    assert_int_equal(out.size, 3);
    assert_memory_equal(out.data, "\x91\xc4\0", 3);
    buf_fini(&out);
}

/* As no server sends them. */
static void arrays_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       "{",        "{1",    "{1,",    "{,}",  "{1,}", "{,1}",
        "{1,,2}", "{{1}",     "{{1},", "{{1},}", "{\"",  "{\"1", "{\"1\\",
        "{\"1\"", "{\"1\"x}", "[2:3]", "{1}{2}", "{1} ", "1",    "}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf out;
        struct err e;
        buf_init(&out, 0);
        err_clear(&e);
        int rc = pg_value_pack(1009, slice_str(texts[i]), &out, &e); /* text[] */
        if (rc != ERR_BACKEND || !strstr(e.text, "an array that cannot be read"))
            fail_msg("%s: %d \"%s\"", texts[i], rc, e.text);
        buf_fini(&out);
    }
}

static void shapes_are_rows_row_value_and_count(void **state)
{
    struct fixture *f = *state;
    const char *three = "SELECT n AS a, n * 2 AS b FROM generate_series(1, 3) n";
    gives(f, CALL_ROWS, three, NULL, "[{\"a\":1,\"b\":2},{\"a\":2,\"b\":4},{\"a\":3,\"b\":6}]");
    gives(f, CALL_ROW, three, NULL, "{\"a\":1,\"b\":2}");
    gives(f, CALL_VALUE, three, NULL, "1");
    gives(f, CALL_COUNT, three, NULL, "3");
    const char *none = "SELECT 1 AS a WHERE false";
    gives(f, CALL_ROWS, none, NULL, "[]");
    gives(f, CALL_ROW, none, NULL, "nothing");
    gives(f, CALL_VALUE, none, NULL, "nothing");
    gives(f, CALL_COUNT, none, NULL, "0");
    gives(f, CALL_COUNT, "CREATE TABLE shapes (id int PRIMARY KEY, t text)", NULL, "0");
    gives(f, CALL_COUNT, "INSERT INTO shapes VALUES (1, 'a'), (2, 'b')", NULL, "2");
    gives(f, CALL_ROW, "UPDATE shapes SET t = 'c' WHERE id = 2 RETURNING *", NULL,
          "{\"id\":2,\"t\":\"c\"}");
    gives(f, CALL_ROW, "DELETE FROM shapes", NULL, "nothing");
}

static void two_columns_of_one_name_are_refused(void **state)
{
    struct fixture *f = *state;
    fails(f, CALL_ROW, "SELECT 1 AS id, 2 AS x, 3 AS id", NULL, ERR_BAD_REQUEST, "\"id\"");
    fails(f, CALL_ROWS, "SELECT 1, 2", NULL, ERR_BAD_REQUEST, "\"?column?\"");
    gives(f, CALL_VALUE, "SELECT 1 AS id, 2 AS id", NULL, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(texts_dates_and_the_rest_are_text),
        cmocka_unit_test(dates_are_iso_whatever_the_database_says),
        cmocka_unit_test(json_is_decoded),
        cmocka_unit_test(arrays_are_arrays),
        cmocka_unit_test(arrays_of_the_servers_own_types_are_known),
        cmocka_unit_test(bytea_is_bin),
        cmocka_unit_test(an_empty_bytea_in_an_array_is_bin),
        cmocka_unit_test(arrays_that_are_none_are_refused),
        cmocka_unit_test(shapes_are_rows_row_value_and_count),
        cmocka_unit_test(two_columns_of_one_name_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
