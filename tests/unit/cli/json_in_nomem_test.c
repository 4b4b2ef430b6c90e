/* JSON is read without one of the allocations that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/json_in.h"

#include "wire/json_read.h"

#include "json_nomem.h"

#include <stdio.h>

static int pack(struct buf *out, const char *text, struct err *e)
{
    buf_init(out, 0);
    err_clear(e);
    return json_in_pack(out, slice_str(text), e);
}

static void without_memory_it_says_so_and_packs_nothing(void **state)
{
    (void)state;
    json_read_install();
    char large[9000], bin[9100];
    memset(large, 'A', sizeof large - 4);
    large[sizeof large - 4] = '\0';
    snprintf(bin, sizeof bin, "{\"$bin\": \"%s\"}", large);
    const char *const texts[] = {
        "1",
        "[true, null, 1.5, \"text\"]",
        "{\"a\": {\"b\": [1, 2, {\"c\": \"d\"}]}, \"e\": 5}",
        "{\"$bin\": \"/wABAg==\"}",
        "{\"$ext\": [-1, \"YQ==\"]}",
        "[18446744073709551615, \"x\"]",
        bin,
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
