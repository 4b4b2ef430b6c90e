#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_identity.h"

#include <string.h>

static void an_answer_that_is_none_leaves_the_part_unknown(void **state)
{
    (void)state;
    struct identity id = {.wal_end = 0};
    char shown[IDENTITY_TEXT], longer[200];
    memset(longer, '9', sizeof longer);
    for (int part = 0; part < PG_IDENTITY_PARTS; part++)
        pg_identity_take(&id, (enum pg_identity_part)part, slice_of(longer, sizeof longer));
    assert_true(identity_empty(&id));
    identity_show(&id, shown);
    assert_string_equal(shown, "?/?");
    pg_identity_take(&id, PG_SYSTEM, slice_str("7"));
    pg_identity_take(&id, PG_TIMELINE, slice_str("0000000A"));
    pg_identity_take(&id, PG_WAL_END, slice_str("18446744073709551615"));
    identity_show(&id, shown);
    assert_string_equal(shown, "7/0000000A");
    assert_true(id.wal_end == UINT64_MAX);
}

/* A part has room for its longest answer, and its end. */
static void an_answer_has_as_many_bytes_as_there_is_room_for(void **state)
{
    (void)state;
    const struct identity none = {.wal_end = 0};
    const char digits[] = "000000000000000000000123";
    struct identity id = none;
    const struct {
        enum pg_identity_part part;
        const char *at;
        size_t room;
    } parts[] = {
        {PG_SYSTEM, id.system, sizeof id.system},
        {PG_TIMELINE, id.timeline, sizeof id.timeline},
        {PG_STARTED, id.started, sizeof id.started},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        id = none;
        pg_identity_take(&id, parts[i].part, slice_of(digits, parts[i].room - 1));
        assert_int_equal(strlen(parts[i].at), parts[i].room - 1);
        assert_memory_equal(parts[i].at, digits, parts[i].room - 1);
        pg_identity_take(&id, parts[i].part, slice_of(digits, parts[i].room));
        assert_true(identity_empty(&id));
    }
    pg_identity_take(&id, PG_WAL_END, slice_of(digits, 23));
    assert_int_equal(id.wal_end, 12);
    pg_identity_take(&id, PG_WAL_END, slice_of(digits, 24));
    assert_int_equal(id.wal_end, 0);
}

static void the_end_of_the_log_is_a_decimal_number(void **state)
{
    (void)state;
    struct identity id = {.wal_end = 0};
    pg_identity_take(&id, PG_WAL_END, slice_str("0777"));
    assert_int_equal(id.wal_end, 777);
    pg_identity_take(&id, PG_WAL_END, slice_str("0x10"));
    assert_int_equal(id.wal_end, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_none_leaves_the_part_unknown),
        cmocka_unit_test(an_answer_has_as_many_bytes_as_there_is_room_for),
        cmocka_unit_test(the_end_of_the_log_is_a_decimal_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
