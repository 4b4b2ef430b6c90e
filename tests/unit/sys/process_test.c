#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/process.h"

#include <sys/mman.h>

#define BYTES ((size_t)64 << 20)

static void counts_what_is_touched(void **state)
{
    (void)state;
    size_t before = process_resident();
    assert_true(before > 0);
    volatile char *all =
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(all, MAP_FAILED);
    assert_true(process_resident() - before < BYTES / 2);
    for (size_t i = 0; i < BYTES; i += 4096)
        all[i] = 1;
    assert_true(process_resident() - before >= BYTES / 2);
    munmap((void *)all, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_what_is_touched)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
