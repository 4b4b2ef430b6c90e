#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pg_fixture.h"

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    fixture_open(f, 1);
    gives(f, QUERY_EXEC, "CREATE TABLE item (id int8 PRIMARY KEY, name text, bytes bytea)", NULL,
          "0");
    gives(f, QUERY_EXEC, "INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, NULL)", NULL, "3");
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return fixture_teardown(state);
}

static void scalars_go_and_come_back(void **state)
{
    struct fixture *f = *state;
    gives(f, QUERY_VALUE, "SELECT $1::int8", "[9223372036854775807]", "9223372036854775807");
    gives(f, QUERY_VALUE, "SELECT $1::int8", "[-9223372036854775808]", "-9223372036854775808");
    gives(f, QUERY_VALUE, "SELECT $1::int8", "[5e9]", "5000000000");
    gives(f, QUERY_VALUE, "SELECT $1::float8", "[0.1]", "0.1");
    gives(f, QUERY_VALUE, "SELECT $1::bool", "[true]", "true");
    gives(f, QUERY_VALUE, "SELECT $1::bool", "[false]", "false");
    gives(f, QUERY_VALUE, "SELECT $1::int IS NULL", "[null]", "true");
    gives(f, QUERY_VALUE, "SELECT $1::text", "[\"h\xc3\xa9 '\\\"\\\\\"]",
          "\"h\xc3\xa9 '\\\"\\\\\"");
    gives(f, QUERY_VALUE, "SELECT $1::text", "[12]", "\"12\"");
    gives(f, QUERY_VALUE, "SELECT $1::numeric", "[\"1.10\"]", "\"1.10\"");
    gives(f, QUERY_ROW, "SELECT * FROM item WHERE id = $1", "[\"2\"]",
          "{\"id\":2,\"name\":\"b\",\"bytes\":null}");
}

static void arrays_become_arrays_or_json_by_the_parameters_type(void **state)
{
    struct fixture *f = *state;
    const char *by_id = "SELECT name FROM item WHERE id = ANY($1) ORDER BY id";
    gives(f, QUERY_ROWS, by_id, "[[1,3,99]]", "[{\"name\":\"a\"},{\"name\":null}]");
    gives(f, QUERY_ROWS, by_id, "[[]]", "[]");
    gives(f, QUERY_ROWS, "SELECT id FROM item WHERE name = ANY($1) ORDER BY id",
          "[[\"b\",\"a\",\"{x,\\\"\\\\\"]]", "[{\"id\":1},{\"id\":2}]");
    gives(f, QUERY_VALUE, "SELECT $1::text[]", "[[\"a,b\",\"\",null,\"NULL\",\"q\\\"\\\\\"]]",
          "[\"a,b\",\"\",null,\"NULL\",\"q\\\"\\\\\"]");
    gives(f, QUERY_VALUE, "SELECT $1::int[]", "[[[1,2],[3,4]]]", "[[1,2],[3,4]]");
    gives(f, QUERY_VALUE, "SELECT $1::int2[]", "[[-32768,32767,0]]", "[-32768,32767,0]");
    fails(f, QUERY_VALUE, "SELECT $1::int2[]", "[[1,32768]]", ERR_BACKEND, "32768");
    gives(f, QUERY_VALUE, "SELECT $1::int4[]", "[[-2147483648,2147483647]]",
          "[-2147483648,2147483647]");
    fails(f, QUERY_VALUE, "SELECT $1::int4[]", "[[2147483648]]", ERR_BACKEND, "2147483648");
    gives(f, QUERY_VALUE, "SELECT $1::int8[]", "[[-9223372036854775808,9223372036854775807,-1]]",
          "[-9223372036854775808,9223372036854775807,-1]");
    gives(f, QUERY_VALUE, "SELECT $1::int8[]", "[[\"12\",-7,\"-3\",\"007\"]]", "[12,-7,-3,7]");
    gives(f, QUERY_VALUE, "SELECT $1::int8[]", "[[\" 12\",null,3]]", "[12,null,3]");
    fails(f, QUERY_VALUE, "SELECT $1::int8[]", "[[1,\"1x\"]]", ERR_BACKEND, "1x");
    fails(f, QUERY_VALUE, "SELECT $1::int8[]", "[[1,\"\"]]", ERR_BACKEND, "bigint");
    gives(f, QUERY_VALUE, "SELECT $1::oid[]", "[[1,4294967295]]", "[1,4294967295]");
    gives(f, QUERY_VALUE, "SELECT $1::int8[] || $2::text[]::int8[]", "[[1],[\"2\"]]", "[1,2]");
    gives(f, QUERY_VALUE, "SELECT $1::float8[]", "[[0.1,2]]", "[0.1,2]");
    gives(f, QUERY_VALUE, "SELECT $1::jsonb", "[[1,{\"a\":[null]}]]", "[1,{\"a\":[null]}]");
    gives(f, QUERY_VALUE, "SELECT $1::jsonb", "[{\"k\":\"v\"}]", "{\"k\":\"v\"}");
    gives(f, QUERY_VALUE, "SELECT $1::jsonb", "[\"{\\\"k\\\": 1}\"]", "{\"k\":1}");
    gives(f, QUERY_VALUE, "SELECT $1::jsonb[]", "[[{\"a\":1},[2]]]", "[{\"a\":1},[2]]");
    gives(f, QUERY_VALUE, "SELECT $1::text", "[[1,2]]", "\"[1,2]\"");
    gives(f, QUERY_EXEC, "CREATE TYPE mood AS ENUM ('sad', 'ok')", NULL, "0");
    gives(f, QUERY_VALUE, "SELECT 'ok'::mood = ANY($1::mood[])", "[[\"ok\"]]", "true");
}

