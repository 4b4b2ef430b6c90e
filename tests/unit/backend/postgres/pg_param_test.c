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
    gives(f, CALL_COUNT, "CREATE TABLE item (id int8 PRIMARY KEY, name text, bytes bytea)", NULL,
          "0");
    gives(f, CALL_COUNT, "INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, NULL)", NULL, "3");
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
    gives(f, CALL_VALUE, "SELECT $1::int8", "[9223372036854775807]", "9223372036854775807");
    gives(f, CALL_VALUE, "SELECT $1::int8", "[-9223372036854775808]", "-9223372036854775808");
    gives(f, CALL_VALUE, "SELECT $1::int8", "[5e9]", "5000000000");
    gives(f, CALL_VALUE, "SELECT $1::float8", "[0.1]", "0.1");
    gives(f, CALL_VALUE, "SELECT $1::bool", "[true]", "true");
    gives(f, CALL_VALUE, "SELECT $1::bool", "[false]", "false");
    gives(f, CALL_VALUE, "SELECT $1::int IS NULL", "[null]", "true");
    gives(f, CALL_VALUE, "SELECT $1::text", "[\"h\xc3\xa9 '\\\"\\\\\"]", "\"h\xc3\xa9 '\\\"\\\\\"");
    gives(f, CALL_VALUE, "SELECT $1::text", "[12]", "\"12\"");
    gives(f, CALL_VALUE, "SELECT $1::numeric", "[\"1.10\"]", "\"1.10\"");
    gives(f, CALL_ROW, "SELECT * FROM item WHERE id = $1", "[\"2\"]",
          "{\"id\":2,\"name\":\"b\",\"bytes\":null}");
}

static void arrays_become_arrays_or_json_by_the_parameters_type(void **state)
{
    struct fixture *f = *state;
    const char *by_id = "SELECT name FROM item WHERE id = ANY($1) ORDER BY id";
    gives(f, CALL_ROWS, by_id, "[[1,3,99]]", "[{\"name\":\"a\"},{\"name\":null}]");
    gives(f, CALL_ROWS, by_id, "[[]]", "[]");
    gives(f, CALL_ROWS, "SELECT id FROM item WHERE name = ANY($1) ORDER BY id",
          "[[\"b\",\"a\",\"{x,\\\"\\\\\"]]", "[{\"id\":1},{\"id\":2}]");
    gives(f, CALL_VALUE, "SELECT $1::text[]", "[[\"a,b\",\"\",null,\"NULL\",\"q\\\"\\\\\"]]",
          "[\"a,b\",\"\",null,\"NULL\",\"q\\\"\\\\\"]");
    gives(f, CALL_VALUE, "SELECT $1::int[]", "[[[1,2],[3,4]]]", "[[1,2],[3,4]]");
    gives(f, CALL_VALUE, "SELECT $1::int[]", "[[[[[[[1,2]]]]]]]", "[[[[[[1,2]]]]]]");
    gives(f, CALL_VALUE, "SELECT $1::int2[]", "[[-32768,32767,0]]", "[-32768,32767,0]");
    fails(f, CALL_VALUE, "SELECT $1::int2[]", "[[1,32768]]", ERR_BACKEND, "22003 value");
    gives(f, CALL_VALUE, "SELECT $1::int4[]", "[[-2147483648,2147483647]]",
          "[-2147483648,2147483647]");
    fails(f, CALL_VALUE, "SELECT $1::int4[]", "[[2147483648]]", ERR_BACKEND, "22003 value");
    gives(f, CALL_VALUE, "SELECT $1::int8[]", "[[-9223372036854775808,9223372036854775807,-1]]",
          "[-9223372036854775808,9223372036854775807,-1]");
    gives(f, CALL_VALUE, "SELECT $1::int8[]", "[[\"12\",-7,\"-3\",\"007\"]]", "[12,-7,-3,7]");
    gives(f, CALL_VALUE, "SELECT $1::int8[]", "[[\" 12\",null,3]]", "[12,null,3]");
    fails(f, CALL_VALUE, "SELECT $1::int8[]", "[[1,\"1x\"]]", ERR_BACKEND, "22P02 invalid");
    fails(f, CALL_VALUE, "SELECT $1::int8[]", "[[1,\"\"]]", ERR_BACKEND, "bigint");
    gives(f, CALL_VALUE, "SELECT $1::oid[]", "[[1,4294967295]]", "[1,4294967295]");
    gives(f, CALL_VALUE, "SELECT $1::int8[] || $2::text[]::int8[]", "[[1],[\"2\"]]", "[1,2]");
    gives(f, CALL_VALUE, "SELECT $1::float8[]", "[[0.1,2]]", "[0.1,2]");
    gives(f, CALL_VALUE, "SELECT $1::jsonb", "[[1,{\"a\":[null]}]]", "[1,{\"a\":[null]}]");
    gives(f, CALL_VALUE, "SELECT $1::jsonb", "[{\"k\":\"v\"}]", "{\"k\":\"v\"}");
    gives(f, CALL_VALUE, "SELECT $1::jsonb", "[\"{\\\"k\\\": 1}\"]", "{\"k\":1}");
    gives(f, CALL_VALUE, "SELECT $1::jsonb[]", "[[{\"a\":1},[2]]]", "[{\"a\":1},[2]]");
    gives(f, CALL_VALUE, "SELECT $1::text", "[[1,2]]", "\"[1,2]\"");
    gives(f, CALL_COUNT, "CREATE TYPE mood AS ENUM ('sad', 'ok')", NULL, "0");
    gives(f, CALL_VALUE, "SELECT 'ok'::mood = ANY($1::mood[])", "[[\"ok\"]]", "true");
}

