#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

static void allocate(size_t bytes)
{
    void *volatile block = malloc(bytes);
    assert_non_null(block);
    free(block);
}

static void *elsewhere(void *arg)
{
    (void)arg;
    allocate(1 << 20);
    return NULL;
}

/* Nothing is counted in the builds with sanitizers. */
static void counts_what_this_thread_allocates(void **state)
{
    (void)state;
    allocate(1);
    if (!memory_is_counted()) {
        assert_int_equal(memory_allocated(), 0);
        skip();
    }
    uint64_t before = memory_allocated();
    allocate(100000);
    uint64_t taken = memory_allocated() - before;
    assert_in_range(taken, 100000, 200000);
    pthread_t thread;
    before = memory_allocated();
    assert_int_equal(pthread_create(&thread, NULL, elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_in_range(memory_allocated() - before, 0, 1 << 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_what_this_thread_allocates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