static void nul_and_broken_utf8_never_reach_a_text(void **state)
{
    struct fixture *f = *state;
    const char *by_name = "SELECT id FROM item WHERE name = $1";
    gives(f, QUERY_VALUE, by_name, "[\"a\"]", "1");
    fails(f, QUERY_VALUE, by_name, "[\"a\\u0000b\"]", ERR_BAD_VALUE, "parameter $1: ");
    fails(f, QUERY_VALUE, by_name, "[\"a\\u0000b\"]", ERR_BAD_VALUE, "NUL");
    fails(f, QUERY_VALUE, "SELECT $1::int + cardinality($2::text[])", "[1,[\"a\\u0000\"]]",
          ERR_BAD_VALUE, "parameter $2: ");
    struct ask a;
    ask_init(&a, QUERY_VALUE, by_name, NULL);
    assert_int_equal(buf_append(&a.params, "\x91\xa2\x61\xff", 4), 0);
    a.q.params = buf_slice(&a.params);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    assert_non_null(strstr(a.q.err.text, "parameter $1: a text that is not UTF-8 (at byte 1)"));
    ask_fini(&a);
}

static void bin_and_str_go_into_bytea_whole(void **state)
{
    struct fixture *f = *state;
    static const char *const packed[] = {"\x91\xc4\x03\x00\x61\xff", "\x91\xa3\x00\x61\xff",
                                         "\x91\xc4\x00"};
    static const size_t sizes[] = {6, 5, 3};
    static const char *const want[] = {"\"0061ff\"", "\"0061ff\"", "\"\""};
    for (size_t i = 0; i < 3; i++) {
        struct ask a;
        ask_init(&a, QUERY_VALUE, "SELECT encode($1::bytea, 'hex')", NULL);
        a.q.params = slice_of(packed[i], sizes[i]);
        ask_wait(f, &a);
        result_is(&a.q, want[i]);
        ask_fini(&a);
    }
    struct ask a;
    ask_init(&a, QUERY_VALUE, "SELECT encode(($1::bytea[])[2], 'hex')", NULL);
    a.q.params = slice_of("\x91\x92\xc4\x01\x01\xc4\x02\x00\xff", 9);
    ask_wait(f, &a);
    result_is(&a.q, "\"00ff\"");
    ask_fini(&a);
}

static void a_wrong_count_says_so(void **state)
{
    struct fixture *f = *state;
    fails(f, QUERY_VALUE, "SELECT $1::int + $2::int", "[1]", ERR_BAD_REQUEST,
          "the query has 2 parameters, 1 given");
    fails(f, QUERY_VALUE, "SELECT 1", "[1]", ERR_BAD_REQUEST, "0 parameters, 1 given");
    fails(f, QUERY_VALUE, "SELECT $1::int", NULL, ERR_BAD_REQUEST, "1 parameter, 0 given");
    struct ask a;
    ask_init(&a, QUERY_VALUE, "SELECT $1::int", NULL);
    a.q.params = slice_of("\x91", 1);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    ask_fini(&a);
}