/* The server would round a number, or take an exponent for a mistake. */
static void a_number_is_sent_as_it_is_or_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *number;
        bool exact;
    } cases[] = {
        {"float8", "9007199254740992", true},
        {"float8", "9007199254740993", false},
        {"float8", "-9007199254740993", false},
        {"float8", "9223372036854774784", true},
        {"float8", "9223372036854775807", false}, /* 2^63, which is not it */
        {"float8", "-9223372036854775808", true},
        {"float8", "9223372036854775808", true},
        {"float8", "9223372036854775809", false},
        {"float8", "18446744073709549568", true},
        {"float8", "18446744073709551615", false},
        {"float4", "16777216", true},
        {"float4", "16777217", false},
        {"float4", "9223372036854775808", true},
        {"float4", "9223372036854777856", false},
        {"float4", "18446742974197923840", true},
        {"float4", "18446744073709551615", false},
        {"oid", "0", true},
        {"oid", "4294967295", true},
        {"oid", "-1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[96], params[48];
        for (int array = 0; array < 2; array++) {
            snprintf(sql, sizeof sql, array ? "SELECT ($1::%s[])[1] = %s" : "SELECT $1::%s = %s",
                     cases[i].type, cases[i].number);
            snprintf(params, sizeof params, array ? "[[%s]]" : "[%s]", cases[i].number);
            if (cases[i].exact)
                gives(f, CALL_VALUE, sql, params, "true");
            else
                fails(f, CALL_VALUE, sql, params, ERR_BAD_VALUE, " has no exact form as ");
        }
    }
    static const struct {
        const char *params, *want; /* a float that is an integer, as an int8 */
    } whole[] = {
        {"[5.0]", "5"},
        {"[-5.0]", "-5"},
        {"[123456789012345680.0]", "123456789012345680"},
        {"[999999999999999872.0]", "999999999999999872"},
        {"[-999999999999999872.0]", "-999999999999999872"},
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        gives(f, CALL_VALUE, "SELECT $1::int8", whole[i].params, whole[i].want);
    gives(f, CALL_VALUE, "SELECT $1::float8::text", "[-0.0]", "\"-0\"");
    fails(f, CALL_VALUE, "SELECT $1::int8", "[5.5]", ERR_BACKEND, "22P02");
}

static void nul_and_broken_utf8_never_reach_a_text(void **state)
{
    struct fixture *f = *state;
    const char *by_name = "SELECT id FROM item WHERE name = $1";
    gives(f, CALL_VALUE, by_name, "[\"a\"]", "1");
    fails(f, CALL_VALUE, by_name, "[\"a\\u0000b\"]", ERR_BAD_VALUE, "parameter $1: ");
    fails(f, CALL_VALUE, by_name, "[\"a\\u0000b\"]", ERR_BAD_VALUE, "NUL");
    fails(f, CALL_VALUE, "SELECT $1::int + cardinality($2::text[])", "[1,[\"a\\u0000\"]]",
          ERR_BAD_VALUE, "parameter $2: ");
    struct ask a;
    ask_init(&a, CALL_VALUE, by_name, NULL);
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
        ask_init(&a, CALL_VALUE, "SELECT encode($1::bytea, 'hex')", NULL);
        a.q.params = slice_of(packed[i], sizes[i]);
        ask_wait(f, &a);
        result_is(&a.q, want[i]);
        ask_fini(&a);
    }
    struct ask a;
    ask_init(&a, CALL_VALUE, "SELECT encode(($1::bytea[])[2], 'hex')", NULL);
    a.q.params = slice_of("\x91\x92\xc4\x01\x01\xc4\x02\x00\xff", 9);
    ask_wait(f, &a);
    result_is(&a.q, "\"00ff\"");
    ask_fini(&a);
}

