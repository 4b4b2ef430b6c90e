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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_none_leaves_the_part_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
