/* The SQL of a watch without one of the allocations that it asks for: it is whole, or there is
 * none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/watch_sql.h"

#include "faulty.h"

#include <string.h>

static int write_it(struct buf *out, const struct watch_sql *w, struct err *e)
{
    buf_init(out, 0);
    err_clear(e);
    return watch_sql_write(out, w, e);
}

static void without_memory_it_says_so_and_no_part_is_left_out(void **state)
{
    (void)state;
    static const struct watch_sql watches[] = {
        {.table = "s.users",
         .key = "user:*{id}:{b}",
         .version = "v",
         .channel = "c",
         .tags = {"{a}x{b}", "t:{c}"},
         .tag_count = 2},
        {.table = "users", .key = "{id}", .channel = "c"},
        {.table = "users", .key = "{id}", .channel = "c", .action = WATCH_DROP},
        {.table = "users", .channel = "c", .action = WATCH_DROP},
        {.action = WATCH_LIST, .channel = "c"},
    };
    for (size_t i = 0; i < sizeof watches / sizeof *watches; i++) {
        struct buf whole, out;
        struct err e;
        int rc = 0;
        int64_t nth = 1;
        assert_int_equal(write_it(&whole, &watches[i], &e), 0);
        for (; FAULTY_WITHOUT(nth, 0, rc = write_it(&out, &watches[i], &e)); nth++) {
            if (rc != ERR_NOMEM || e.code != rc || strcmp(e.text, "no memory") != 0)
                fail_msg("watch %zu, allocation %d: %d, \"%s\"", i, (int)nth, rc, e.text);
            buf_fini(&out);
        }
        assert_int_equal(rc, 0);
        assert_true(nth > 1);
        assert_true(slice_eq(buf_slice(&out), buf_slice(&whole)));
        buf_fini(&out);
        buf_fini(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_says_so_and_no_part_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