static void what_cannot_be_sent_is_named(void **state)
{
    struct fixture *f = *state;
    struct ask a;
    ask_init(&a, QUERY_VALUE, "SELECT $1::jsonb", NULL);
    a.q.params = slice_of("\x91\x91\xc4\x01\x00", 5); /* bin inside JSON */
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    assert_non_null(strstr(a.q.err.text, "parameter $1: binary"));
    ask_fini(&a);
    ask_init(&a, QUERY_VALUE, "SELECT $1::text", NULL);
    a.q.params = slice_of("\x91\xd4\x01\x00", 4); /* ext */
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    ask_fini(&a);
    fails(f, QUERY_VALUE, "SELECT $1::int", "[\"x\"]", ERR_BACKEND, "22P02 invalid input syntax");
    fails(f, QUERY_VALUE, "SELECT $1::int[]", "[[[[[[[[1]]]]]]]]", ERR_BAD_VALUE, "dimensions");
}

static void errors_carry_the_sqlstate_and_the_detail(void **state)
{
    struct fixture *f = *state;
    fails(f, QUERY_EXEC, "INSERT INTO item VALUES (1)", NULL, ERR_BACKEND,
          "23505 duplicate key value violates unique constraint \"item_pkey\" (Key (id)=(1) "
          "already exists.)");
    fails(f, QUERY_ROW, "SELECT nope FROM item", NULL, ERR_BACKEND,
          "42703 column \"nope\" does not exist");
    fails(f, QUERY_ROW, "-- nothing", NULL, ERR_BAD_REQUEST, "empty");
}

static void what_changes_a_shared_connection_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const refused[] = {
        "BEGIN",
        " begin",
        "/* a /* b */ c */ COMMIT",
        "-- x\nROLLBACK",
        "SET search_path = x",
        "LISTEN x",
        "COPY item TO STDOUT",
        "DEALLOCATE ALL",
        "start transaction",
        ";END",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        fails(f, QUERY_EXEC, refused[i], NULL, ERR_BAD_REQUEST, "connections are shared");
    gives(f, QUERY_VALUE, "/* begin */ SELECT 1 -- set", NULL, "1");
    struct ask a;
    ask_init(&a, QUERY_VALUE, "", NULL);
    a.q.sql = slice_of("SELECT 1\0 + 1", 13);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_REQUEST);
    ask_fini(&a);
}

/* A load that yields between two queries sees what was committed between them. */
static void race_21_each_query_reads_what_is_committed_by_then(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;
    fixture_open(&other, 1);
    fails(f, QUERY_EXEC, "BEGIN", NULL, ERR_BAD_REQUEST, "no transactions");
    fails(f, QUERY_EXEC, "START TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, ERR_BAD_REQUEST,
          "no transactions");
    gives(&other, QUERY_EXEC, "CREATE TABLE seen (n int)", NULL, "0");
    gives(f, QUERY_VALUE, "SELECT count(*) FROM seen", NULL, "0");
    gives(&other, QUERY_EXEC, "INSERT INTO seen VALUES (1)", NULL, "1");
    gives(f, QUERY_VALUE, "SELECT count(*) FROM seen", NULL, "1");
    gives(&other, QUERY_EXEC, "DROP TABLE seen", NULL, "0");
    fixture_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_go_and_come_back),
        cmocka_unit_test(arrays_become_arrays_or_json_by_the_parameters_type),
        cmocka_unit_test(nul_and_broken_utf8_never_reach_a_text),
        cmocka_unit_test(bin_and_str_go_into_bytea_whole),
        cmocka_unit_test(a_wrong_count_says_so),
        cmocka_unit_test(what_cannot_be_sent_is_named),
        cmocka_unit_test(errors_carry_the_sqlstate_and_the_detail),
        cmocka_unit_test(what_changes_a_shared_connection_is_refused),
        cmocka_unit_test(race_21_each_query_reads_what_is_committed_by_then),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
