/* Each thread writes its own page, and the sum is read over all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/ledger.h"
#include "store/store.h"

#include <pthread.h>
#include <string.h>

static void what_is_added_is_summed_by_kind_and_taken_back(void **state)
{
    (void)state;
    struct ledger *l;
    struct err e;
    assert_int_equal(ledger_new(&l, 3, &e), 0);
    assert_int_equal(ledger_held(l), 0);
    for (size_t i = 0; i < 3; i++)
        for (int kind = 0; kind < LEDGER_KINDS; kind++)
            ledger_add(&l->pages[i], (enum ledger_kind)kind, 100 * (i + 1) + (size_t)kind);
    for (int kind = 0; kind < LEDGER_KINDS; kind++)
        assert_int_equal(ledger_kind_held(l, (enum ledger_kind)kind), 600 + 3 * kind);
    assert_int_equal(ledger_held(l),
                     600 * LEDGER_KINDS + 3 * LEDGER_KINDS * (LEDGER_KINDS - 1) / 2);
    ledger_take(&l->pages[1], LEDGER_INPUT, 200 + LEDGER_INPUT);
    assert_int_equal(ledger_kind_held(l, LEDGER_INPUT), 400 + 2 * LEDGER_INPUT);
    for (size_t i = 0; i < 3; i++)
        for (int kind = 0; kind < LEDGER_KINDS; kind++)
            if (i != 1 || kind != LEDGER_INPUT)
                ledger_take(&l->pages[i], (enum ledger_kind)kind, 100 * (i + 1) + (size_t)kind);
    assert_int_equal(ledger_held(l), 0);
    ledger_free(l);
    ledger_free(NULL);
}

static void pages_of_threads_share_no_cache_line(void **state)
{
    (void)state;
    struct ledger *l;
    struct err e;
    assert_int_equal(ledger_new(&l, 2, &e), 0);
    assert_int_equal((uintptr_t)&l->pages[0] % 64, 0);
    assert_int_equal(sizeof l->pages[0] % 64, 0);
    ledger_free(l);
}

static void results_are_part_of_the_sum_each_once(void **state)
{
    (void)state;
    struct ledger *l;
    struct err e;
    assert_int_equal(ledger_new(&l, 1, &e), 0);
    assert_int_equal(ledger_results(), 0);
    static const char text[10000];
    struct entry *one = entry_new_value(slice_of(text, sizeof text));
    size_t size = ledger_results();
    assert_true(size >= sizeof text && size < sizeof text + 100);
    assert_int_equal(entry_outside_size(one), size);
    struct entry *same = entry_ref(one);
    assert_int_equal(ledger_held(l), size);
    struct entry *other = entry_new_value(slice_of(text, 1));
    assert_true(ledger_held(l) > size);
    entry_unref(other);
    entry_unref(one);
    assert_int_equal(ledger_held(l), size);
    entry_unref(same);
    assert_int_equal(ledger_held(l), 0);
    ledger_free(l);
}

static void other_threads_are_asked_for_their_largest(void **state)
{
    (void)state;
    struct ledger *l;
    struct err e;
    assert_int_equal(ledger_new(&l, 3, &e), 0);
    for (size_t i = 0; i < 3; i++) {
        ledger_change(&l->pages[i].largest, 10 * (i + 1));
        ledger_change(&l->pages[i].connections, i);
        ledger_change(&l->pages[i].unread, 2 * i);
    }
    assert_int_equal(ledger_largest_beside(l, &l->pages[0]), 30);
    assert_int_equal(ledger_largest_beside(l, &l->pages[2]), 20);
    assert_int_equal(ledger_connections(l), 3);
    assert_int_equal(ledger_unread(l), 6);
    ledger_free(l);
}

#define ROUNDS 20000

static void *write_page(void *page)
{
    for (size_t i = 1; i <= ROUNDS; i++) {
        ledger_add(page, LEDGER_OUTPUT, i);
        ledger_take(page, LEDGER_OUTPUT, i - 1);
        ledger_add(page, LEDGER_OUTPUT, i - 1);
        ledger_take(page, LEDGER_OUTPUT, i);
    }
    ledger_add(page, LEDGER_OUTPUT, 7);
    return NULL;
}

static void threads_that_write_at_once_lose_nothing(void **state)
{
    (void)state;
    struct ledger *l;
    struct err e;
    pthread_t threads[4];
    assert_int_equal(ledger_new(&l, 4, &e), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_page, &l->pages[i]), 0);
    for (int i = 0; i < 1000; i++)
        assert_true(ledger_held(l) <= 4 * 2 * ROUNDS);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(ledger_held(l), 28);
    assert_int_equal(ledger_kind_held(l, LEDGER_OUTPUT), 28);
    ledger_free(l);
}

enum { CROWD = 70, PLACES = 5000 };

static void *come_and_go(void *ledger)
{
    for (int i = 0; i < PLACES; i++)
        ledger_take_place(ledger);
    for (int i = 0; i < PLACES; i++)
        ledger_give_place(ledger);
    return NULL;
}

static void places_come_back_from_a_crowd_of_threads(void **state)
{
    (void)state;
    struct ledger *l;
    struct err e;
    pthread_t threads[CROWD];
    assert_int_equal(ledger_new(&l, CROWD, &e), 0);
    ledger_take_place(l);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, l), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(ledger_read(&l->places), 1);
    ledger_free(l);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < LEDGER_KINDS; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(ledger_kind_name((enum ledger_kind)a),
                                    ledger_kind_name((enum ledger_kind)b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_summed_by_kind_and_taken_back),
        cmocka_unit_test(pages_of_threads_share_no_cache_line),
        cmocka_unit_test(results_are_part_of_the_sum_each_once),
        cmocka_unit_test(other_threads_are_asked_for_their_largest),
        cmocka_unit_test(threads_that_write_at_once_lose_nothing),
        cmocka_unit_test(places_come_back_from_a_crowd_of_threads),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