static void a_wrong_count_says_so(void **state)
{
    struct fixture *f = *state;
    fails(f, CALL_VALUE, "SELECT $1::int + $2::int", "[1]", ERR_BAD_REQUEST,
          "the query has 2 parameters, 1 given");
    fails(f, CALL_VALUE, "SELECT 1", "[1]", ERR_BAD_REQUEST, "0 parameters, 1 given");
    fails(f, CALL_VALUE, "SELECT $1::int", NULL, ERR_BAD_REQUEST, "1 parameter, 0 given");
    struct ask a;
    ask_init(&a, CALL_VALUE, "SELECT $1::int", NULL);
    a.q.params = slice_of("\x91", 1);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    ask_fini(&a);
}

static void what_cannot_be_sent_is_named(void **state)
{
    struct fixture *f = *state;
    struct ask a;
    ask_init(&a, CALL_VALUE, "SELECT $1::jsonb", NULL);
    a.q.params = slice_of("\x91\x91\xc4\x01\x00", 5); /* bin inside JSON */
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    assert_non_null(strstr(a.q.err.text, "parameter $1: binary"));
    ask_fini(&a);
    ask_init(&a, CALL_VALUE, "SELECT $1::text", NULL);
    a.q.params = slice_of("\x91\xd4\x01\x00", 4); /* ext */
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    ask_fini(&a);
    ask_init(&a, CALL_VALUE, "SELECT $1::int[]", NULL);
    a.q.params = slice_of("\x91\x91\xd4\x01\x00", 5); /* in an array */
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BAD_VALUE);
    assert_non_null(strstr(a.q.err.text, "an ext value cannot be sent"));
    ask_fini(&a);
    fails(f, CALL_VALUE, "SELECT $1::int", "[\"x\"]", ERR_BACKEND, "22P02 invalid input syntax");
    fails(f, CALL_VALUE, "SELECT $1::int[]", "[[[[[[[[1]]]]]]]]", ERR_BAD_VALUE,
          "an array of more than 6 dimensions");
    const char *long_name = "[\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"]";
    const char *longer = "[\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"]";
    gives(f, CALL_VALUE, "SELECT length($1::name)", long_name, "63");
    fails(f, CALL_VALUE, "SELECT length($1::name)", longer, ERR_BAD_VALUE, "a name of 64 bytes");
    gives(f, CALL_VALUE, "SELECT $1::\"char\"::text", "[\"c\"]", "\"c\"");
    fails(f, CALL_VALUE, "SELECT $1::\"char\"", "[\"ch\"]", ERR_BAD_VALUE,
          "of 2 bytes: one is kept");
}

/* The text of an error, whole. */
static void says(struct fixture *f, const char *sql, const char *want)
{
    struct ask a;
    ask_init(&a, CALL_COUNT, sql, NULL);
    ask_wait(f, &a);
    assert_int_equal(a.q.code, ERR_BACKEND);
    assert_string_equal(a.q.err.text, want);
    ask_fini(&a);
}

static const struct {
    const char *sql, *plain, *full;
} quoting[] = {
    {"INSERT INTO item VALUES (1)",
     "23505 duplicate key value violates unique constraint \"item_pkey\"",
     "23505 duplicate key value violates unique constraint \"item_pkey\" (Key (id)=(1) already "
     "exists.)"},
    {"INSERT INTO checked VALUES ('secret', -1)",
     "23514 new row for relation \"checked\" violates check constraint \"checked_n_check\"",
     "23514 new row for relation \"checked\" violates check constraint \"checked_n_check\" "
     "(Failing "
     "row contains (secret, -1).)"},
    {"INSERT INTO few VALUES ('secret', 200)",
     "44000 new row violates check option for view \"few\"",
     "44000 new row violates check option for view \"few\" (Failing row contains (secret, 200).)"},
    {"SELECT name::int FROM checked", "22P02 invalid input syntax for type integer: \"...\"",
     "22P02 invalid input syntax for type integer: \"an \"odd\" secret\""},
    {"SELECT n::text::smallint FROM checked",
     "22003 value \"...\" is out of range for type smallint",
     "22003 value \"70000\" is out of range for type smallint"},
    {"SELECT name::jsonb FROM checked", "22P02 invalid input syntax for type json",
     "22P02 invalid input syntax for type json (Token \"an\" is invalid.)"},
    {"DO $$ BEGIN RAISE 'its author''s word' USING DETAIL = 'secret', HINT = 'a hint'; END $$",
     "P0001 its author's word (a hint)", "P0001 its author's word (secret; a hint)"},
    {"SELECT count(*) FROM nowhere.item", "42P01 relation \"nowhere.item\" does not exist",
     "42P01 relation \"nowhere.item\" does not exist"},
    {"DROP TABLE checked",
     "2BP01 cannot drop table checked because other objects depend on it (Use DROP ... CASCADE to "
     "drop the dependent objects too.)",
     "2BP01 cannot drop table checked because other objects depend on it (view few depends on "
     "table "
     "checked; Use DROP ... CASCADE to drop the dependent objects too.)"},
};

