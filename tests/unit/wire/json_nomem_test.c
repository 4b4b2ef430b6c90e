/* JSON of a database is read without one of the allocations that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/json.h"

#include "wire/json_read.h"

#include "json_nomem.h"

static int pack(struct buf *out, const char *text, struct err *e)
{
    buf_init(out, 0);
    err_clear(e);
    return json_to_mp(slice_str(text), out, e);
}

static void without_memory_it_says_so_and_packs_nothing(void **state)
{
    (void)state;
    json_read_install();
    static const char *const texts[] = {
        "1",
        "[true, null, 1.5, \"text\"]",
        "{\"a\": {\"b\": [1, 2, {\"c\": \"d\"}]}, \"e\": 5}",
        "[18446744073709551615, \"x\"]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_nomem_check(texts[i], 0);
        json_nomem_check(texts[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_says_so_and_packs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
