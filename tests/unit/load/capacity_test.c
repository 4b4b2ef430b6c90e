#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/capacity.h"

/* Who has the next turn at c, as the schedule would give it. */
static struct list *next_turn(struct capacity *c)
{
    struct list *turn = c->waiting.next;
    capacity_turn(c, turn);
    return turn;
}

static void there_is_room_for_as_many_as_the_backend_bears(void **state)
{
    (void)state;
    struct list startable;
    struct capacity c;
    list_init(&startable);
    capacity_init(&c, &startable, 3, 3);
    assert_int_equal(capacity_room(&c), 3);
    for (int i = 0; i < 3; i++)
        capacity_began(&c);
    assert_int_equal(capacity_room(&c), 0);
    capacity_began(&c); /* over a reload it may bear less than is in the air */
    assert_int_equal(capacity_room(&c), 0);
    capacity_left(&c);
    assert_int_equal(capacity_room(&c), 0);
    capacity_left(&c);
    assert_int_equal(capacity_room(&c), 1);
    capacity_fini(&c);
}

static void where_its_loads_take_longer_there_is_less_room(void **state)
{
    (void)state;
    struct list startable;
    struct capacity c;
    list_init(&startable);
    capacity_init(&c, &startable, 2, 100);
    int64_t now_us = 1000000;
    for (int i = 0; i < 50; i++)
        capacity_began(&c);
    for (int i = 0; i < 2000; i++)
        capacity_ended(&c, 1000, false, now_us += 1000);
    assert_int_equal(capacity_room(&c), 50);
    for (int i = 0; i < 2000; i++)
        capacity_ended(&c, 100000, true, now_us += 1000);
    assert_int_equal(capacity_room(&c), 0);
    assert_in_range(limit_now(&c.limit), 2, 49);
    capacity_fini(&c);
}

static void a_clock_that_was_set_back_is_no_slowdown(void **state)
{
    (void)state;
    struct list startable;
    struct capacity c;
    list_init(&startable);
    capacity_init(&c, &startable, 2, 100);
    int64_t now_us = 1000000;
    for (int i = 0; i < 50; i++)
        capacity_began(&c);
    for (int i = 0; i < 2000; i++)
        capacity_ended(&c, 1000, false, now_us += 1000);
    for (int i = 0; i < 2000; i++)
        capacity_ended(&c, -1, false, now_us += 1000);
    assert_int_equal(capacity_room(&c), 50);
    capacity_fini(&c);
}

static void loaders_of_a_backend_take_turns(void **state)
{
    (void)state;
    struct list startable, first, second, third;
    struct capacity c;
    list_init(&startable);
    list_init(&first);
    list_init(&second);
    list_init(&third);
    capacity_init(&c, &startable, 1, 1);
    capacity_mark(&c, NULL); /* nobody waits */
    assert_true(list_empty(&startable));
    capacity_mark(&c, &first);
    capacity_mark(&c, &second);
    capacity_mark(&c, NULL);
    assert_ptr_equal(next_turn(&c), &first);
    assert_ptr_equal(next_turn(&c), &second);
    capacity_mark(&c, &third); /* who comes later goes behind those who wait */
    assert_ptr_equal(next_turn(&c), &first);
    assert_ptr_equal(next_turn(&c), &second);
    assert_ptr_equal(next_turn(&c), &third);
    list_remove(&second);
    assert_ptr_equal(next_turn(&c), &first);
    assert_ptr_equal(next_turn(&c), &third);
    capacity_fini(&c);
    assert_true(list_empty(&startable));
}

static void backends_take_turns_and_each_is_there_once(void **state)
{
    (void)state;
    struct list startable, of_a, more_of_a, of_b;
    struct capacity a, b;
    list_init(&startable);
    list_init(&of_a);
    list_init(&more_of_a);
    list_init(&of_b);
    capacity_init(&a, &startable, 1, 1);
    capacity_init(&b, &startable, 1, 1);
    capacity_mark(&a, &of_a);
    capacity_mark(&a, &more_of_a);
    capacity_mark(&b, &of_b);
    assert_ptr_equal(startable.next, &a.link);
    assert_ptr_equal(startable.prev, &b.link);
    assert_ptr_equal(a.link.next, &b.link);
    capacity_turn(&a, &of_a);
    assert_ptr_equal(startable.next, &b.link);
    capacity_turn(&b, &of_b);
    assert_ptr_equal(startable.next, &a.link);
    list_remove(&a.link); /* it has no room for now; who waits there goes on to wait */
    capacity_mark(&a, NULL);
    assert_ptr_equal(startable.prev, &a.link);
    assert_ptr_equal(next_turn(&a), &more_of_a);
    capacity_fini(&a);
    capacity_fini(&b);
    assert_true(list_empty(&startable));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_room_for_as_many_as_the_backend_bears),
        cmocka_unit_test(where_its_loads_take_longer_there_is_less_room),
        cmocka_unit_test(a_clock_that_was_set_back_is_no_slowdown),
        cmocka_unit_test(loaders_of_a_backend_take_turns),
        cmocka_unit_test(backends_take_turns_and_each_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