static void errors_quote_no_rows_but_in_development(void **state)
{
    struct fixture *f = *state;
    gives(f, CALL_COUNT, "CREATE TABLE checked (name text, n int CHECK (n > 0))", NULL, "0");
    gives(f, CALL_COUNT, "CREATE VIEW few AS SELECT * FROM checked WHERE n < 100 WITH CHECK OPTION",
          NULL, "0");
    gives(f, CALL_COUNT, "INSERT INTO checked VALUES ('an \"odd\" secret', 70000)", NULL, "1");
    for (size_t i = 0; i < sizeof quoting / sizeof *quoting; i++)
        says(f, quoting[i].sql, quoting[i].plain);
    struct fixture other = *f;
    other.conf.full_errors = true;
    fixture_open(&other, 1);
    for (size_t i = 0; i < sizeof quoting / sizeof *quoting; i++)
        says(&other, quoting[i].sql, quoting[i].full);
    fixture_close(&other);
    gives(f, CALL_COUNT, "DROP TABLE checked CASCADE", NULL, "0");
}

/* No server of the tests speaks another language: results that look as if one did. */
static void values_are_hidden_in_any_language(void **state)
{
    (void)state;
    static const struct {
        const char *said, *told;
    } cases[] = {
        {"ungültige Eingabesyntax für Typ integer: »secret«", "a value cannot be taken"},
        {"invalid input syntax for type integer: \"secret cut",
         "invalid input syntax for type integer: \"...\""},
        {"division by zero", "division by zero"},
        {"value \"ä\" is odd", "value \"...\" is odd"},
        {"\"", "\"...\""},
        {"\"\"", "\"...\""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ERR_TEXT_MAX];
        strcpy(text, cases[i].said);
        pg_error_hide_value(text);
        assert_string_equal(text, cases[i].told);
    }
}

static void errors_carry_the_sqlstate(void **state)
{
    struct fixture *f = *state;
    fails(f, CALL_COUNT, "INSERT INTO item VALUES (1)", NULL, ERR_BACKEND, "23505 duplicate key");
    fails(f, CALL_ROW, "SELECT nope FROM item", NULL, ERR_BACKEND,
          "42703 column \"nope\" does not exist");
    fails(f, CALL_ROW, "-- nothing", NULL, ERR_BAD_REQUEST, "empty");
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
        fails(f, CALL_COUNT, refused[i], NULL, ERR_BAD_REQUEST, "connections are shared");
    gives(f, CALL_VALUE, "/* begin */ SELECT 1 -- set", NULL, "1");
    struct ask a;
    ask_init(&a, CALL_VALUE, "", NULL);
    a.q.text = slice_of("SELECT 1\0 + 1", 13);
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
    fails(f, CALL_COUNT, "BEGIN", NULL, ERR_BAD_REQUEST, "no transactions");
    fails(f, CALL_COUNT, "START TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, ERR_BAD_REQUEST,
          "no transactions");
    gives(&other, CALL_COUNT, "CREATE TABLE seen (n int)", NULL, "0");
    gives(f, CALL_VALUE, "SELECT count(*) FROM seen", NULL, "0");
    gives(&other, CALL_COUNT, "INSERT INTO seen VALUES (1)", NULL, "1");
    gives(f, CALL_VALUE, "SELECT count(*) FROM seen", NULL, "1");
    gives(&other, CALL_COUNT, "DROP TABLE seen", NULL, "0");
    fixture_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_go_and_come_back),
        cmocka_unit_test(arrays_become_arrays_or_json_by_the_parameters_type),
        cmocka_unit_test(a_number_is_sent_as_it_is_or_refused),
        cmocka_unit_test(nul_and_broken_utf8_never_reach_a_text),
        cmocka_unit_test(bin_and_str_go_into_bytea_whole),
        cmocka_unit_test(a_wrong_count_says_so),
        cmocka_unit_test(what_cannot_be_sent_is_named),
        cmocka_unit_test(errors_carry_the_sqlstate),
        cmocka_unit_test(errors_quote_no_rows_but_in_development),
        cmocka_unit_test(values_are_hidden_in_any_language),
        cmocka_unit_test(what_changes_a_shared_connection_is_refused),
        cmocka_unit_test(race_21_each_query_reads_what_is_committed_by_then),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
