/* Threads that get no block of their own, and blocks that cannot be given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "faulty.h"
#include "metrics/metrics.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#ifndef __SANITIZE_THREAD__ /* which asks for a key before the C library is there */
#define DENIES_KEYS

static bool no_keys; /* there are no keys any more */
static int keys_asked;

int pthread_key_create(pthread_key_t *key, void (*end)(void *))
{
    int (*real)(pthread_key_t *, void (*)(void *));
    void *at = dlsym(RTLD_NEXT, "pthread_key_create");
    keys_asked += no_keys;
    memcpy(&real, &at, sizeof real);
    return no_keys ? EAGAIN : real(key, end);
}
#endif

struct thread {
    bool denied;
    struct metrics *mine;
};

static void *count(void *arg)
{
    struct thread *t = arg;
    if (t->denied)
        faulty_fail_allocation(1, FAULTY_ALL);
    t->mine = metrics_mine();
    faulty_calm();
    metrics_inc(t->mine, M_SETS);
    metrics_add(t->mine, M_BYTES_IN, 5);
    return NULL;
}

static struct metrics *in_a_thread(bool denied)
{
    struct thread t = {.denied = denied};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, count, &t), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return t.mine;
}

static void who_gets_no_block_shares_the_first(void **state)
{
    (void)state;
    struct metrics *first = metrics_mine();
    assert_ptr_equal(in_a_thread(true), first);
    assert_ptr_equal(in_a_thread(true), first);
    assert_int_equal(metrics_sum(M_SETS), 2);
    assert_int_equal(metrics_sum(M_BYTES_IN), 10);
    assert_ptr_equal(metrics_mine(), first);
}

#ifdef DENIES_KEYS
/* Without a key the end of a thread is not heard of: its block stays, and so do its counts. */
static void without_a_key_blocks_are_not_used_again(void **state)
{
    (void)state;
    struct metrics *first = in_a_thread(false), *second = in_a_thread(false);
    assert_ptr_not_equal(first, metrics_mine());
    assert_ptr_not_equal(first, second);
    assert_int_equal(metrics_sum(M_SETS), 4);
    assert_int_equal(keys_asked, 1); /* it is asked for once */
    assert_ptr_equal(in_a_thread(true), metrics_mine());
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gets_no_block_shares_the_first),
#ifdef DENIES_KEYS
        cmocka_unit_test(without_a_key_blocks_are_not_used_again),
#endif
    };
#ifdef DENIES_KEYS
    no_keys = true;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
